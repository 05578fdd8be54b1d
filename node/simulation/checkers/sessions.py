"""I9: with a token, per cell: read your writes, monotonic reads, monotonic writes, writes follow reads.

Each of the four has a check of its own, over what clients did (see `client_history`):

- *read your writes*: a read shows every record that its session had been acknowledged before;
- *monotonic reads*: a read shows all that its session had been shown before;
- *monotonic writes*: whoever is shown a session's record is shown the session's earlier ones as superseded;
- *writes follow reads*: whoever is shown a session's record is shown that what the session had read in its
  cell before is superseded.

The first two hold for reads that carry the token their session was given last. A token that overflows only
says "read this lane at quorum" for some cells, and so stands there for what was written or seen at a quorum.
Where a node ran twice, what is at `all` has reached one of its processes, and is in no token: who asks the
other, which nobody else reaches, need not be told of it below a quorum.

The last two hold for everybody's reads, because they are kept by the records themselves; where several
devices write, as far as a record names what its device had seen.

Source: D. Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (1994).
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from folkmoot.node.simulation.checkers.verdict import Evidence, Inquiry, Verdict
from folkmoot.node.simulation.client_history import Exchange, Paged, Saw, Wrote
from folkmoot.node.simulation.history import QUORUM_LEVELS
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.clock import Clock
from folkmoot.protocol.key import KIND_AT, KIND_BYTE, kind_prefix, parse_key
from folkmoot.protocol.limits import ACCOUNT_BYTES
from folkmoot.protocol.token import Token


class Guarantee(enum.Enum):
    """The four, by the names of the paper."""

    READ_YOUR_WRITES = "read your writes"
    MONOTONIC_READS = "monotonic reads"
    MONOTONIC_WRITES = "monotonic writes"
    WRITES_FOLLOW_READS = "writes follow reads"


def check(evidence: Evidence) -> Verdict:
    """Hold a run to all four; one that nothing was compared for has failed."""
    inquiries = judge(evidence.history.exchanges, ran_twice=evidence.history.ran_twice)
    whole = Inquiry("I9")
    for guarantee, inquiry in inquiries.items():
        whole.compared += inquiry.compared
        whole.complaints += [f"{guarantee.value}: {sentence}" for sentence in inquiry.verdict().complaints]
    return whole.verdict(
        {guarantee.value.replace(" ", "_"): inquiry.compared for guarantee, inquiry in inquiries.items()}
    )


def judge(exchanges: Iterable[Exchange], *, ran_twice: bool = False) -> dict[Guarantee, Inquiry]:
    """Judge a history, guarantee by guarantee.

    Args:
        exchanges: of all sessions; those of one session in the order in which it did them.
        ran_twice: whether a node did.
    """
    inquiries = {guarantee: Inquiry(guarantee.value) for guarantee in Guarantee}
    sessions: dict[int | str, list[Exchange]] = defaultdict(list)
    read_at: dict[bytes, list[tuple[Exchange, Saw]]] = defaultdict(list)
    wrote: list[Wrote] = []
    for exchange in exchanges:
        sessions[exchange.session].append(exchange)
        for saw in exchange.saw:
            read_at[saw.key].append((exchange, saw))
        wrote += exchange.wrote
    hidden = _may_be_hidden(wrote)
    for done in sessions.values():
        _judge_reads(inquiries, done, hidden, ran_twice)
        for write in _writes(done):
            _judge_write(inquiries, write, read_at[write.key])
    return inquiries


def _may_be_hidden(wrote: Sequence[Wrote]) -> set[bytes]:
    """The keys of posts that pages need not show: those that somebody tried to delete, and answers of people
    whom somebody blocks, for whom they answer may not have them there."""
    block = KIND_BYTE["block"]
    blocked = {each.key[-ACCOUNT_BYTES:] for each in wrote if each.key[KIND_AT] == block}

    def is_shunned(post: Wrote) -> bool:
        return post.answers and parse_key(post.key).place in blocked

    return {each.key for each in wrote if each.gone or is_shunned(each)}


class _Floor:
    """What a session's token stands for, cell by cell.

    Args:
        ran_twice: whether what is at `all` is promised to who reads at a quorum alone.
    """

    def __init__(self, ran_twice: bool) -> None:
        self._ran_twice = ran_twice
        self._seen: dict[bytes, Clock] = {}
        self._seen_at_quorum: dict[bytes, Clock] = {}
        self._seen_at_all: dict[bytes, Clock] = {}

    def add(self, key: bytes, clock: Clock, level: str) -> None:
        if self._ran_twice and level == "all":
            floors = [self._seen_at_all]
        elif level in QUORUM_LEVELS:
            floors = [self._seen, self._seen_at_quorum]
        else:
            floors = [self._seen]
        for floor in floors:
            floor[key] = clocks.join(floor.get(key, {}), clock)

    def at(self, key: bytes, token: Token, level: str) -> Clock:
        floor = (self._seen_at_quorum if token.at_quorum(key) else self._seen).get(key, {})
        return clocks.join(floor, self._seen_at_all.get(key, {})) if level in QUORUM_LEVELS else floor

    @property
    def keys(self) -> Iterable[bytes]:
        return self._seen.keys() | self._seen_at_all.keys()


def _judge_reads(
    inquiries: Mapping[Guarantee, Inquiry], session: Sequence[Exchange], hidden: set[bytes], ran_twice: bool
) -> None:
    """Hold each read of a session against what its token stands for.

    Args:
        hidden: see `_may_be_hidden`.
        ran_twice: see `_Floor`.
    """
    given: bytes | None = None
    written, read = _Floor(ran_twice), _Floor(ran_twice)
    for exchange in session:
        if exchange.carried is None:
            written, read = _Floor(ran_twice), _Floor(ran_twice)
        elif exchange.carried != given:
            inquiries[Guarantee.READ_YOUR_WRITES].complain(
                f"{_who(exchange)} carried a token that it was not given last, so its reads cannot be judged"
            )
        token = Token() if exchange.carried is None else Token.decode(exchange.carried)
        for guarantee, floor in (
            (Guarantee.READ_YOUR_WRITES, written),
            (Guarantee.MONOTONIC_READS, read),
        ):
            for saw in exchange.saw:
                _compare_cell(inquiries[guarantee], exchange, saw, floor.at(saw.key, token, exchange.level))
            if exchange.paged is not None:
                _compare_page(inquiries[guarantee], exchange, exchange.paged, floor, token, hidden)
        if exchange.given is not None:
            given = exchange.given
            for wrote in exchange.wrote:
                if wrote.kept:
                    written.add(wrote.key, {wrote.device: wrote.stamp}, exchange.level)
            for saw in exchange.saw:
                read.add(saw.key, saw.clock, exchange.level)


def _compare_cell(inquiry: Inquiry, exchange: Exchange, saw: Saw, floor: Clock) -> None:
    if floor and inquiry.fails(clocks.dominates(saw.clock, floor)):
        inquiry.complain(f"{_who(exchange)} was shown less of {saw.key.hex()} than its token stands for")


def _compare_page(
    inquiry: Inquiry, exchange: Exchange, page: Paged, floor: _Floor, token: Token, hidden: set[bytes]
) -> None:
    prefix = kind_prefix(page.account, "post")
    for key in floor.keys:
        item = key[len(prefix) :]
        if key in hidden or not key.startswith(prefix) or not page.reaches(item):
            continue
        for stamp in floor.at(key, token, exchange.level).values():
            if inquiry.fails(page.shown.get(item, -1) >= stamp):
                inquiry.complain(
                    f"{_who(exchange)} was shown a page that lacks stamp {stamp} of post {item.hex()}, "
                    "which its token stands for"
                )


def _who(exchange: Exchange) -> str:
    return f"session {exchange.session}, on {exchange.node} at {exchange.sent_s:.3f} s,"


class _Write(NamedTuple):
    """A record, and what its session had written and read in its cell before."""

    key: bytes
    device: bytes
    stamp: int
    written: Clock
    read: Clock
    session: int | str


def _writes(session: Sequence[Exchange]) -> Iterable[_Write]:
    written: dict[bytes, Clock] = {}
    read: dict[bytes, Clock] = {}
    for exchange in session:
        if exchange.carried is None:
            written, read = {}, {}
        for each in exchange.wrote:
            before, known = written.get(each.key, {}), read.get(each.key, {})
            named = clocks.join(each.seen, {each.device: each.stamp - 1})
            followed = {device: stamp for device, stamp in known.items() if named.get(device, -1) >= stamp}
            yield _Write(each.key, each.device, each.stamp, before, followed, exchange.session)
            written[each.key] = clocks.join(before, {each.device: each.stamp})
        for saw in exchange.saw:
            read[saw.key] = clocks.join(read.get(saw.key, {}), saw.clock)


def _judge_write(
    inquiries: Mapping[Guarantee, Inquiry], write: _Write, reads: Sequence[tuple[Exchange, Saw]]
) -> None:
    """Hold every read that shows a record against what came before that record in its session."""
    for guarantee, before in (
        (Guarantee.MONOTONIC_WRITES, write.written),
        (Guarantee.WRITES_FOLLOW_READS, write.read),
    ):
        earlier = {
            device: stamp for device, stamp in before.items() if device != write.device or stamp < write.stamp
        }
        if not earlier:
            continue
        for exchange, saw in reads:
            if not clocks.covers(saw.clock, write.device, write.stamp):
                continue
            standing = () if saw.deleted else saw.shown
            superseded = not any(clocks.covers(earlier, *dot) for dot in standing)
            if inquiries[guarantee].fails(clocks.dominates(saw.clock, earlier) and superseded):
                inquiries[guarantee].complain(
                    f"{write.key.hex()} read on {exchange.node} at {exchange.sent_s:.3f} s has stamp "
                    f"{write.stamp} of session {write.session}, and what that session had "
                    f"{'written' if guarantee is Guarantee.MONOTONIC_WRITES else 'read'} before still stands"
                )
