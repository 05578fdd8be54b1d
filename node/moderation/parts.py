"""What a node has for moderation by people, put together: the wiring that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.session import Method
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import EpochCheck, Reading
from folkmoot.node.environment import Environment
from folkmoot.node.moderation.authors import AuthorSignals
from folkmoot.node.moderation.casebook import Casebook
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.media_cases import Look, MediaCases
from folkmoot.node.moderation.methods import Coordination, Intake, Keys, ModerationMethods
from folkmoot.node.moderation.quota import rates_of
from folkmoot.node.moderation.refusals import RefusalLog
from folkmoot.node.moderation.reversing import Mine, Reversal
from folkmoot.node.routing import Router
from folkmoot.node.slice_search import Around
from folkmoot.node.wired import Wired
from folkmoot.protocol.moderation.signals import AUTHOR

_SECRET_BYTES: Final = 16


class ModerationParts:
    """See the module.

    Attributes:
        deciders: who may decide.
        refusals: what the gate has sent back.
        authors: what rules may ask about authors.

    Args:
        wired: the node's.
        roles_of: the roles that an account (34 bytes) has now.
        gatekeeper: this node's.
    """

    def __init__(
        self, wired: Wired, roles_of: Callable[[bytes], Collection[str]], gatekeeper: Gatekeeper
    ) -> None:
        self._wired = wired
        self._gatekeeper = gatekeeper
        self.deciders = Deciders(roles_of, wired.topology.service_accounts)
        self.refusals = RefusalLog(
            wired.node_id, wired.commits, wired.environment.wall, wired.links, self._others
        )
        self.authors = AuthorSignals(
            wired.node_id,
            wired.commits,
            wired.environment.wall,
            wired.environment.executor,
            wired.topology,
            wired.links,
        )
        gatekeeper.lookups[AUTHOR] = self.authors
        gatekeeper.refused = self.refusals.hear

    def peer_methods(
        self, router: Router, reading: Reading, epochs: EpochCheck
    ) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name; `client_methods` comes after."""
        wired = self._wired
        around = Around(router, wired.topology, wired.links, wired.environment.executor)
        store, environment = wired.commits.store, wired.environment
        self._casebook = Casebook(around, store, reading, wired.topology.service_accounts)
        mine = Mine(environment.secrets.service(), self._gatekeeper)
        self._reversal = Reversal(
            *(around, store, self._casebook, wired.topology, wired.links, mine, environment.wall.now_us)
        )
        return {
            **self._casebook.peer_methods(epochs),
            **self._reversal.peer_methods(epochs),
            **self.refusals.methods(),
            **self.authors.methods(),
        }

    def client_methods(self, intake: Intake, coordination: Coordination, keys: Keys) -> Mapping[str, Method]:
        """What clients may ask, by name, once there are `media_cases`; see `ModerationMethods`."""
        known, gate = (self.deciders, self._casebook, self.refusals), self._gatekeeper
        told = gate.appeal, self._cases, gate.notices
        methods = ModerationMethods(*known, intake, coordination, keys, *told)
        return {**methods.table(), **self._reversal.client_methods(self.deciders, coordination, keys)}

    def media_cases(self, look: Look) -> MediaCases:
        """What is decided about media; see there."""
        self._cases = MediaCases(self._casebook, look, self._gatekeeper.appeal)
        return self._cases

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        return {"refusals": self.refusals.run, "authors": self.authors.run}

    def _others(self) -> list[bytes]:
        """All other members of the cluster, as far as they are known."""
        roster = self._wired.topology.roster
        nodes = () if roster is None else roster.nodes
        return [node.node_id for node in nodes if node.node_id != self._wired.node_id]


def gatekeeper_of(config: NodeConfig, environment: Environment) -> Gatekeeper:
    """A gatekeeper that has not been opened yet; the node's text models lie in its data directory."""
    return Gatekeeper(
        config.gate.policy,
        rates_of(config.gate),
        wall=environment.wall,
        executor=environment.executor,
        secret=environment.random.randbytes(_SECRET_BYTES),
        models=config.node.data / "models",
    )
