"""Benchmarks: what folkmoot does, as a ratio to what the machine can do, measured in one run.

`make bench` runs them all; `make bench ARGS='put_rate --repetitions 7 --json'` some of them. Each module
states its method. Absolute figures say something about one machine on one day, so they are never asserted
and never compared between runs; the ratios are, by people.
"""
