"""What the mutation gate keeps of a hunt that takes several rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import gate
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Hunt, Mutant

NAME = "a-restored-disk-is-counted"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No checker finds anything without the bug."""
    monkeypatch.setattr(gate, "false_alarms", lambda chosen, seed: frozenset())


def test_who_had_nothing_to_compare_under_any_seed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checker that was idle under the seeds of one round and awake in another was awake."""
    idle = {1: {"I1", "I6", "I8"}, 2: {"I1", "I8"}, 3: {"I1", "I6", "I8"}, 4: {"I1", "I5", "I6"}}

    def hunt(chosen: Mutant, seed: int) -> Hunt:
        found = ("I5",) if seed == 4 else ()
        return Hunt(seed, found, f"seed {seed}", frozenset(idle[seed]))

    monkeypatch.setattr(gate, "hunt", hunt)
    monkeypatch.setattr(gate, "KEPT", tmp_path / "mutants.json")
    assert MUTANTS[NAME].caught_by == {"I1", "I5", "I6", "I8"}
    state = gate.State()
    for (first, last), expected in (((1, 1), ["I1", "I6", "I8"]), ((2, 3), ["I1", "I8"]), ((4, 9), ["I1"])):
        name, found = gate.look_for((NAME, first, last, state.sought(NAME)))
        state.keep(name, found)
        assert state.found[NAME]["idle"] == expected
    assert state.caught(NAME) and state.tried(NAME) == 4
    assert gate.State().found == state.found, "what was kept is read again"


def test_each_of_those_who_are_to_find_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first seed of each stands, also of those who find it again while others are waited for."""
    finders = {2: ("I5",), 4: ("I1", "I5"), 7: ("I8", "I1"), 9: ("I6",)}

    def hunt(chosen: Mutant, seed: int) -> Hunt:
        return Hunt(seed, finders.get(seed, ()), f"seed {seed}")

    monkeypatch.setattr(gate, "hunt", hunt)
    monkeypatch.setattr(gate, "KEPT", tmp_path / "mutants.json")
    assert gate.look_for((NAME, 1, 5, gate.State().sought(NAME)))[1]["seeds"] == 2, "one is enough otherwise"
    state = gate.State(each=True)
    for (first, last), caught, sought in (
        ((1, 1), False, {"I1", "I5", "I6", "I8"}),
        ((2, 5), True, {"I6", "I8"}),
        ((6, 8), True, {"I6"}),
    ):
        state.keep(*gate.look_for((NAME, first, last, state.sought(NAME))))
        assert state.caught(NAME) is caught
        assert state.sought(NAME) == sought
        assert not state.settled(NAME)
    assert "I6 did not find it under any of 8 seeds" in gate.tell(NAME, state)
    state.keep(*gate.look_for((NAME, 9, 21, state.sought(NAME))))
    assert state.settled(NAME)
    assert state.found[NAME]["checkers"] == {"I5": 2, "I1": 4, "I8": 7, "I6": 9}
    assert gate.tell(NAME, state).split()[1:] == ["I1,", "I5,", "I6,", "I8", "9"]


def test_who_finds_something_without_the_bug_too_has_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def false_alarms(chosen: Mutant, seed: int) -> frozenset[str]:
        return frozenset({"I5", "I6"} if seed == 2 else ())

    def hunt(chosen: Mutant, seed: int) -> Hunt:
        return Hunt(seed, {2: ("I5",), 3: ("I1", "I5")}.get(seed, ()), "")

    monkeypatch.setattr(gate, "hunt", hunt)
    monkeypatch.setattr(gate, "false_alarms", false_alarms)
    assert gate.look_for((NAME, 1, 9, frozenset()))[1]["checkers"] == {"I1": 3, "I5": 3}
