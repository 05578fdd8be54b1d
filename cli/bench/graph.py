"""Who follows whom in a run of load: a real graph from files, or one made up with a tail as heavy.

Accounts are numbered by rank: 0 is the one with the most followers. So what is active can be laid over what
is followed, whatever the files call their people.
"""

from __future__ import annotations

import gzip
import hashlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import BinaryIO, Final, cast

from folkmoot.cli.errors import OperatorError

ACCOUNTS_MAX: Final = 1_000_000
FOLLOWS_MAX: Final = 20_000_000
LINE_BYTES_MAX: Final = 4_096
MADE_UP_ACCOUNTS: Final = 1_000
MADE_UP_FOLLOWS_EACH: Final = 10
_GZIP_MAGIC: Final = b"\x1f\x8b"
_DIRECTED: Final = ("follower", "followee")


class FollowGraph:
    """Follows among numbered accounts.

    Args:
        accounts: how many.
        followers, followees: the two ends of every follow, by rank.
    """

    def __init__(self, accounts: int, followers: array[int], followees: array[int]) -> None:
        self.accounts = accounts
        self.followers = followers
        self.followees = followees

    def __len__(self) -> int:
        return len(self.followers)

    def edges(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The follows from `start` to before `stop`: (follower, followee)."""
        return zip(self.followers[start:stop], self.followees[start:stop], strict=True)

    @property
    def digest(self) -> str:
        """What tells this graph from others, 16 hexadecimal digits."""
        hashed = hashlib.sha256(b"%d" % self.accounts)
        hashed.update(self.followers.tobytes())
        hashed.update(self.followees.tobytes())
        return hashed.hexdigest()[:16]


def read_graph(files: Sequence[Path], accounts: int | None = None) -> FollowGraph:
    """The graph in some files, gzipped or not: a heading and two columns, between which is a tab.

    A file headed `follower` and `followee` says who follows whom; any other one names pairs who follow each
    other. People of several files are different people.

    Args:
        files: at least one.
        accounts: keep so many, those with the most followers, and the follows among them.

    Raises:
        OperatorError: a file cannot be read, is not of that form, or holds too much.
    """
    numbers: dict[tuple[int, bytes], int] = {}
    followers, followees = array("I"), array("I")
    for index, file in enumerate(files):
        for follower, followee in _pairs(file):
            one = numbers.setdefault((index, follower), len(numbers))
            other = numbers.setdefault((index, followee), len(numbers))
            if one != other:
                followers.append(one)
                followees.append(other)
        if len(numbers) > ACCOUNTS_MAX or len(followers) > FOLLOWS_MAX:
            raise OperatorError(
                f"{file}: over {ACCOUNTS_MAX:,} accounts or {FOLLOWS_MAX:,} follows", hint="a smaller file"
            )
    if not followers:
        raise OperatorError(f"{files[0]}: nobody follows anybody in it")
    return _ranked(len(numbers), followers, followees, accounts)


def made_up_graph(random: Random, accounts: int | None = None) -> FollowGraph:
    """A graph whose followers fall off with rank as Zipf's law has it, and everybody follows about ten.

    Args:
        random: draws it; equal generators draw the same.
        accounts: how many; a thousand if not given.
    """
    count = accounts or MADE_UP_ACCOUNTS
    ladder = zipf_ladder(count)
    followers, followees = array("I"), array("I")
    for follower in range(count):
        wanted = random.choices(range(count), cum_weights=ladder, k=2 * MADE_UP_FOLLOWS_EACH)
        others = [followee for followee in dict.fromkeys(wanted) if followee != follower]
        for followee in others[:MADE_UP_FOLLOWS_EACH]:
            followers.append(follower)
            followees.append(followee)
    return _ranked(count, followers, followees, None)


def zipf_ladder(count: int) -> list[float]:
    """Running sums of 1 / (rank + 1), to draw ranks with."""
    return list(accumulate(1 / (rank + 1) for rank in range(count)))


def _pairs(file: Path) -> Iterator[tuple[bytes, bytes]]:
    try:
        with closing(open_text(file)) as lines:
            heading = lines.readline(LINE_BYTES_MAX).decode(errors="replace").split()
            mutual = tuple(heading) != _DIRECTED
            for line in iter(lambda: lines.readline(LINE_BYTES_MAX), b""):
                one, tab, other = line.rstrip(b"\r\n").partition(b"\t")
                if not tab or not one or not other:
                    raise OperatorError(f"{file}: {line[:60]!r} is not two names with a tab between them")
                yield one, other
                if mutual:
                    yield other, one
    except (OSError, EOFError) as error:
        raise OperatorError(f"{file} cannot be read: {error}") from error


def open_text(file: Path) -> BinaryIO:
    """A file, unpacked if it is gzipped. Raises OSError."""
    with file.open("rb") as opened:
        packed = opened.read(2) == _GZIP_MAGIC
    return cast("BinaryIO", gzip.open(file) if packed else file.open("rb"))


def _ranked(count: int, followers: array[int], followees: array[int], keep: int | None) -> FollowGraph:
    """Number accounts by their followers, the most first; of equals, as they came. Drop what is not kept."""
    followed = [0] * count
    for followee in followees:
        followed[followee] += 1
    order = sorted(range(count), key=lambda number: -followed[number])
    kept = count if keep is None else min(keep, count)
    rank = [0] * count
    for place, number in enumerate(order):
        rank[number] = place
    edges = sorted(
        {
            (rank[follower], rank[followee])
            for follower, followee in zip(followers, followees, strict=True)
            if rank[follower] < kept and rank[followee] < kept
        }
    )
    return FollowGraph(kept, array("I", (edge[0] for edge in edges)), array("I", (edge[1] for edge in edges)))
