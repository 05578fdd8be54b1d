"""The follower of the community: what the register held last, as far as this node knows, on its own disk.

A node that had the register changed keeps what came of it and tells the others that there is something new;
gossip says the same, by the register's version. Whoever hears of it reads the register and believes nothing
else. So roles and policy are known within moments, and a node that is cut off, or starts while most seats are
away, goes by what it knew.

Nobody may hear of a change whose node ended before it told anybody: every node looks now and then by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.community.register import NOTHING, Known
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec, limits
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.value import Community
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.gossip.members import Member
from folkmoot.protocol.ring.roster import Roster
from folkmoot.storage import relapsing
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission, WriteTransaction
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

TELL: Final = "community.tell"

# The key under which a member's gossip carries the version of the register that it knows.
META_KEY: Final = "community"

_STORED: Final = "community"

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]
Version = Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)]


class _Tell(Struct):
    """`community.tell`: the register has reached a version."""

    version: Version


class Register(Protocol):
    """See `community.register`."""

    async def read(self) -> Known: ...


class Gossip(Protocol):
    """What is known of members, and when it changes."""

    def members(self) -> Mapping[bytes, Member]: ...

    def reachable(self, node_id: bytes) -> bool: ...

    async def wait_changed(self, seen: int) -> int: ...


class Members(Protocol):
    """Who is a member."""

    @property
    def roster(self) -> Roster | None: ...


class CommunityFollower:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        register: read when somebody says that it has changed.
        commits: this node's store.
        members, gossip, peers: whom to tell, and who tells.
        announce: spreads a version by gossip.
    """

    def __init__(
        self,
        node_id: bytes,
        register: Register,
        commits: Commits,
        members: Members,
        gossip: Gossip,
        peers: Peers,
        announce: Callable[[int], None],
    ) -> None:
        self._node_id = node_id
        self._register = register
        self._commits = commits
        self._members = members
        self._gossip = gossip
        self._peers = peers
        self._announce = announce
        self._known = NOTHING
        self._heard = 0
        self._looked_at = trio.current_time()
        self._wake = trio.Event()
        self._keeping = trio.Lock()
        self._listeners: list[Callable[[], None]] = []

    # What the rest of the node asks.

    @property
    def known(self) -> Known:
        """What the register held last, as far as this node knows."""
        return self._known

    @property
    def looked_ago_s(self) -> float:
        """How long ago this node last read the register, or was started."""
        return trio.current_time() - self._looked_at

    def watch(self, listener: Callable[[], None]) -> None:
        """Have something called whenever another value is known; it must be quick, and not wait."""
        self._listeners.append(listener)

    async def adopt(self, known: Known) -> None:
        """Go by what was decided, unless something later is known: durable first, then seen and told.

        Raises:
            StorageError: it could not be kept.
        """
        await self._keep(known, lambda: known.version > self._known.version)

    async def tell(self) -> None:
        """Have the others know that there is something new, as far as they can be reached."""
        params = {"version": self._known.version}

        async def tell(node_id: bytes) -> None:
            try:
                await self._peers.call(node_id, TELL, params, bounds.COMMUNITY_TELL_S)
            except (WireError, PeerUnreachable) as error:
                log.info("node %s was not told of the community: %s", node_id.hex()[:8], error)

        async with trio.open_nursery() as nursery:
            for node_id in self.others():
                nursery.start_soon(tell, node_id)

    def others(self) -> list[bytes]:
        """The members that can be reached."""
        roster = self._members.roster
        nodes = [] if roster is None else [node.node_id for node in roster.nodes]
        return [node for node in nodes if node != self._node_id and self._gossip.reachable(node)]

    # What peers ask.

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {TELL: self._told}

    async def _told(self, node_id: bytes, params: Any) -> dict[str, Any]:
        self._hear(codec.shaped(params, _Tell, TELL).version)
        return {}

    # How it comes to know.

    async def open(self) -> None:
        """Go by what was known before this start. A damaged value is read anew, from the register."""
        try:
            kept = self._commits.store.meta_get(_STORED)
            if kept is not None:
                version, body = codec.shaped(codec.unpack(kept), tuple[Version, bytes], "what was kept")
                self._known = Known(version, Community.decode(body))
                self._announce(version)
                lapses = self._known.community.lapses
                await self._commits.run(lambda tx: relapsing.keep(tx, lapses), Admission.ESSENTIAL)
        except (StorageError, WireError) as error:
            log.error("what was known of roles and policy is damaged and read anew: %s", error)
            self._heard = limits.EPOCH_MAX
            self._wake.set()

    async def run(self) -> None:
        """Read the register whenever there is news of it, and now and then, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            while True:
                with trio.move_on_after(bounds.COMMUNITY_READ_S):
                    await self._wake.wait()
                self._wake = trio.Event()
                if not await self._look():
                    await trio.sleep(bounds.COMMUNITY_RETRY_S)

    async def _listen(self) -> None:
        """Hear what gossip says of the register's version, for ever."""
        seen = -1
        while True:
            seen = await self._gossip.wait_changed(seen)
            roster = self._members.roster
            told = [
                _version_of(member)
                for node_id, member in self._gossip.members().items()
                if roster is not None and node_id in roster
            ]
            self._hear(max(told, default=0))

    def _hear(self, version: int) -> None:
        """Look at the register, if it is said to be at another version than the one heard of and known."""
        if version > max(self._known.version, self._heard):
            self._heard = version
            self._wake.set()

    async def _look(self) -> bool:
        """Read the register; whether that brought something new. If it cannot be read it is tried again."""
        before = self._known
        began = trio.current_time()
        try:
            found = await self._register.read()
            # Versions only grow, but for registers that were given up with their seats: then what is decided
            # since counts, and a read that began with what is known shows it.
            await self._keep(found, lambda: found != before and self._known is before)
        except (WireError, StorageError) as error:
            log.info("the community's register cannot be read now: %s", error)
            if self._heard > self._known.version:
                self._wake.set()
            return False
        self._heard = 0
        self._looked_at = began
        return found.version > before.version

    async def _keep(self, known: Known, wanted: Callable[[], bool]) -> None:
        """Make a value durable, if that is wanted still once those before it are; then go by it."""
        async with self._keeping:
            if not wanted():
                return
            value = codec.pack([known.version, known.community.encode()])

            def keep(transaction: WriteTransaction) -> bool:
                transaction.meta_put(_STORED, value)
                return relapsing.keep(transaction, known.community.lapses)

            relapsed = await self._commits.run(keep, Admission.ESSENTIAL, urgent=True)
            self._known = known
            if relapsed:
                log.info("roles were lost or given again: other decisions count than before")
                self._commits.store.shown.forget_all()
        self._announce(known.version)
        for listener in self._listeners:
            listener()


def _version_of(member: Member) -> int:
    """What a member's gossip says; anything else than a number says nothing."""
    version = member.meta.get(META_KEY, 0)
    return version if isinstance(version, int) and 0 <= version <= limits.EPOCH_MAX else 0
