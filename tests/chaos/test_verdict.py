"""What fails a run of chaos: each thing that may be wrong with it does so by itself, and is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from folkmoot.cli.chaos.verdict import NEVER_SETTLED, ChaosResult, judge_history
from folkmoot.cli.checking.checker import CheckResult
from folkmoot.cli.checking.judging import Finding, Violation
from folkmoot.node.simulation.checkers.linearizability import Operation
from folkmoot.node.simulation.checkers.models import Call
from folkmoot.node.simulation.checkers.verdict import Verdict
from folkmoot.node.simulation.client_history import Exchange, Saw, Wrote
from folkmoot.node.simulation.history import Ack, CellRead, CellView, History, PageRead, ShownPost
from folkmoot.protocol.record import Record
from folkmoot.protocol.token import Token

from tests.node.people import Author

AUTHOR = Author(1)
KEPT = CheckResult(
    acknowledged=3,
    compared=3,
    could_not_compare=0,
    findings=(),
    replicas=3,
    ranges=64,
    silent=(),
    at_rest=True,
    seconds=1.0,
)
PASSED = ChaosResult(
    seed=1,
    episodes=(),
    done={"kill": 1},
    felt={"kill": 7},
    took_s=(0.5,),
    late=(),
    unrest=(),
    counts={},
    check=KEPT,
    verdicts=(Verdict("reads after writes", 5, ()),),
    deaths=(),
    fail_stops=0,
    nodes=3,
    seconds=9.0,
    cluster={},
    replay="folkmoot cluster chaos --seed 1",
)


def test_a_run_that_kept_everything_passes() -> None:
    assert PASSED.passed and PASSED.complaints() == []
    assert PASSED.summary()["passed"] is True


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"check": replace(KEPT, findings=(Finding(Violation.LOST, b"k", "it is gone"),))},
            "lost: it is gone",
        ),
        ({"check": replace(KEPT, compared=2)}, "1 acknowledged records were not compared"),
        ({"check": replace(KEPT, could_not_compare=1, compared=2)}, "1 acknowledged records were not"),
        ({"check": replace(KEPT, replicas=2)}, "2 of 3 nodes could be read"),
        ({"check": replace(KEPT, at_rest=False)}, "did not come to rest"),
        ({"check": replace(KEPT, acknowledged=0, compared=0)}, "nothing was acknowledged"),
        ({"verdicts": (Verdict("nothing returns", 5, ("it is back",)),)}, "nothing returns: it is back"),
        ({"deaths": ("eu-1 ended by itself with exit code 1",)}, "eu-1 ended by itself"),
        ({"unrest": ("eu-1 says that 3 changes of ranges are left",)}, "3 changes of ranges are left"),
        ({"late": ("us-1 does not count 31 s after its start",)}, "us-1 does not count"),
        ({"counts": {NEVER_SETTLED: 2}}, "2 writes found no certain answer"),
    ],
)
def test_whatever_is_wrong_fails_it_and_is_said(changes: dict[str, Any], sentence: str) -> None:
    result = replace(PASSED, **changes)
    assert not result.passed
    assert any(sentence in complaint for complaint in result.complaints())


def broken(history: History) -> set[str]:
    """The names of the verdicts with a complaint that is not about having compared nothing."""
    return {
        verdict.invariant
        for verdict in judge_history(history)
        if any("nothing could be compared" not in complaint for complaint in verdict.complaints)
    }


def ack(record: Record, at_s: float) -> Ack:
    return Ack(record, at_s - 1, at_s, "quorum", "quorum", 1)


def view(record: Record, *, deleted: bool = False) -> CellView:
    return CellView({record.device: record.stamp}, ((record.device, record.stamp),), deleted, on=False)


def test_a_history_nobody_lived_is_no_history_that_holds() -> None:
    assert not any(verdict.ok for verdict in judge_history(History()))


def test_a_write_that_a_later_quorum_read_does_not_see_is_found() -> None:
    post = AUTHOR.post("here")
    read = CellRead(post.key, None, 11.0, 12.0, "quorum", "quorum", 2)
    assert broken(History(acks=[ack(post, 10.0)], reads=[read])) == {"reads after writes"}
    seen = replace(read, view=view(post))
    assert broken(History(acks=[ack(post, 10.0)], reads=[seen])) == set()


def test_a_deleted_post_on_a_page_is_found() -> None:
    post = AUTHOR.post("here")
    gone = AUTHOR.deletion(post)
    shown = {post.item: ShownPost(gone.stamp, deleted=False)}
    page = PageRead(post.author, shown, True, 11.0, 12.0, "quorum")
    assert "nothing returns" in broken(History(acks=[ack(post, 5.0), ack(gone, 10.0)], pages=[page]))


def test_a_session_that_misses_its_own_write_is_found() -> None:
    post = AUTHOR.post("here")
    token = Token.of([(post.key, {post.device: post.stamp})]).encode()
    wrote = Exchange(
        1, "eu-1", None, token, 1.0, 2.0, "one", wrote=(Wrote(post.key, post.device, post.stamp),)
    )
    read = Exchange(1, "us-1", token, token, 3.0, 4.0, "one", saw=(Saw(post.key, {}),))
    assert broken(History(exchanges=[wrote, read])) == {"read your writes"}


def test_a_register_that_forgets_a_change_is_found() -> None:
    set_one = Operation("a", Call("cas", (None, (1, b"one"))), True, 1, 2)
    sees_it = Operation("b", Call("read"), (1, b"one"), 3, 4)
    assert broken(History(registers={"probe/0": [set_one, sees_it]})) == set()
    sees_nothing = Operation("c", Call("read"), None, 5, 6)
    forgetful = History(registers={"probe/0": [set_one, sees_it, sees_nothing]})
    assert broken(forgetful) == {"registers are linearizable"}
