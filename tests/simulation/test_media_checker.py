"""The checker of media finds what is planted: on disks, in answers and in what people were told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from folkmoot.node.media.messages import KEEP, REFERS
from folkmoot.node.simulation.checkers import media
from folkmoot.node.simulation.checkers.verdict import HeldCells
from folkmoot.node.simulation.files import SimulatedFiles
from folkmoot.node.simulation.media_history import Audit, Looked
from folkmoot.node.simulation.media_watch import LONG_S, MediaWatch
from folkmoot.node.simulation.pictures import Picture, draw
from folkmoot.node.simulation.wiretap import Question
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.ring.ranges import OPEN, RangeDescriptor, RangeMap, Slot
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.layout import OPEN_AREAS, Area, Name
from folkmoot.storage.memory_engine import MemoryEngine

from tests.node.people import Author
from tests.simulation.test_verdicts import NODE, OTHER, SOON, evidence

AUTHOR = Author(7)
PICTURE = draw(AUTHOR.account, Random(1))
NAME = Name(PICTURE.account, PICTURE.hash)
POST = AUTHOR.record("post", AUTHOR.item(), {"text": "look", "media": [PICTURE.shown()]})
CELL = Cell.of(POST)
RANGES = RangeMap((RangeDescriptor(0, 1, OPEN, OPEN, (Slot("eu", (NODE,)), Slot("us", (OTHER,)))),))
NOW_US = 1_800_000_000_000_000
DATA = Path("n")


def blobs_with(*kept: Picture, area: Area = Area.KEPT, at_us: int = NOW_US) -> Blobs:
    """Media on a disk of their own."""
    blobs = Blobs(SimulatedFiles(), DATA / "media", 1 << 30, 1 << 30)
    for picture in kept:
        name = Name(picture.account, picture.hash)
        blobs.begin(picture.account, picture.manifest)
        for index in range(len(picture.manifest.chunks)):
            blobs.write(name, index, picture.chunk(index))
        if area is not Area.PARTIAL:
            blobs.seal(name)
            blobs.promote(name, Area.PARTIAL, area)
        blobs.files.set_time(blobs._file(area, name), at_us)
    return blobs


def held(node_id: bytes, blobs: Blobs, *, shows: bool = True) -> HeldCells:
    cells = {POST.key: CELL.encode()} if shows else {}
    files = blobs.files
    assert isinstance(files, SimulatedFiles)
    return HeldCells(node_id[:1].decode(), node_id, MemoryEngine(), cells, files, DATA, NOW_US)


def complaints(*nodes: HeldCells, change: Callable[..., None] = lambda history: None) -> str:
    judged = replace(
        evidence(*nodes, quiet=replace(SOON, shown_s=1.0, tidied_s=1.0)),
        ranges=RANGES,
    )
    judged.history.pictures[NAME.account, NAME.hash] = PICTURE
    change(judged.history)
    return " | ".join(media.check(judged).complaints)


def test_two_whole_replicas_are_as_they_should_be() -> None:
    assert complaints(held(NODE, blobs_with(PICTURE)), held(OTHER, blobs_with(PICTURE))) == ""


def test_what_is_lacking_or_changed_is_found() -> None:
    whole, other = held(NODE, blobs_with(PICTURE)), blobs_with(PICTURE)
    assert "does not keep" in complaints(whole, held(OTHER, blobs_with()))
    other.files.open(other._file(Area.KEPT, NAME), write=True).write(b"!", 200)
    assert "otherwise than it was drawn" in complaints(whole, held(OTHER, other))


@pytest.mark.parametrize("area", OPEN_AREAS)
def test_what_should_be_gone_is_found_and_what_came_lately_is_not(area: Area) -> None:
    due_us = NOW_US - media.GIVEN_UP_US[area]
    for at_us, found in ((due_us - 1, True), (due_us + 1, False)):
        blobs = blobs_with(PICTURE, area=area, at_us=at_us)
        told = complaints(held(NODE, blobs, shows=False), held(OTHER, blobs_with(), shows=False))
        assert ("still" in told) is found


def test_a_clock_that_was_ahead_keeps_it_everywhere() -> None:
    old_us = NOW_US - 2 * media.GIVEN_UP_US[Area.KEPT]
    old, ahead = (blobs_with(PICTURE, at_us=at_us) for at_us in (old_us, NOW_US + 400_000_000))
    assert "still keeps" not in complaints(held(NODE, old, shows=False), held(OTHER, ahead, shows=False))


def test_what_was_seen_and_told_is_judged() -> None:
    nodes = held(NODE, blobs_with(PICTURE)), held(OTHER, blobs_with(PICTURE))
    changed = Looked(*NAME, "n", 1.0, "", changed=True)
    unseen = Looked(*NAME, "n", 1.0, "not_found", changed=False)
    assert "other bytes" in complaints(*nodes, change=lambda history: history.looked.append(changed))
    assert "not_found" in complaints(*nodes, change=lambda history: history.visited.append(unseen))
    assert not complaints(*nodes, change=lambda history: history.looked.append(unseen))
    wrong = Audit("what it takes", 5, (4, 6))
    assert "what it takes" in complaints(*nodes, change=lambda history: history.audits.append(wrong))


class Watched:
    """A watch over two disks, the second of which has the post."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.watch = MediaWatch(lambda node, key: True, lambda: self.now_s)
        self.blobs = blobs_with(PICTURE)
        for name, node_id in (("n", NODE), ("o", OTHER)):
            files = self.blobs.files if name == "n" else SimulatedFiles()
            assert isinstance(files, SimulatedFiles)
            self.watch.booted(name, node_id, MemoryEngine(), files, DATA)

    def asked(self, method: str, told: object) -> list[str]:
        params = {"account": NAME.account, "hash": NAME.hash, "hashes": [NAME.hash]}
        question = Question("n", method, params)
        self.watch.heard(question)
        self.watch.answered(question, told)
        return self.watch.complaints


def test_a_promise_to_keep_is_held_against_the_disk() -> None:
    assert not Watched().asked(KEEP, {})
    watched = Watched()
    watched.blobs.files.rename(watched.blobs._file(Area.KEPT, NAME), DATA / "media" / "elsewhere")
    watched.blobs.files.sync_folder(watched.blobs._file(Area.KEPT, NAME).parent)
    assert "a power cut may take it" in watched.asked(KEEP, {})[0]


def test_a_denied_reference_is_found() -> None:
    watched = Watched()
    assert not watched.asked(REFERS, {"hashes": []})
    watched.watch.wrote("n", POST.key, CELL)
    assert not watched.asked(REFERS, {"hashes": [NAME.hash]})
    assert "knows of no reference" in watched.asked(REFERS, {"hashes": []})[0]


@pytest.mark.parametrize(
    ("where", "after_s", "found"), [("n", 0.1, True), ("o", LONG_S + 1, True), ("o", LONG_S - 1, False)]
)
def test_erasing_what_is_referred_to_is_found(where: str, after_s: float, found: bool) -> None:
    watched = Watched()
    watched.watch.wrote(where, POST.key, CELL)
    watched.now_s = after_s
    watched.watch.unlinked("n", watched.blobs._file(Area.KEPT, NAME))
    assert bool(watched.watch.complaints) is found


def test_what_a_clock_had_kept_is_not_waited_for_by_anybody() -> None:
    day_us = 24 * media.HOUR_US
    late, early = (blobs_with(PICTURE, at_us=NOW_US + sign * day_us) for sign in (1, -1))
    nodes = held(NODE, late, shows=False), held(OTHER, early, shows=False)
    assert media.is_tidy(nodes, RANGES)
    assert media.kept_ahead(nodes) == {NAME}
    assert not media.is_tidy(nodes[1:], RANGES)
    left = held(NODE, early, shows=False), held(OTHER, early, shows=False)
    assert "to which nothing refers" in complaints(*left)
    excused = complaints(*left, change=lambda history: history.ahead.add(NAME))
    assert "to which nothing refers" not in excused
