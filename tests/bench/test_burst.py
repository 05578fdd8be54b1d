"""A real burst over other accounts: its shape and who is busy stay."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from folkmoot.cli.bench.burst import Burst, Event, Sort, read_burst
from folkmoot.cli.errors import OperatorError

HEADING = "actor\ttarget\tunix_time\ttype\n"


def of(path: Path, text: str) -> Burst:
    path.write_text(text, encoding="utf-8")
    return read_burst(path)


def whole(burst: Burst, seconds: float) -> list[Event]:
    return burst.fitted(len(burst), seconds, Random(1))


def test_interactions(tmp_path: Path) -> None:
    """Bob is the busiest, so he is 0; what happened within a second is dealt out over it."""
    lines = ["ann\tx\t100\tRT", "bob\tx\t110\tMT", "bob\tx\t104\tRE", "bob\tx\t104\tRT", "cat\tx\t106\tMT"]
    events = whole(of(tmp_path / "b.tsv", HEADING + "\n".join(lines)), 10.0)
    assert [(event.due_s, event.rank) for event in events] == [
        *((0.0, 1), (4.0, 0), (5.0, 0), (6.0, 2), (10.0, 0)),
    ]
    assert [event.sort for event in events] == [
        *(Sort.REPOST, Sort.REPOST, Sort.REPLY, Sort.MENTION, Sort.MENTION),
    ]


def test_posts(tmp_path: Path) -> None:
    posts = [
        {"author": "ann", "created_at": "2024-05-01T09:00:00", "text": "x"},
        {"author": "bob", "created_at": "2024-05-01T11:00:00+02:00", "text": "x", "is_repost": True},
        {"author": "ann", "created_at": "2024-05-01T09:02:00Z", "text": "x", "reply_to": "1", "more": None},
    ]
    burst = of(tmp_path / "b.jsonl", "\n".join(map(json.dumps, posts)))
    events = whole(burst, 120.0)
    assert [(event.due_s, event.rank, event.sort) for event in events] == [
        (0.0, 0, Sort.POST),
        (30.0, 1, Sort.REPOST),
        (120.0, 0, Sort.REPLY),
    ]


def test_fewer_events_keep_the_shape() -> None:
    """Nine of ten happen in the second half."""
    times = [number / 100 for number in range(100)] + [1 + number / 900 for number in range(901)]
    burst = _made(times)
    events = burst.fitted(500, 60.0, Random(3))
    assert len(events) == 500 and events == sorted(events)
    assert sum(event.due_s > 30.0 for event in events) == pytest.approx(450, abs=25)
    assert burst.fitted(500, 60.0, Random(3)) == events != burst.fitted(500, 60.0, Random(4))


def test_more_events_than_there_are_happen_again() -> None:
    events = _made([0.0, 1.0]).fitted(100, 10.0, Random(5))
    assert set(Counter(event.due_s for event in events)) == {0.0, 10.0} and len(events) == 100


def test_one_event_is_a_burst(tmp_path: Path) -> None:
    assert whole(of(tmp_path / "b.tsv", HEADING + "ann\tx\t5\tRT\n"), 10.0) == [Event(0.0, 0, Sort.REPOST)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEADING,
        HEADING + "ann\tx\t1\n",
        HEADING + "ann\tx\t1\tQQ\n",
        "{}",
        '{"author": "a", "created_at": "?"}',
        "x",
    ],
)
def test_what_is_no_burst_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(OperatorError, match=r"b\.tsv"):
        of(tmp_path / "b.tsv", text)


def _made(times: list[float]) -> Burst:
    from array import array

    return Burst(array("d", times), array("I", [0] * len(times)), bytearray(len(times)))
