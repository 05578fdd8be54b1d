"""Run benchmarks: `python -m benchmarks [NAME …] [--repetitions N] [--full] [--json]`."""

from __future__ import annotations

import argparse
import importlib
import json
from typing import Any

from benchmarks.harness import Plan, machine

NAMES = (
    "put_rate",
    "author_page",
    "quorum_latency",
    "movement",
    "membership",
    "memory",
    "home_page",
    "fan_out",
    "top_author",
    "visible",
    "audience",
    "search",
    "media",
    "ranked",
    "caches",
    "labelled_page",
    "gate_policy",
    "starter_policy",
    "policy_activation",
    "policy_preview",
    "pdq",
    "review_queue",
    "films",
    "learning_loop",
)


def main() -> None:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="the minutes the targets speak of, not seconds")
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    plan = Plan(options.repetitions, options.full)
    report: dict[str, Any] = {"machine": machine(), "repetitions": plan.repetitions, "full": plan.full}
    for name in options.names:
        report[name] = importlib.import_module(f"benchmarks.{name}").run(plan)
        if not options.json:
            print(f"{name}:")
            _show(report[name], "  ")
    if options.json:
        print(json.dumps(report))


def _show(values: dict[str, Any], indent: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _show(value, indent + "  ")
        elif isinstance(value, list):
            print(f"{indent}{name}: " + ", ".join(f"{each:.4g}" for each in value))
        else:
            print(f"{indent}{name}: " + (f"{value:.4g}" if isinstance(value, float) else str(value)))


if __name__ == "__main__":
    main()
