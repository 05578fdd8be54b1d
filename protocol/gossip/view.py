"""Whom a node knows, and for whom there is room.

Members of the roster always have room. Others are *strangers*: nodes that only serve clients, nodes that are
to join, and whatever somebody with the gossip key has made up. There is room for some of those, and one that
is gone (dead, or left) gives up its place to one that is here, and is forgotten in the end. A stranger that
has spoken over a link has proven that it has a certificate and is there; it takes the place of one that has
not. So no number of inventions keeps a node out that is real. Until the roster is known, everyone may be on
it.
"""

from __future__ import annotations

from collections.abc import Iterator

from folkmoot.protocol.gossip.members import Member, digest, join
from folkmoot.protocol.limits import GOSSIP_MEMBERS, GOSSIP_STRANGERS


class View:
    """The members a node has heard of, itself included.

    Args:
        own: the node whose view this is.
    """

    def __init__(self, own: Member) -> None:
        self._own_id = own.node_id
        self._members = {own.node_id: own}
        self._proven: set[bytes] = set()
        self._roster: frozenset[bytes] | None = None

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __getitem__(self, node_id: bytes) -> Member:
        return self._members[node_id]

    def get(self, node_id: bytes) -> Member | None:
        """What is known of a node, if anything."""
        return self._members.get(node_id)

    def on_roster(self, node_id: bytes) -> bool:
        """Whether a node is on the roster, as far as that is known."""
        return self._roster is not None and node_id in self._roster

    def trusts(self, node_id: bytes) -> bool:
        """Whether a node is more than hearsay: on the roster, if that is known, or proven over a link."""
        return self._roster is None or node_id in self._roster or node_id in self._proven

    def has_spoken(self, node_id: bytes) -> bool:
        """Whether a node has proven over a link that it is there."""
        return node_id in self._proven

    def prove(self, node_id: bytes) -> None:
        """Note that a known node has spoken over a link."""
        if node_id in self._members:
            self._proven.add(node_id)

    def join(self, member: Member) -> bool:
        """Take in what is known of a node there is room for; False when it was nothing new."""
        known = self._members.get(member.node_id)
        joined = member if known is None else join(known, member)
        if joined == known:
            return False
        self._members[member.node_id] = joined
        return True

    def in_the_way(self, member: Member, *, proven: bool) -> list[Member] | None:
        """Whom to forget to have room for a node that is not known; None when there is no room for it.

        Args:
            member: the node.
            proven: whether it is itself that speaks, over a link.
        """
        if self.on_roster(member.node_id):
            return []
        if self._roster is not None and not member.is_live and not proven:
            return None  # a stranger that is gone is nothing to remember
        bound = GOSSIP_MEMBERS - 1 if self._roster is None else GOSSIP_STRANGERS
        if sum(1 for _ in self._strangers()) < bound:
            return []
        for other in self._by_worth():
            if not other.is_live or (proven and other.node_id not in self._proven):
                return [other]
        return None

    def take_roster(self, roster: frozenset[bytes]) -> list[Member]:
        """Learn who is on the roster; the strangers there is no room for any more, still to be forgotten."""
        self._roster = roster
        strangers = self._by_worth()
        return strangers[: max(0, len(strangers) - GOSSIP_STRANGERS)]

    def forget(self, node_id: bytes) -> None:
        """Know a node no longer."""
        assert node_id != self._own_id, "a node does not forget itself"
        del self._members[node_id]
        self._proven.discard(node_id)

    def gone_strangers(self) -> list[bytes]:
        """The strangers that are dead or have left."""
        if self._roster is None:
            return []
        return [member.node_id for member in self._strangers() if not member.is_live]

    def digest(self) -> bytes:
        """See `members.digest`."""
        return digest(self._members.values())

    def live_count(self) -> int:
        """Members that may answer, this node included; the n of the formulas."""
        return sum(member.is_live for member in self._members.values())

    def _strangers(self) -> Iterator[Member]:
        for member in self._members.values():
            if member.node_id != self._own_id and not self.on_roster(member.node_id):
                yield member

    def _by_worth(self) -> list[Member]:
        """The strangers: those who are gone first, then hearsay, the earlier met before the later."""
        return sorted(self._strangers(), key=lambda member: (member.is_live, member.node_id in self._proven))
