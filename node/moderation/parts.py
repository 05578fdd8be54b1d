"""What a node has for moderation by people, put together: the wiring that concerns it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.session import Method
from folkmoot.node.community.roles import Roles
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import EpochCheck, Reading
from folkmoot.node.environment import Environment
from folkmoot.node.moderation.audit_methods import AuditMethods
from folkmoot.node.moderation.auditing import Auditor
from folkmoot.node.moderation.authors import AuthorSignals
from folkmoot.node.moderation.casebook import Casebook
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.drawing import Drawing
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.gate_port import Intake
from folkmoot.node.moderation.media_cases import Look, MediaCases
from folkmoot.node.moderation.methods import Coordination, Keys, ModerationMethods
from folkmoot.node.moderation.model_exchange import ModelExchange
from folkmoot.node.moderation.quota import rates_of
from folkmoot.node.moderation.refusals import RefusalLog
from folkmoot.node.moderation.reversing import Mine, Reversal
from folkmoot.node.moderation.sampling import GIVE, REVEAL, BlindReview, SamplingMethods
from folkmoot.node.routing import Router
from folkmoot.node.slice_search import Around
from folkmoot.node.wired import Wired
from folkmoot.protocol.moderation.signals import AUTHOR
from folkmoot.protocol.record import Record

_SECRET_BYTES: Final = 16

Handler = Callable[[bytes, Any], Awaitable[Any]]


class Community(Protocol):
    """What was agreed upon; see `community.parts`."""

    roles: Roles

    async def judge_in(self, region: str) -> PolicyEngine: ...


class ModerationParts:
    """See the module.

    Attributes:
        deciders: who may decide.
        refusals: what the gate has sent back.
        authors: what rules may ask about authors.
        drawing: what is drawn for a blind review.

    Args:
        wired: the node's.
        community: who has which role, and had, and which policy is in force.
        gatekeeper: this node's.
    """

    def __init__(self, wired: Wired, community: Community, gatekeeper: Gatekeeper) -> None:
        self._wired, self._gatekeeper, self._community = wired, gatekeeper, community
        services, now_us = wired.topology.service_accounts, wired.environment.wall.now_us
        self.deciders = Deciders(community.roles, services, now_us)
        environment, gate, commits = wired.environment, wired.config.gate, wired.commits
        executor, wall = environment.executor, environment.wall
        self.refusals = RefusalLog(wired.node_id, commits, wall, wired.links, self._others)
        self.authors = AuthorSignals(wired.node_id, commits, wall, executor, wired.topology, wired.links)
        self._models = ModelExchange(
            wired.config.node.data / "models", executor, gatekeeper, self._reachable, wired.links
        )
        self.drawing = Drawing(
            *(commits, environment.random, wall, wired.service.account),
            share=gate.sample,
            share_actioned=gate.sample_actioned,
        )
        gatekeeper.lookups[AUTHOR] = self.authors
        gatekeeper.refused = self.refusals.hear

    def peer_methods(self, router: Router, reading: Reading, epochs: EpochCheck) -> Mapping[str, Handler]:
        """What other nodes may ask, by name; `client_methods` comes after."""
        wired = self._wired
        around = Around(router, wired.topology, wired.links, wired.environment.executor)
        store, environment = wired.commits.store, wired.environment
        self._casebook = Casebook(
            around, store, reading, wired.topology.service_accounts, self._community.roles.lapses
        )
        self._reading = reading
        mine = Mine(wired.service, self._gatekeeper)
        self._reversal = Reversal(
            *(around, store, self._casebook, wired.topology, wired.links, mine),
            *(self._community.judge_in, environment.wall.now_us),
        )
        between: dict[str, Handler] = {
            GIVE: lambda node_id, params: self._review.give_to(node_id, params),
            REVEAL: lambda node_id, params: self._review.reveal_to(node_id, params),
        }
        for part in (self.refusals, self.authors, self._models):
            between |= part.methods()
        self._auditor = Auditor(around, wired.topology, store, environment.wall)
        for searching in (self._casebook, self._reversal, self._auditor):
            between |= searching.peer_methods(epochs)
        return between

    async def hiding(self, key: bytes, version: bytes) -> list[Record]:
        """See `Casebook.hiding`."""
        return await self._casebook.hiding(key, version)

    def client_methods(self, intake: Intake, coordination: Coordination, keys: Keys) -> Mapping[str, Method]:
        """What clients may ask, by name, once there are `media_cases`; see `ModerationMethods`."""
        wired, casebook, deciders, gate = self._wired, self._casebook, self.deciders, self._gatekeeper
        known, told = (deciders, casebook, self.refusals), (gate.appeal, self._cases, gate.notices)
        methods = ModerationMethods(*known, intake, coordination, keys, *told)
        self._review = BlindReview(self.drawing, casebook, wired.service, coordination)
        sampling = SamplingMethods(
            *(wired.node_id, self._review, casebook, deciders, self._reachable),
            *(wired.links, self._reading, intake, gate.label_values),
        )
        reversing = self._reversal.client_methods(deciders, coordination, keys)
        audits = AuditMethods(deciders, self._auditor)
        return {**methods.table(), **sampling.table(), **audits.table(), **reversing}

    def media_cases(self, look: Look) -> MediaCases:
        """What is decided about media; see there."""
        self._cases = MediaCases(self._casebook, look, self._gatekeeper.appeal)
        return self._cases

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        return {
            "gatekeeper": self._gatekeeper.run,
            "refusals": self.refusals.run,
            "authors": self.authors.run,
            "drawing": partial(self.drawing.run, self._review),
            "models": self._models.run,
        }

    def _others(self) -> list[bytes]:
        """All other members of the cluster, as far as they are known."""
        roster = self._wired.topology.roster
        nodes = () if roster is None else roster.nodes
        return [node.node_id for node in nodes if node.node_id != self._wired.node_id]

    def _reachable(self) -> list[bytes]:
        """Those of them that can be reached."""
        return [node_id for node_id in self._others() if self._wired.membership.reachable(node_id)]


def gatekeeper_of(config: NodeConfig, environment: Environment) -> Gatekeeper:
    """A gatekeeper that has not been opened yet; the node's text models lie in its data directory."""
    return Gatekeeper(
        config.gate.policy,
        rates_of(config.gate),
        wall=environment.wall,
        executor=environment.executor,
        secret=environment.random.randbytes(_SECRET_BYTES),
        models=config.node.data / "models",
        region=config.node.region,
    )
