"""The mutation gate: `python -m tests.mutants.gate` hunts every mutant until a run finds it.

Each is looked for under seed after seed, up to 500, in a process of its own; JOBS of them at once. What was
found is kept in `build/mutants.json` and not looked for again while neither the mutants nor the code they
live in have changed, so a gate that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import MINUTES, SEEDS_MAX, hunt

ROOT: Final = Path(__file__).resolve().parents[2]
KEPT: Final = ROOT / "build" / "mutants.json"
CODE: Final = ("protocol", "storage", "node", "tests/mutants")


def fingerprint() -> str:
    """What the findings depend on: every line of the code that runs, and of the mutants."""
    digest = hashlib.sha256()
    for folder in CODE:
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def look_for(asked: tuple[str, int]) -> tuple[str, dict[str, Any]]:
    """Hunt one mutant under up to so many seeds; its name and what was found."""
    name, seeds = asked
    seen = ""
    for seed in range(1, seeds + 1):
        found = hunt(MUTANTS[name], seed)
        if found.checkers:
            return name, {"seeds": seed, "checkers": list(found.checkers), "complaint": found.complaint}
        seen = found.complaint or seen
    return name, {"seeds": seeds, "checkers": [], "complaint": seen}


def findings(names: Sequence[str], seeds: int, jobs: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What became of each mutant: first of those known from before, then of the others as they are done."""
    state: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    code = fingerprint()
    known = state.get("found", {}) if state.get("code") == code else {}
    for name in [name for name in names if name in known]:
        yield name, known[name]
    left = [(name, seeds) for name in names if name not in known]
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=1) as pool:
        for name, found in pool.imap_unordered(look_for, left, chunksize=1):
            if found["checkers"]:
                known[name] = found
                KEPT.parent.mkdir(exist_ok=True)
                KEPT.write_text(json.dumps({"code": code, "found": known}, indent=1, sort_keys=True) + "\n")
            yield name, found


def main() -> int:
    """Run the gate; 1 when a mutant survives."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="so many for each, at most")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once")
    parser.add_argument("names", nargs="*", help="which; all when none is named")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(MUTANTS):
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}; there are {', '.join(MUTANTS)}")
    names = asked.names or list(MUTANTS)
    caught = 0
    print(f"{'':<9} {'mutant':<36} {'caught by':<20} seeds   ({MINUTES:g} virtual minutes each)")
    for number, (name, found) in enumerate(findings(names, asked.seeds, asked.jobs), 1):
        caught += bool(found["checkers"])
        by = ", ".join(found["checkers"]) or "SURVIVES"
        print(f"{number:>3} of {len(names):<3}{name:<36} {by:<20} {found['seeds']:>5}", flush=True)
        if not found["checkers"]:
            said = found["complaint"].partition("\n")[0] or "nothing"
            print(f"          {MUTANTS[name].sentence}; others said: {said}")
    print(f"{caught} of {len(names)} mutants caught")
    return 0 if caught == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
