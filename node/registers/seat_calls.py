"""Asking seats, here and elsewhere, and remembering how far each one was.

The greatest sequence a seat has told goes with every request to it: a seat that is behind that has lost what
it promised, and finds out so (see `actors.acceptor`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import limits
from folkmoot.protocol.consensus import wire
from folkmoot.protocol.consensus.configuration import Configuration, Seat
from folkmoot.protocol.consensus.messages import Answer, Ask, Outdated, Unseated
from folkmoot.protocol.consensus.proposer import Send
from folkmoot.protocol.errors import STALE_TOPOLOGY, WireError
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)


class OwnSeat(Protocol):
    """The seat of this node, asked without a message."""

    @property
    def configuration(self) -> Configuration | None: ...

    def names(self, asked: wire.NamesParams) -> list[str]: ...

    async def answer(self, ask: Ask, seen: int = 0) -> wire.AskResult: ...


class SeatCalls:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        peers: the other nodes.
    """

    _own: OwnSeat

    def __init__(self, node_id: bytes, peers: Peers) -> None:
        self._node_id = node_id
        self._peers = peers
        self._seen: dict[bytes, int] = {}

    def follow(self, own: OwnSeat) -> None:
        """Say, before anything is asked, where this node's own seat is."""
        self._own = own

    def seen_of(self, seat: bytes) -> int:
        """The greatest sequence a seat (id) has told this node; 0 for none."""
        return self._seen.get(seat, 0)

    async def ask(self, send: Send) -> Answer | None:
        """A seat's answer; None when there is none."""
        seat, ask = send
        seen = self.seen_of(seat.id)
        try:
            if seat.node == self._node_id:
                with trio.fail_after(limits.REGISTER_ASK_TIMEOUT_S):
                    answered = await self._own.answer(ask, seen)
            else:
                params = wire.plain(wire.AskParams(ask, seen))
                answered = wire.read_answer(
                    await self._peers.call(seat.node, wire.ASK, params, limits.REGISTER_ASK_TIMEOUT_S)
                )
        except WireError as error:
            if error.kind is not STALE_TOPOLOGY:
                log.debug("seat %s does not answer: %s", seat.id.hex()[:8], error)
                return None
            return _refusal(error, seat)
        except (PeerUnreachable, StorageError, trio.TooSlowError) as error:
            log.debug("seat %s does not answer: %s", seat.id.hex()[:8], error)
            return None
        self._note(seat.id, answered.sequence)
        return answered.answer

    def _note(self, seat: bytes, sequence: int) -> None:
        """Remember how far a seat was, of the seats there are."""
        configuration = self._own.configuration
        known = () if configuration is None else configuration.all_seats
        if any(each.id == seat for each in known):
            self._seen[seat] = max(self._seen.get(seat, 0), sequence)
        if len(self._seen) > 2 * len(known):
            self._seen = {each.id: self._seen[each.id] for each in known if each.id in self._seen}

    async def names_of(self, seat: Seat, configuration: Configuration) -> set[str] | None:
        """The registers one seat keeps; None when it does not say."""
        names: set[str] = set()
        after = ""
        while True:
            params = wire.plain(wire.NamesParams(seat.id, configuration, after))
            page: Sequence[str]
            try:
                if seat.node == self._node_id:
                    page = self._own.names(wire.NamesParams(seat.id, configuration, after))
                else:
                    timeout_s = limits.REGISTER_ASK_TIMEOUT_S
                    answer = await self._peers.call(seat.node, wire.NAMES, params, timeout_s)
                    page = wire.read_names_result(answer).names
            except (WireError, PeerUnreachable) as error:
                log.debug("seat %s does not list its registers: %s", seat.id.hex()[:8], error)
                return None
            names.update(page)
            if len(page) < limits.REGISTER_NAMES:
                return names
            after = page[-1]


def _refusal(error: WireError, seat: Seat) -> Answer:
    """What it means that a node does not hold a seat: perhaps there is a newer configuration."""
    told = (error.details or {}).get("configuration")
    try:
        return Unseated(seat.id) if told is None else Outdated(Configuration.from_wire(told))
    except WireError:
        return Unseated(seat.id)
