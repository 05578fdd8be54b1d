"""What people do in a run of load, and when: all of it is drawn before the clock starts.

*timeline*: nine of ten requests read a home feed, one posts. *viral*: the most followed account has posted
something, and everybody likes, reposts and answers it, and reads the thread. *firehose*: everybody posts.

Reads are due at exponentially distributed times. So are writes, unless there is a burst to go by. Who acts is
drawn by Zipf's law over the ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

from folkmoot.cli.bench.burst import Burst, Sort
from folkmoot.cli.bench.graph import zipf_ladder

DEEDS_MAX: Final = 200_000
HOME_SHARE: Final = 0.9
THREAD_SHARE: Final = 0.3


class Action(StrEnum):
    """One thing that people do."""

    POST = "post"
    LIKE = "like"
    REPOST = "repost"
    REPLY = "reply"
    HOME = "home"
    THREAD = "thread"


WRITES: Final = frozenset({Action.POST, Action.LIKE, Action.REPOST, Action.REPLY})
_REACTION: Final = {
    Sort.POST: Action.LIKE,
    Sort.MENTION: Action.LIKE,
    Sort.REPOST: Action.REPOST,
    Sort.REPLY: Action.REPLY,
}
_REACTIONS_DRAWN: Final = (Action.LIKE, Action.REPOST, Action.REPLY)
_REACTION_WEIGHTS: Final = (6, 2, 1)


class Deed(NamedTuple):
    """Somebody does something.

    Args:
        due_s: seconds after the begin.
        action: what.
        actor: the rank of who does it.
    """

    due_s: float
    action: Action
    actor: int


@dataclass(frozen=True, slots=True)
class Scale:
    """How much.

    Args:
        rate: deeds a second.
        seconds: how long.
        accounts: how many people there are.
        burst: what writes go by, if anything.
    """

    rate: float
    seconds: float
    accounts: int
    burst: Burst | None = None


def timeline(scale: Scale, random: Random) -> list[Deed]:
    """Home feeds and posts; see the module."""
    reads = _drawn(scale, HOME_SHARE, random, lambda: Action.HOME)
    return sorted([*reads, *_writes(scale, 1 - HOME_SHARE, random, lambda sort: Action.POST)])


def viral(scale: Scale, random: Random) -> list[Deed]:
    """One post and all that comes of it; see the module."""
    reads = _drawn(scale, THREAD_SHARE, random, lambda: Action.THREAD)

    def reaction(sort: Sort | None) -> Action:
        if sort is not None:
            return _REACTION[sort]
        (drawn,) = random.choices(_REACTIONS_DRAWN, _REACTION_WEIGHTS)
        return drawn

    return sorted([*reads, *_writes(scale, 1 - THREAD_SHARE, random, reaction)])


def firehose(scale: Scale, random: Random) -> list[Deed]:
    """Posts, as many as there can be; see the module."""
    return sorted(_writes(scale, 1.0, random, lambda sort: Action.POST))


MIXES: Final[Mapping[str, Callable[[Scale, Random], list[Deed]]]] = {
    "timeline": timeline,
    "viral": viral,
    "firehose": firehose,
}


def _writes(
    scale: Scale, share: float, random: Random, action_of: Callable[[Sort | None], Action]
) -> Iterator[Deed]:
    if scale.burst is None:
        yield from _drawn(scale, share, random, lambda: action_of(None))
        return
    count = max(1, round(scale.rate * share * scale.seconds))
    for event in scale.burst.fitted(count, scale.seconds, random):
        yield Deed(event.due_s, action_of(event.sort), event.rank % scale.accounts)


def _drawn(scale: Scale, share: float, random: Random, action_of: Callable[[], Action]) -> Iterator[Deed]:
    ranks = range(scale.accounts)
    ladder = zipf_ladder(scale.accounts)
    due_s = 0.0
    while (due_s := due_s + random.expovariate(scale.rate * share)) < scale.seconds:
        (actor,) = random.choices(ranks, cum_weights=ladder)
        yield Deed(due_s, action_of(), actor)
