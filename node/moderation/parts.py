"""What a node has for moderation by people, put together: the wiring that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.session import Method
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import EpochCheck, Reading
from folkmoot.node.environment import Environment
from folkmoot.node.moderation.casebook import Casebook
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.methods import Coordination, Intake, Keys, ModerationMethods
from folkmoot.node.moderation.quota import rates_of
from folkmoot.node.routing import Router
from folkmoot.node.slice_search import Around
from folkmoot.node.wired import Wired
from folkmoot.protocol.record import Record

_SECRET_BYTES: Final = 16


class ModerationParts:
    """See the module.

    Attributes:
        deciders: who may decide.

    Args:
        wired: the node's.
        roles_of: the roles that an account (34 bytes) has now.
    """

    def __init__(self, wired: Wired, roles_of: Callable[[bytes], Collection[str]]) -> None:
        self._wired = wired
        self.deciders = Deciders(roles_of, wired.topology.service_accounts)

    def peer_methods(
        self, router: Router, reading: Reading, epochs: EpochCheck
    ) -> Mapping[str, Callable[[bytes, Any], Awaitable[Any]]]:
        """What other nodes may ask, by name; `client_methods` comes after."""
        wired = self._wired
        around = Around(router, wired.topology, wired.links, wired.environment.executor)
        self._casebook = Casebook(around, wired.commits.store, reading)
        return self._casebook.peer_methods(epochs)

    async def hiding(self, key: bytes, version: bytes) -> list[Record]:
        """See `Casebook.hiding`."""
        return await self._casebook.hiding(key, version)

    def client_methods(
        self, intake: Intake, coordination: Coordination, keys: Keys, appeal: Callable[[], str]
    ) -> Mapping[str, Method]:
        """What clients may ask, by name; see `ModerationMethods`."""
        methods = ModerationMethods(self.deciders, self._casebook, intake, coordination, keys, appeal)
        return methods.table()


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
