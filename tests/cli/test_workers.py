"""Work in several processes: done, failed, given up, and lost with its process."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.workers import spread

from tests.waiting import until_blocking

WORK: Any = eval  # what a process does is said by each item
KILLED = "__import__('signal').raise_signal(9)"


def test_all_is_done_and_each_has_its_number() -> None:
    assert dict(spread(WORK, ["2 * 7", "2 * 8", "2 * 9"], 2, items_each=1)) == {0: 14, 1: 16, 2: 18}
    assert not list(spread(WORK, [], 2))


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(spread(WORK, ["1 / 0"], 1))


def test_a_process_that_is_killed_is_said_and_not_waited_for() -> None:
    with pytest.raises(OperatorError, match="was killed"):
        list(spread(WORK, ["1", KILLED, "2"], 2))


def test_who_stops_asking_leaves_no_process_behind(tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())
    begun = tmp_path / "begun"
    working = spread(WORK, ["7", f"open({str(begun)!r}, 'w').close() or __import__('signal').pause()"], 2)
    assert next(working) == (0, 7)
    until_blocking(begun.exists, what="the other one to have begun", within_s=30)
    working.close()  # as an exception does where it is asked
    until_blocking(
        lambda: not set(multiprocessing.active_children()) - before, what="the processes to be gone"
    )
