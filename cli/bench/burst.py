"""A real burst, laid over the accounts of a run: who acted when, by rank of activity, its time compressed.

The busiest of the file becomes the account with the most followers, and so on down. Of more events than a run
has room for some are drawn, which keeps the shape: where the file is three times as dense, so is the run.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from random import Random
from typing import BinaryIO, Final, NamedTuple

import msgspec
from folkmoot.cli.bench.graph import open_text
from folkmoot.cli.errors import OperatorError

EVENTS_MAX: Final = 2_000_000
LINE_BYTES_MAX: Final = 1 << 20
SPREAD_S: Final = 60.0
_HEADING: Final = ["actor", "target", "unix_time", "type"]


class Sort(IntEnum):
    """What somebody did, as far as the file says."""

    POST = 0
    REPOST = 1
    REPLY = 2
    MENTION = 3


_SORTS: Final = {"RT": Sort.REPOST, "RE": Sort.REPLY, "MT": Sort.MENTION}


class Event(NamedTuple):
    """Something in a run.

    Args:
        due_s: seconds after its begin.
        rank: of who does it, by activity; 0 is the busiest.
        sort: what.
    """

    due_s: float
    rank: int
    sort: Sort


class _Line(msgspec.Struct):
    author: str
    created_at: str
    is_repost: bool = False
    repost_of: str | None = None
    reply_to: str | None = None


class Burst:
    """What a file says happened.

    Args:
        times_s: when, ascending.
        ranks: who.
        sorts: what.
    """

    def __init__(self, times_s: array[float], ranks: array[int], sorts: bytearray) -> None:
        self.times_s = times_s
        self.ranks = ranks
        self.sorts = sorts

    def __len__(self) -> int:
        return len(self.times_s)

    def fitted(self, count: int, seconds: float, random: Random) -> list[Event]:
        """So many of its events, in the shape of the whole, within so many seconds.

        Args:
            count: how many; more than there are happen again.
            seconds: how long the whole takes.
            random: draws which.
        """
        every = range(len(self))
        chosen = random.sample(every, count) if count <= len(self) else random.choices(every, k=count)
        begin_s = self.times_s[0]
        span_s = max(self.times_s[-1] - begin_s, 1e-9)
        return [
            Event(
                (self.times_s[index] - begin_s) / span_s * seconds, self.ranks[index], Sort(self.sorts[index])
            )
            for index in sorted(chosen)
        ]


def read_burst(file: Path) -> Burst:
    """A burst from a file, gzipped or not.

    Either a heading `actor target unix_time type` and lines of that, with tabs between (types are RT, MT and
    RE), or posts as JSON objects, one a line, with `author` and `created_at`, as `import` takes them.

    Raises:
        OperatorError: it cannot be read, or is neither.
    """
    events: list[tuple[float, int, Sort]] = []
    actors: dict[str, int] = {}
    try:
        with closing(open_text(file)) as lines:
            for at_s, actor, sort in _events(file, lines):
                events.append((at_s, actors.setdefault(actor, len(actors)), sort))
                if len(events) > EVENTS_MAX:
                    raise OperatorError(f"{file} has over {EVENTS_MAX:,} events", hint="a part of it")
    except (OSError, EOFError) as error:
        raise OperatorError(f"{file} cannot be read: {error}") from error
    if not events:
        raise OperatorError(f"{file}: nothing happens in it")
    events.sort()
    busiest = Counter(actor for _, actor, _ in events).most_common()
    rank = {actor: place for place, (actor, _) in enumerate(busiest)}
    return Burst(
        _spread([at_s for at_s, _, _ in events]),
        array("I", (rank[actor] for _, actor, _ in events)),
        bytearray(sort for _, _, sort in events),
    )


def _events(file: Path, lines: BinaryIO) -> Iterator[tuple[float, str, Sort]]:
    first = lines.readline(LINE_BYTES_MAX)
    rest = iter(lambda: lines.readline(LINE_BYTES_MAX), b"")
    if first.decode(errors="replace").split() == _HEADING:
        for line in rest:
            yield _interaction(file, line)
    elif first:
        decoder = msgspec.json.Decoder(_Line)
        yield _post(file, first, decoder)
        for line in rest:
            yield _post(file, line, decoder)


def _interaction(file: Path, line: bytes) -> tuple[float, str, Sort]:
    try:
        actor, _, at_s, kind = line.decode().split()
        return float(at_s), actor, _SORTS[kind]
    except (ValueError, KeyError):
        raise OperatorError(f"{file}: {line[:60]!r} is not actor, target, unix_time and type") from None


def _post(file: Path, line: bytes, decoder: msgspec.json.Decoder[_Line]) -> tuple[float, str, Sort]:
    try:
        read = decoder.decode(line)
        at = datetime.fromisoformat(read.created_at)
    except (msgspec.MsgspecError, ValueError) as error:
        raise OperatorError(f"{file}: {line[:60]!r} is no post with author and created_at: {error}") from None
    sort = Sort.REPOST if read.is_repost or read.repost_of else Sort.REPLY if read.reply_to else Sort.POST
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp(), read.author, sort


def _spread(times_s: list[float]) -> array[float]:
    """Times, those that are equal dealt out evenly until the next one: files tell minutes or seconds only."""
    spread = array("d")
    start = 0
    while start < len(times_s):
        end = start
        while end < len(times_s) and times_s[end] == times_s[start]:
            end += 1
        gap_s = min(times_s[end] - times_s[start], SPREAD_S) if end < len(times_s) else SPREAD_S
        spread.extend(times_s[start] + gap_s * step / (end - start) for step in range(end - start))
        start = end
    return spread
