"""What a node has for its community, put together: the room of the wiring in `daemon` that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from folkmoot.node.actors.community_follower import META_KEY, CommunityFollower
from folkmoot.node.actors.lapse_keeper import LapseKeeper
from folkmoot.node.actors.policy_keeper import Gate, PolicyKeeper
from folkmoot.node.actors.session import Method
from folkmoot.node.actors.signal_keeper import SignalKeeper
from folkmoot.node.community.acknowledging import Acknowledgements
from folkmoot.node.community.allowance import Allowance
from folkmoot.node.community.changing import Agreement
from folkmoot.node.community.documents import Documents
from folkmoot.node.community.exchange import DocumentExchange
from folkmoot.node.community.policy_methods import PolicyMethods
from folkmoot.node.community.preview_methods import PreviewMethods
from folkmoot.node.community.register import CommunityRegister, Known
from folkmoot.node.community.role_methods import RoleMethods
from folkmoot.node.community.roles import Roles
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.noting import Noting
from folkmoot.node.moderation.previews import Previews
from folkmoot.node.moderation.shadow import Shadow
from folkmoot.node.wired import Wired
from folkmoot.protocol import limits
from folkmoot.protocol.gossip.members import MetaValue

Handler = Callable[[bytes, Any], Awaitable[Any]]


class JudgingGate(Gate, Protocol):
    """A gate that tells what it judges by, and what it judged."""

    @property
    def engine(self) -> PolicyEngine: ...

    @property
    def noting(self) -> Noting: ...


RoleListener = Callable[[Callable[[bytes], Iterable[str]]], None]


class CommunityParts:
    """See the module.

    Attributes:
        WIDEST: what gossip may have to say of a node because of its community, at the most.
        roles: who has which role here.
        signals: keeps what was known of posts when they were judged.

    Args:
        wired: the node's.
        gate: judges by what is in force.
        tell: has gossip say more of this node.
    """

    WIDEST: Final[Mapping[str, MetaValue]] = {META_KEY: limits.EPOCH_MAX}

    def __init__(
        self, wired: Wired, gate: JudgingGate, tell: Callable[[Mapping[str, MetaValue]], None]
    ) -> None:
        node_id, commits, peers = wired.node_id, wired.commits, wired.links
        environment, seats = wired.environment, wired.registers.acceptor
        register = CommunityRegister(wired.registers.registrar)
        gossip = wired.membership

        def announce(version: int) -> None:
            tell({META_KEY: version})

        self._follower = CommunityFollower(
            node_id, register, commits, wired.topology, gossip, peers, announce
        )
        self.roles = Roles(wired.config.operators.accounts, self._known, lambda: self._follower.looked_ago_s)
        models, region = wired.config.node.data / "models", wired.config.node.region
        documents = Documents(commits, environment.executor, self._in_use, models, region)
        allowance = Allowance()
        self._exchange = DocumentExchange(
            *(node_id, documents, seats, self._follower.others, peers), allowance
        )
        self._keeper = PolicyKeeper(gate, self._known, documents, self._exchange, commits)
        self._lapse_keeper = LapseKeeper(commits, environment.executor)
        self._follower.watch(self._keeper.look_now)
        self._follower.watch(self._lapse_keeper.look_now)
        self._role_listeners: list[RoleListener] = []
        self._agreement = Agreement(register, self._follower, lambda: environment.wall.now_us() // 1000)
        status = self._keeper.status
        told = Acknowledgements(node_id, status, wired.topology, gossip.reachable, peers)
        self._previews = Previews(
            *(node_id, region, commits, environment.executor, environment.wall),
            *(self._follower.others, peers),
        )
        self.signals = SignalKeeper(commits, wired.config.gate.signals_kept)
        if wired.config.gate.signals_kept:
            gate.noting.follow(self.signals.note)
        self._shadow = Shadow(
            *(commits, environment.executor, environment.wall, documents), lambda: gate.engine
        )
        gate.noting.follow(self._shadow.note, lambda: self._shadow.wants)
        common = self._agreement, self.roles, documents, self._exchange
        self._trials = PreviewMethods(
            *(*common, self._previews, self._shadow, lambda: gate.own),
            *(wired.topology, gossip.reachable, region, allowance),
        )
        self._methods = {
            **RoleMethods(self._agreement, self.roles).table(),
            **PolicyMethods(*common, told, self._previews).table(),
            **self._trials.table(),
        }

    async def open(self) -> None:
        """Go by what this node knew and judged by before it was started."""
        await self._follower.open()
        await self._keeper.open()
        await self._shadow.open()

    def watch(self, listener: RoleListener) -> None:
        """Have somebody hear whenever roles may have changed, with what tells those of an account."""
        self._follower.watch(lambda: listener(self.roles.of))
        self._role_listeners.append(listener)

    def reconfigure(self, operators: Iterable[bytes]) -> None:
        """Have other accounts (34 bytes) be operators by configuration; those who watch hear of it."""
        self.roles.reconfigure(operators)
        for listener in self._role_listeners:
            listener(self.roles.of)

    def status(self) -> dict[str, Any]:
        """By which policy this node judges; see `PolicyKeeper.status`."""
        return self._keeper.status()

    async def judge_in(self, region: str) -> PolicyEngine:
        """What judges most accounts here, as it is in another region.

        Raises:
            WireError: `not_found`, or `bad_request`: this node could not judge by it.
        """
        return await self._keeper.judge_in(region)

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        parts = self._follower, self._exchange, self._keeper, self._previews
        own = {name: handler for part in parts for name, handler in part.methods().items()}
        return {**own, **self._trials.peer_methods()}

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return self._methods

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        return {
            "community": self._follower.run,
            "policy": self._keeper.run,
            "lapses": self._lapse_keeper.run,
            "previews": self._previews.run,
            "signals": self.signals.run,
            "shadow": self._shadow.run,
        }

    def _known(self) -> Known:
        return self._follower.known

    def _in_use(self) -> frozenset[bytes]:
        return self._keeper.in_use() | self._shadow.in_use()
