"""Which moments of a film are looked at, and what has to be decoded for them.

A film is packets; those of key frames can be decoded alone, each other one only after all that come before it
from a key frame on. Looked at are key frames, for that is where encoders let a new scene begin, and between
them as many others as it takes that no two stand further apart than two *steps*: whatever is to be seen for
longer is looked at. The first and the last frame are among them.

Where that would cost more than may be spent, steps are made longer, as far as `_LONGER` goes: less is decoded
then where key frames are near each other, and as much where there are none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

FRAMES: Final = 120  # of a film, of either sort: key frames, and others
STEP_S: Final = 1  # the shortest
_LONGER: Final = (1, 2, 4)


class Place(NamedTuple):
    """Where a packet stands.

    Args:
        at: when what is in it is to be seen, in units of the film's own.
        is_key: whether it can be decoded alone.
    """

    at: int
    is_key: bool


class Run(NamedTuple):
    """What is decoded in one go.

    Args:
        first, last: the packets, by their numbers; both belong to it.
        wanted: when what is looked at is to be seen, ascending.
    """

    first: int
    last: int
    wanted: tuple[int, ...]


def plan(places: Sequence[Place], second: float, packets_max: int) -> list[Run]:
    """What to decode of a film, the cheapest first.

    Args:
        places: of its packets, in the order in which they are decoded; at least one.
        second: how many units there are in a second.
        packets_max: how many may be decoded. Where it cannot be done with so few all the same is told: who
            decodes has to stop then.
    """
    length = max(each.at for each in places) - min(each.at for each in places)
    step = max(STEP_S * second, length / FRAMES)
    for longer in _LONGER:
        runs = _runs(places, max(1, round(step * longer)))
        if sum(run.last + 1 - run.first for run in runs) <= packets_max:
            break
    return runs


def spread(count: int, chosen: int) -> list[int]:
    """Some of so many numbers, evenly spread, the first and the last among them; all when there are few."""
    if count <= chosen:
        return list(range(count))
    return [index * (count - 1) // (chosen - 1) for index in range(chosen)]


def _runs(places: Sequence[Place], step: int) -> list[Run]:
    keys = [0, *(index for index, place in enumerate(places) if place.is_key and index)]
    alone = {keys[index] for index in spread(len(keys), FRAMES)}
    between: dict[int, set[int]] = {}  # by the key frame from which it is decoded
    for index in _between(places, sorted(places[key].at for key in alone), step):
        between.setdefault(_begin(places, keys, index), set()).add(index)
    runs = [Run(key, key, (places[key].at,)) for key in sorted(alone - between.keys())]
    for key in sorted(between):
        wanted = between[key] | ({key} if key in alone else set())
        runs.append(Run(key, max(wanted), tuple(sorted({places[index].at for index in wanted}))))
    return sorted(runs, key=lambda run: run.last - run.first)


def _between(places: Sequence[Place], seen: Sequence[int], step: int) -> set[int]:
    """The packets to be looked at where nothing that is `seen` is near."""
    shown = sorted((place.at, index) for index, place in enumerate(places))
    begin, end = shown[0][0], shown[-1][0]
    found = set()
    for moment in (*range(begin, end, step), end):
        nearest = bisect_right(seen, moment)
        around = seen[max(nearest - 1, 0) : nearest + 1]
        allowed = 0 if moment == end else step // 2
        if not any(abs(each - moment) <= allowed for each in around):
            found.add(shown[bisect_right(shown, (moment, len(places))) - 1][1])
    return found


def _begin(places: Sequence[Place], keys: Sequence[int], index: int) -> int:
    """The key frame to begin with: what is to be seen before one that it follows rests on an earlier one."""
    number = bisect_right(keys, index) - 1
    while number > 0 and places[keys[number]].at > places[index].at:
        number -= 1
    return keys[number]
