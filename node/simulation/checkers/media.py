"""Media: what posts show is kept by every replica and seen everywhere; what nothing shows is gone in the end.

Files are looked at on the disks, byte by byte, and compared with what photographers drew. What has to be
gone is worked out from the times of the files, by the clocks of the nodes that keep them: a clock that was
ahead for a while keeps something for longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from folkmoot.node.simulation.checkers.verdict import Evidence, HeldCells, Inquiry, Verdict
from folkmoot.node.simulation.layout import MEDIA
from folkmoot.node.simulation.media_watch import account_at
from folkmoot.node.simulation.pictures import Picture
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.media.references import hashes_in, may_refer
from folkmoot.protocol.ring.ranges import RangeMap
from folkmoot.storage.media.layout import UNUSED, Area, Name, account_of, head_of, room_of

SHOWN_S_MAX = 90.0
TIDIED_S_MAX = 110.0
HOUR_US = 3_600_000_000
SWEEP_US = int(MEDIA.sweep_minutes * 60_000_000)
SLACK_US = 5_000_000  # for everybody to be asked
GIVEN_UP_US = {
    Area.KEPT: int((MEDIA.unused_hours + MEDIA.grace_hours) * HOUR_US) + 3 * SWEEP_US + SLACK_US,
    Area.CACHE: int(MEDIA.cache_hours * HOUR_US) + SWEEP_US + SLACK_US,
    Area.PARTIAL: int(MEDIA.upload_hours * HOUR_US) + SWEEP_US + SLACK_US,
}
"""For how long what nothing refers to may stay, from when it came or was noted as unused."""

Pictures = Mapping[tuple[bytes, bytes], Picture]


class Lying(NamedTuple):
    """One medium in an area of a disk.

    Attributes:
        size: of its file, in bytes.
        newest_us: when it came, was renewed or noted as unused, by its node's clock.
    """

    size: int
    newest_us: int


def check(evidence: Evidence) -> Verdict:
    """Look at every disk, and at what people and nodes were told."""
    inquiry = Inquiry("media")
    watch, history, quiet = evidence.witness.media, evidence.history, evidence.quiet
    wanted = referred(evidence.held, evidence.ranges)
    inquiry.compared += len(wanted) * len(evidence.held) + watch.kept + watch.asked + watch.erased
    inquiry.complaints += watch.complaints
    inquiry.complaints += lacking(evidence.held, evidence.ranges, history.pictures)
    inquiry.complaints += left_over(evidence.held, evidence.ranges, history.ahead)
    for looked in (*history.looked, *history.visited):
        if inquiry.fails(not looked.changed):
            inquiry.complain(f"{looked.node} told other bytes of medium {looked.hash.hex()} than it has")
    for looked in history.visited:
        if inquiry.fails(not looked.failure):
            inquiry.complain(
                f"{looked.node} did not show medium {looked.hash.hex()}, to which posts refer, "
                f"at {looked.at_s:.3f} s: {looked.failure}"
            )
    for audit in history.audits:
        if inquiry.fails(audit.told in audit.found):
            inquiry.complain(f"{audit.what} was told as {audit.told}; by the disks it is {audit.found}")
    for seconds, most, what in (
        (quiet.shown_s, SHOWN_S_MAX, "every replica had what is shown"),
        (quiet.tidied_s, TIDIED_S_MAX, "what nothing shows was gone"),
    ):
        if seconds is None or seconds > most:
            inquiry.complain(f"it took {seconds or 'too many'} s, not {most}, until {what}")
    facts = {"shown": len(wanted), "erased": watch.erased, "visits": len(history.visited)}
    times = {"shown_s": quiet.shown_s or 0.0, "tidied_s": quiet.tidied_s or 0.0}
    return inquiry.verdict(facts | times)


def referred(held: Sequence[HeldCells], ranges: RangeMap) -> set[Name]:
    """The media that cells refer to, by what the first replica of each range holds."""
    by_id = {each.node_id: each for each in held}
    found: set[Name] = set()
    for owner in ranges.ranges:
        holder = next((by_id[node] for node in owner.nodes() if node in by_id), None)
        for key, cell in () if holder is None else holder.cells.items():
            if may_refer(key, cell) and owner.covers(key):
                found.update(Name(account_at(key), digest) for digest in hashes_in(cell))
    return found


def lying(held: HeldCells, area: Area) -> dict[Name, Lying]:
    """What lies in an area of a disk."""
    found: dict[Name, Lying] = {}
    root, files = held.data / "media" / area.value, held.files
    for lane in files.names(root) if files.exists(root) else ():
        for folder in files.names(root / lane):
            account = account_of(folder)
            names = files.names(root / lane / folder)
            for name in names:
                if account is None or name.endswith(UNUSED):
                    continue
                path = root / lane / folder / name
                status = files.status(path)
                times = [status.changed_us]
                if name + UNUSED in names:
                    times.append(files.status(path.with_name(name + UNUSED)).changed_us)
                found[Name(account, bytes.fromhex(name))] = Lying(status.size, max(times))
    return found


def lacking(held: Sequence[HeldCells], ranges: RangeMap, pictures: Pictures) -> list[str]:
    """What replicas do not have, or have otherwise than it was drawn, a sentence each."""
    return list(_lacking(held, ranges, pictures))


def _lacking(held: Sequence[HeldCells], ranges: RangeMap, pictures: Pictures) -> Iterator[str]:
    wanted = referred(held, ranges)
    for each in held:
        kept = lying(each, Area.KEPT)
        for name in sorted(wanted):
            if each.node_id not in ranges.lookup(place_prefix(name.account)).nodes():
                continue
            if name not in kept:
                yield f"{each.name} does not keep medium {name.hash.hex()}, to which posts refer"
            elif not _is_as_drawn(each, name, pictures):
                yield f"{each.name} keeps medium {name.hash.hex()} otherwise than it was drawn"


def _is_as_drawn(held: HeldCells, name: Name, pictures: Pictures) -> bool:
    picture = pictures.get((name.account, name.hash))
    if picture is None:
        return False
    should = head_of(picture.manifest) + picture.data
    place = place_prefix(name.account).hex()
    path = held.data / "media" / Area.KEPT.value / place[:2] / place / name.hash.hex()
    return held.files.open(path).read(len(should) + 1, 0) == should


def left_over(held: Sequence[HeldCells], ranges: RangeMap, ahead: Set[Name] = frozenset()) -> list[str]:
    """What is still there although nothing refers to it, or its range went elsewhere, a sentence each.

    Args:
        ahead: what may stay, though nothing refers to it; a crash may since have put a file's time back.
    """
    wanted = referred(held, ranges)
    told: list[str] = []
    left_us = kept_for(held)
    for each in held:
        for name in sorted(lying(each, Area.KEPT)):
            if each.node_id not in ranges.lookup(place_prefix(name.account)).nodes():
                told.append(f"{each.name} keeps medium {name.hash.hex()}, whose range others have")
            elif name not in wanted | ahead and left_us[name] < 0:
                told.append(f"{each.name} still keeps medium {name.hash.hex()}, to which nothing refers")
        for area in (Area.CACHE, Area.PARTIAL):
            told += [
                f"{each.name} still has medium {name.hash.hex()} among what is {area.value}"
                for name, medium in sorted(lying(each, area).items())
                if medium.newest_us + GIVEN_UP_US[area] < each.wall_us
            ]
    return told


def kept_for(held: Sequence[HeldCells]) -> dict[Name, int]:
    """For how many microseconds each medium may still be kept if nothing refers to it, whoever keeps it."""
    found: dict[Name, int] = {}
    for each in held:
        for name, medium in lying(each, Area.KEPT).items():
            left_us = medium.newest_us + GIVEN_UP_US[Area.KEPT] - each.wall_us
            found[name] = max(left_us, found.get(name, left_us))
    return found


def kept_ahead(held: Sequence[HeldCells]) -> set[Name]:
    """The media that a clock that was ahead had somebody keep for long: so nobody gives them up soon."""
    return {name for name, left_us in kept_for(held).items() if left_us >= 2 * GIVEN_UP_US[Area.KEPT]}


def is_tidy(held: Sequence[HeldCells], ranges: RangeMap) -> bool:
    """Whether nothing lies anywhere that will be given up soon, or should have been."""
    kept = set(kept_for(held)) - referred(held, ranges)
    return kept <= kept_ahead(held) and not left_over(held, ranges)


def used_by(held: HeldCells, account: bytes) -> int:
    """How much room the media of an account take on a disk."""
    kept = lying(held, Area.KEPT).items()
    return sum(room_of(medium.size) for name, medium in kept if name.account == account)


def used_in(held: HeldCells, area: Area) -> int:
    """How much room an area takes on a disk."""
    return sum(room_of(medium.size) for medium in lying(held, area).values())
