"""What a node has for moderation by people, put together: the wiring that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any

from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.session import Method
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import EpochCheck, Reading
from folkmoot.node.environment import Environment
from folkmoot.node.moderation.casebook import Casebook
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.drawing import Drawing
from folkmoot.node.moderation.gate_port import Intake
from folkmoot.node.moderation.methods import Coordination, Keys, ModerationMethods
from folkmoot.node.moderation.model_exchange import ModelExchange
from folkmoot.node.moderation.quota import rates_of
from folkmoot.node.moderation.sampling import GIVE, REVEAL, BlindReview, SamplingMethods
from folkmoot.node.routing import Router
from folkmoot.node.slice_search import Around
from folkmoot.node.wired import Wired

Handler = Callable[[bytes, Any], Awaitable[Any]]


class ModerationParts:
    """See the module.

    Attributes:
        deciders: who may decide.
        drawing: what is drawn for a blind review.

    Args:
        wired: the node's.
        roles_of: the roles that an account (34 bytes) has now.
        gatekeeper: judges.
    """

    def __init__(
        self, wired: Wired, roles_of: Callable[[bytes], Collection[str]], gatekeeper: Gatekeeper
    ) -> None:
        self._wired, self._gatekeeper = wired, gatekeeper
        self.deciders = Deciders(roles_of, wired.topology.service_accounts)
        environment, gate = wired.environment, wired.config.gate
        self._models = ModelExchange(
            wired.config.node.data / "models", environment.executor, gatekeeper, self._others, wired.links
        )
        self.drawing = Drawing(
            *(wired.commits, environment.random, environment.wall, wired.service.account),
            share=gate.sample,
            share_actioned=gate.sample_actioned,
        )

    def peer_methods(self, router: Router, reading: Reading, epochs: EpochCheck) -> Mapping[str, Handler]:
        """What other nodes may ask, by name; `client_methods` comes after."""
        wired = self._wired
        around = Around(router, wired.topology, wired.links, wired.environment.executor)
        self._casebook, self._reading = Casebook(around, wired.commits.store, reading), reading
        between: dict[str, Handler] = {
            GIVE: lambda node_id, params: self._review.give_to(node_id, params),
            REVEAL: lambda node_id, params: self._review.reveal_to(node_id, params),
        }
        return {**self._casebook.peer_methods(epochs), **between, **self._models.methods()}

    def client_methods(self, intake: Intake, coordination: Coordination, keys: Keys) -> Mapping[str, Method]:
        """What clients may ask, by name; see `ModerationMethods` and `SamplingMethods`."""
        wired, casebook, deciders = self._wired, self._casebook, self.deciders
        gate = self._gatekeeper
        methods = ModerationMethods(deciders, casebook, intake, coordination, keys, gate.appeal)
        self._review = BlindReview(self.drawing, casebook, wired.service, coordination)
        sampling = SamplingMethods(
            *(wired.node_id, self._review, casebook, deciders, self._others),
            *(wired.links, self._reading, intake, gate.labels),
        )
        return {**methods.table(), **sampling.table()}

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        drawing = partial(self.drawing.run, self._review)
        return {"gatekeeper": self._gatekeeper.run, "drawing": drawing, "models": self._models.run}

    def _others(self) -> list[bytes]:
        """The other members that can be reached."""
        roster, own = self._wired.topology.roster, self._wired.node_id
        nodes = [] if roster is None else [node.node_id for node in roster.nodes]
        return [node for node in nodes if node != own and self._wired.membership.reachable(node)]


def gatekeeper_of(config: NodeConfig, environment: Environment) -> Gatekeeper:
    """A gatekeeper that has not been opened yet; the node's text models lie in its data directory."""
    return Gatekeeper(
        config.gate.policy,
        rates_of(config.gate),
        wall=environment.wall,
        executor=environment.executor,
        models=config.node.data / "models",
    )
