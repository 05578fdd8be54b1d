"""Where the main run goes on once something was built, or read once more, beside it."""

from __future__ import annotations

import pytest
from folkmoot.node.projections.runs import Run
from folkmoot.node.projections.stretches import Stretches, stretches_of
from folkmoot.protocol.projections.entries import Projection
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeMap, Slot
from folkmoot.storage.projections import MAIN, WIDENING, ProjectionBook, cursors_at

from tests.projections.test_applying import Town

OWN, NEAR, FAR = b"own log", b"near log", b"far log"
NODE = b"n" * 16
RANGES = RangeMap((RangeDescriptor(0, 1, OPEN, OPEN, (Slot("eu", (NODE,)),)),))


def test_it_has_read_no_log_further_than_what_was_built() -> None:
    """What it has read in another log, and only there, is not in what was built."""
    town = Town(None)
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        for log_id, main, built in ((OWN, 500, 500), (NEAR, 300, 200), (FAR, 100, 0)):
            book.set_cursor(MAIN, 7, 3, log_id, main)
            if built:
                book.set_cursor(Projection.TAGS, 7, 3, log_id, built)
        book.set_cursor(MAIN, 7, 4, OWN, 50)
        book.go_back_to(Projection.TAGS)
        assert cursors_at(book.rows, MAIN, 7, 3) == {OWN: 500, NEAR: 200}
        assert cursors_at(book.rows, MAIN, 7, 4) == {}


def test_nor_than_what_was_read_once_more_for_what_it_has_come_to_keep() -> None:
    town = Town(None)
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        book.set_cursor(MAIN, 7, 3, OWN, 500)
        book.set_cursor(MAIN, 7, 3, NEAR, 300)
        book.widen(b"\1")
        book.set_cursor(WIDENING, 7, 3, NEAR, 300)
        book.widened(b"\1")
        assert cursors_at(book.rows, MAIN, 7, 3) == {NEAR: 300}
        assert cursors_at(book.rows, WIDENING, 7, 3) == {}


def test_what_was_read_in_one_log_is_read_anew_once_another_was() -> None:
    """A replica that is behind may have told what is older than what another one had told."""
    town = Town(None)
    with town.store.write() as transaction:
        book = ProjectionBook(transaction)
        for lane, log_id in ((3, OWN), (3, NEAR), (4, OWN)):
            book.set_cursor(MAIN, 7, lane, log_id, 500)
        book.set_cursor(MAIN, 7, 3, NEAR, 600, alone=True)
        assert cursors_at(book.rows, MAIN, 7, 3) == {NEAR: 600}
        assert cursors_at(book.rows, MAIN, 7, 4) == {OWN: 500}


@pytest.mark.parametrize(
    ("positions", "followed", "expected"),
    [
        pytest.param(None, None, False, id="not looked at yet"),
        pytest.param({NEAR: 5}, None, False, id="read before the node started, and not reached since"),
        pytest.param({}, None, True, id="never to be reached"),
        pytest.param({NEAR: 5}, NEAR, True, id="read as far as that"),
        pytest.param({NEAR: 6}, NEAR, False, id="read further"),
        pytest.param({NEAR: 5, FAR: 1}, FAR, False, id="followed in another log"),
    ],
)
def test_what_is_built_is_only_done_where_the_main_run_is(
    positions: dict[bytes, int] | None, followed: bytes | None, expected: bool
) -> None:
    main, run = Run(MAIN), Run(Projection.TAGS)
    for stretch in stretches_of(RANGES):
        run.positions[stretch.name] = {NEAR: 5}
        if positions is not None:
            main.positions[stretch.name] = dict(positions)
        if followed is not None:
            main.ends[stretch.name] = followed
    assert (
        run.has_caught_up(main, Stretches(lambda: RANGES)(), lambda stretch, log_id, position: False)
        == expected
    )
