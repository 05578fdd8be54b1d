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
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from folkmoot.cli.node_parent import die_with_parent

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ENDED, MINUTES, SEEDS_MAX, hunt

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


def look_for(asked: tuple[str, int, int]) -> tuple[str, dict[str, Any]]:
    """Hunt one mutant under some seeds, the last included; its name and what was found."""
    name, first, last = asked
    seen = ""
    idle = MUTANTS[name].caught_by - {ENDED}
    for seed in range(first, last + 1):
        found = hunt(MUTANTS[name], seed)
        idle &= found.idle
        seen = found.complaint or seen
        if found.checkers:
            break
    return name, {"seeds": seed, "checkers": list(found.checkers), "complaint": seen, "idle": sorted(idle)}


def rounds(seeds: int) -> Iterator[tuple[int, int]]:
    """The first and last seed of each round: most mutants are found in the first, and leave room."""
    last = 0
    while last < seeds:
        first, last = last + 1, min(seeds, last * 4 + 1)
        yield first, last


class State:
    """What is known of each mutant, in `build/mutants.json`, as long as the code is the same."""

    def __init__(self) -> None:
        self._code = fingerprint()
        state = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        self.found: dict[str, dict[str, Any]] = state["found"] if state.get("code") == self._code else {}

    def caught(self, name: str) -> bool:
        """Whether a checker has found it."""
        return bool(self.found.get(name, {}).get("checkers"))

    def tried(self, name: str) -> int:
        """Under how many seeds it was looked for."""
        return int(self.found.get(name, {}).get("seeds", 0))

    def keep(self, name: str, found: dict[str, Any]) -> None:
        """Write down what was found; idle is who was so under every seed there was."""
        idle = set(self.found.get(name, found)["idle"]) & set(found["idle"])
        self.found[name] = {**found, "idle": sorted(idle)}
        KEPT.parent.mkdir(exist_ok=True)
        whole = KEPT.with_suffix(".new")  # so that one that is cut short leaves what was known
        whole.write_text(
            json.dumps({"code": self._code, "found": self.found}, indent=1, sort_keys=True) + "\n"
        )
        whole.replace(KEPT)


def hunt_all(names: Sequence[str], seeds: int, jobs: int, state: State) -> Iterator[str]:
    """Hunt round by round; each mutant's name once it is caught, or has survived all seeds."""
    yield from (name for name in names if state.caught(name))
    with multiprocessing.get_context("spawn").Pool(
        jobs, initializer=die_with_parent, initargs=(os.getpid(),), maxtasksperchild=4
    ) as pool:
        for first, last in rounds(seeds):
            free = [name for name in names if not state.caught(name)]
            left = [
                (name, max(first, state.tried(name) + 1), last) for name in free if state.tried(name) < last
            ]
            for name, found in pool.imap_unordered(look_for, left, chunksize=1):
                state.keep(name, found)
                if found["checkers"]:
                    yield name
    yield from (name for name in names if not state.caught(name))


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
    state = State()
    print(f"{'':<9} {'mutant':<36} {'caught by':<20} seeds   ({MINUTES:g} virtual minutes each)")
    for number, name in enumerate(hunt_all(names, asked.seeds, asked.jobs, state), 1):
        found = state.found[name]
        by = ", ".join(found["checkers"]) or "SURVIVES"
        print(f"{number:>3} of {len(names):<3}{name:<36} {by:<20} {found['seeds']:>5}", flush=True)
        if found["idle"]:
            print(f"          {', '.join(found['idle'])} had nothing to compare under any of these seeds")
        if not found["checkers"]:
            said = found["complaint"].partition("\n")[0] or "nothing"
            print(f"          {MUTANTS[name].sentence}; others said: {said}")
    caught = sum(state.caught(name) for name in names)
    print(f"{caught} of {len(names)} mutants caught")
    return 0 if caught == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
