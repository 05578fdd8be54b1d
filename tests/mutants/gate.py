"""The mutation gate: `python -m tests.mutants.gate` hunts every mutant until a run finds it.

Each is looked for under seed after seed, up to 500, in a process of its own; JOBS of them at once. What was
found is kept in `build/mutants.json` and not looked for again while neither the mutants nor the code they
live in have changed, so a gate that was interrupted goes on where it stopped.

What a checker says counts when it says nothing under the same seed without the bug. One checker that finds a
mutant is enough for the gate. With `--each` it is hunted until each of those that are to find it has: whoever
has not under any seed is listed in vain.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from folkmoot.cli.workers import spread

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ENDED, MINUTES, SEEDS_MAX, false_alarms, hunt

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


def look_for(asked: tuple[str, int, int, frozenset[str]]) -> tuple[str, dict[str, Any]]:
    """Hunt one mutant under some seeds, the last included, until all who are asked for have found it.

    Returns:
        Its name and what came of it: `checkers` has the first seed under which each of them found it.
    """
    name, first, last, sought = asked
    seen = ""
    idle = MUTANTS[name].caught_by - {ENDED}
    checkers: dict[str, int] = {}
    for seed in range(first, last + 1):
        found = hunt(MUTANTS[name], seed)
        idle &= found.idle
        seen = found.complaint or seen
        if new := set(found.checkers) - checkers.keys():
            new -= false_alarms(MUTANTS[name], seed)
        checkers |= dict.fromkeys(new, seed)
        if checkers and not sought - set(checkers):
            break
    return name, {"seeds": seed, "checkers": checkers, "complaint": seen, "idle": sorted(idle)}


def rounds(seeds: int) -> Iterator[tuple[int, int]]:
    """The first and last seed of each round: most mutants are found in the first, and leave room."""
    last = 0
    while last < seeds:
        first, last = last + 1, min(seeds, last * 4 + 1)
        yield first, last


class State:
    """What is known of each mutant, in `build/mutants.json`, as long as the code is the same.

    Args:
        each: whether all who are to find a mutant must have, instead of one of them.
    """

    def __init__(self, *, each: bool = False) -> None:
        self._each = each
        self._code = fingerprint()
        state = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        self.found: dict[str, dict[str, Any]] = state["found"] if state.get("code") == self._code else {}

    def caught(self, name: str) -> bool:
        """Whether a checker has found it."""
        return bool(self.found.get(name, {}).get("checkers"))

    def sought(self, name: str) -> frozenset[str]:
        """Who must still find it, beside the first who does."""
        found = self.found.get(name, {}).get("checkers", {})
        return MUTANTS[name].caught_by - {ENDED} - set(found) if self._each else frozenset()

    def settled(self, name: str) -> bool:
        """Whether it need not be looked for any more."""
        return self.caught(name) and not self.sought(name)

    def tried(self, name: str) -> int:
        """Under how many seeds it was looked for."""
        return int(self.found.get(name, {}).get("seeds", 0))

    def keep(self, name: str, found: dict[str, Any]) -> None:
        """Write down what was found besides; idle is who was so under every seed there was."""
        known = self.found.get(name, found)
        idle = set(known["idle"]) & set(found["idle"])
        checkers = {**found["checkers"], **known["checkers"]}
        self.found[name] = {**found, "checkers": checkers, "idle": sorted(idle)}
        KEPT.parent.mkdir(exist_ok=True)
        whole = KEPT.with_suffix(".new")  # so that one that is cut short leaves what was known
        whole.write_text(
            json.dumps({"code": self._code, "found": self.found}, indent=1, sort_keys=True) + "\n"
        )
        whole.replace(KEPT)


def hunt_all(names: Sequence[str], seeds: int, jobs: int, state: State) -> Iterator[str]:
    """Hunt round by round; each mutant's name once it is settled, or was looked for under all seeds."""
    yield from (name for name in names if state.settled(name))
    for first, last in rounds(seeds):
        left = [
            (name, max(first, state.tried(name) + 1), last, state.sought(name))
            for name in names
            if not state.settled(name) and state.tried(name) < last
        ]
        for _, (name, found) in spread(look_for, left, jobs, items_each=4):
            state.keep(name, found)
            if state.settled(name):
                yield name
    yield from (name for name in names if not state.settled(name))


def tell(name: str, state: State) -> str:
    """The row of a mutant: who found it, and the seed by which all of those had."""
    found = state.found[name]
    by = ", ".join(sorted(found["checkers"])) or "SURVIVES"
    seeds = max(found["checkers"].values(), default=found["seeds"])
    lines = [f"{name:<36} {by:<20} {seeds:>5}"]
    if found["idle"]:
        lines.append(f"{', '.join(found['idle'])} had nothing to compare under any of these seeds")
    if not found["checkers"]:
        said = found["complaint"].partition("\n")[0] or "nothing"
        lines.append(f"{MUTANTS[name].sentence}; others said: {said}")
    elif vain := state.sought(name):
        lines.append(f"{', '.join(sorted(vain))} did not find it under any of {found['seeds']} seeds")
    return ("\n" + " " * 10).join(lines)


def main() -> int:
    """Run the gate; 1 when a mutant survives."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="so many for each, at most")
    parser.add_argument("--jobs", type=int, default=2, help="so many at once")
    parser.add_argument("--each", action="store_true", help="until each checker that is to find it has")
    parser.add_argument("names", nargs="*", help="which; all when none is named")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(MUTANTS):
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}; there are {', '.join(MUTANTS)}")
    names = asked.names or list(MUTANTS)
    state = State(each=asked.each)
    print(f"{'':<9} {'mutant':<36} {'caught by':<20} seeds   ({MINUTES:g} virtual minutes each)")
    for number, name in enumerate(hunt_all(names, asked.seeds, asked.jobs, state), 1):
        print(f"{number:>3} of {len(names):<3}{tell(name, state)}", flush=True)
    caught = sum(state.caught(name) for name in names)
    settled = sum(state.settled(name) for name in names)
    if asked.each:
        print(f"{settled} of {len(names)} mutants found by each checker that is to")
    print(f"{caught} of {len(names)} mutants caught")
    return 0 if settled == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
