"""What a gate tells of posts that it judged: once, when they have changed something, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.moderation.noting import Note
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from tests.moderation.documents import HEAD, condition
from tests.moderation.test_gatekeeper import ALICE, REFUSES_FOO, gatekeeper, post


def noted(gate: Gatekeeper) -> list[Note]:
    """What a gate tells of posts, from now on."""
    notes: list[Note] = []
    gate.noting.follow(notes.append)
    return notes


@pytest.mark.parametrize("exempt", [False, True])
def test_what_was_known_of_a_post_is_told_once_it_has_changed_something(exempt: bool) -> None:
    gate = gatekeeper(None)
    notes = noted(gate)
    records = [post("one", 1), post("two", 2), post("three", 3)]
    gate.judge_batch(records, exempt, "192.0.2.1", 0.0)
    assert notes == []
    gate.settle_batch(records, [True, False, True], [False] * len(records), exempt, "192.0.2.1", 0.0)
    gate.settle_batch(records, [True, True, True], [False] * len(records), exempt, "192.0.2.1", 0.0)
    assert [note.record for note in notes] == [records[0], records[2]]
    assert notes[1].judged_us == 1_000
    rates = {name: value for name, value in notes[1].signals.items() if name != "flood.same_text"}
    assert rates == {
        "flood.author_rate": 0.0 if exempt else 2.0,
        "flood.address_rate": 0.0 if exempt else 2.0,
    }


def test_of_a_post_that_is_refused_and_of_what_is_no_post_nothing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(REFUSES_FOO)
    gate = gatekeeper(file)
    trio.run(gate.open)
    notes = noted(gate)
    like = Record.sign(ALICE, kind="follow", item=KeyPair(b"\x02" * 32).account, body={"on": True}, stamp=9)
    records = [post("foo", 1), like, post({"deleted": True}, 3), post("fine", 2)]
    judged = gate.judge_batch(records, False, "192.0.2.1", 0.0)
    assert isinstance(judged[0], WireError)
    gate.settle_batch(records[1:], [True] * 3, [False] * len(records[1:]), False, "192.0.2.1", 0.0)
    assert [note.record for note in notes] == records[3:]


def test_how_often_a_text_came_is_told_where_a_rule_asks_for_it(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(HEAD + condition("same", "flood.same_text > 9.0"))
    gate = gatekeeper(file)
    trio.run(gate.open)
    notes = noted(gate)
    records = [post("the same words in every post", number) for number in range(1, 4)]
    gate.judge_batch(records, False, "192.0.2.1", 0.0)
    gate.settle_batch(records, [True] * 3, [False] * len(records), False, "192.0.2.1", 0.0)
    assert [note.signals["flood.same_text"] for note in notes] == [0.0, 1.0, 2.0]
