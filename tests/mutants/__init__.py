"""Mutants: bugs planted in production code, one at a time, which simulated runs must find."""
