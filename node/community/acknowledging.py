"""By which policy each member of the cluster judges, as it says itself when it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from folkmoot.node.actors.policy_keeper import STATE
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.registers.seat_change import each_of
from folkmoot.protocol import codec
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.value import Epoch, Hash, Percent, Policy
from folkmoot.protocol.errors import UNKNOWN_METHOD, WireError
from folkmoot.protocol.ring.roster import Roster, RosterNode
from msgspec import Meta, Struct


class _State(Struct):
    """The answer to `policy.state`."""

    epoch: Epoch
    percent: Percent
    state: Annotated[str, Meta(max_length=32)]
    why: Annotated[str, Meta(max_length=bounds.PROBLEMS_TOLD_BYTES)]
    judging: Annotated[str, Meta(max_length=64)]
    hash: Hash | None = None


class Members(Protocol):
    """Who is a member."""

    @property
    def roster(self) -> Roster | None: ...


class Acknowledgements:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        own: by which policy this node judges; see `PolicyKeeper.status`.
        members: who is a member.
        reachable: whether a node can be reached.
        peers: see `contracts`.
    """

    def __init__(
        self,
        node_id: bytes,
        own: Callable[[], dict[str, Any]],
        members: Members,
        reachable: Callable[[bytes], bool],
        peers: Peers,
    ) -> None:
        self._node_id = node_id
        self._own = own
        self._members = members
        self._reachable = reachable
        self._peers = peers

    async def gather(self, decided: Policy) -> list[dict[str, Any]]:
        """What each member says, in the roster's order, asked now.

        Args:
            decided: what all of them should judge by.

        Returns:
            For each `id`, `name`, `region`, `acknowledged`, `state` (`running`, `behind`, `fetching`,
            `unusable` or `unreachable`), `why` it is not running what was decided, its `epoch` and its
            `hash`, nil when it did not say, and `judging`, the hash of what it judges most accounts by.
        """
        roster = self._members.roster
        members = [] if roster is None else list(roster.nodes)
        told: dict[bytes, dict[str, Any]] = {}

        async def ask(member: RosterNode) -> None:
            told[member.node_id] = await self._ask(member.node_id, decided)

        await each_of(members, ask)
        return [
            {"id": each.node_id.hex(), "name": each.name, "region": each.region, **told[each.node_id]}
            for each in members
        ]

    async def _ask(self, node_id: bytes, decided: Policy) -> dict[str, Any]:
        if node_id != self._node_id and not self._reachable(node_id):
            return _silent("it cannot be reached")
        try:
            answer: Any = self._own()
            if node_id != self._node_id:
                answer = await self._peers.call(node_id, STATE, {}, bounds.ACKNOWLEDGE_S)
            said = codec.shaped(answer, _State, f"the answer to {STATE}")
        except PeerUnreachable as error:
            return _silent(str(error))
        except WireError as error:
            old = error.kind is UNKNOWN_METHOD
            return _silent("it runs an earlier edition of the program" if old else error.message)
        same = (said.epoch, said.hash, said.percent) == (decided.epoch, decided.hash, decided.percent)
        state = "behind" if said.state == "running" and not same else said.state
        why = said.why or ("" if same else f"it is at epoch {said.epoch}")
        return {
            "acknowledged": same and said.state == "running",
            "state": state,
            "why": why,
            "epoch": said.epoch,
            "hash": said.hash,
            "judging": said.judging,
        }


def _silent(why: str) -> dict[str, Any]:
    return {
        "acknowledged": False,
        "state": "unreachable",
        "why": why,
        "epoch": None,
        "hash": None,
        "judging": None,
    }
