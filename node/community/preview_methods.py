"""`policy.preview` and `policy.shadow`: what a policy would change, before it changes anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Protocol

import msgspec
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.community.allowance import Allowance
from folkmoot.node.community.changing import Agreement
from folkmoot.node.community.roles import Roles
from folkmoot.node.moderation.elsewhere import REPLAY, Asked, Region, shortened
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.previews import Previews, Task, Wanted
from folkmoot.node.moderation.shadow import Shadow
from folkmoot.protocol import codec
from folkmoot.protocol.community.bounds import DOCUMENT_GIVERS
from folkmoot.protocol.community.value import MODERATOR, OPERATOR, Hash
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.moderation.bounds import (
    PREVIEW_ELSEWHERE_BYTES,
    PREVIEW_ELSEWHERE_RULES,
    PREVIEW_POSTS,
)
from folkmoot.protocol.moderation.comparison import changed_elsewhere
from folkmoot.protocol.moderation.policy import PolicyError, Regional
from folkmoot.protocol.ring.roster import Roster, RosterNode
from msgspec import Meta, Struct

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]

_WHO: Final = (MODERATOR, OPERATOR)


class _Preview(Struct):
    """`policy.preview`: a document that was put, and how many posts are replayed."""

    hash: Hash
    posts: Annotated[int, Meta(ge=1, le=PREVIEW_POSTS)] = 100_000


class _Shadow(Struct):
    """`policy.shadow`: what is to judge without effect, that nothing is, or what it saw."""

    hash: Hash | None = None
    off: bool = False


class Compiling(Protocol):
    """Compiles documents; see `community.documents`."""

    async def compile(self, document: bytes) -> PolicyEngine: ...

    async def read(self, document: bytes) -> Regional: ...


class Finding(Protocol):
    """Finds documents; see `community.exchange`."""

    async def find(self, name: bytes, giver: bytes | None = None) -> bytes: ...


class Members(Protocol):
    """Who is a member."""

    @property
    def roster(self) -> Roster | None: ...


class PreviewMethods:
    """See the module.

    Args:
        agreement: reads what was agreed upon.
        roles: who has which role here.
        documents, exchange: where documents come from.
        previews: makes previews.
        shadow: has a policy judge without effect.
        own: the policy of this node's own file.
        members: who is a member.
        reachable: whether a node can be reached.
        region: where this node stands.
        allowance: what others may have this node do.
    """

    def __init__(
        self,
        agreement: Agreement,
        roles: Roles,
        documents: Compiling,
        exchange: Finding,
        previews: Previews,
        shadow: Shadow,
        own: Callable[[], PolicyEngine],
        members: Members,
        reachable: Callable[[bytes], bool],
        region: str,
        allowance: Allowance,
    ) -> None:
        self._agreement = agreement
        self._roles = roles
        self._documents = documents
        self._exchange = exchange
        self._previews = previews
        self._shadow = shadow
        self._own = own
        self._members = members
        self._reachable = reachable
        self._region = region
        self._allowance = allowance

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"policy.preview": self.preview, "policy.shadow": self.shadow}

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {REPLAY: self.replay}

    async def preview(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Begin a preview, or hear how far it is: the same is asked until there is a report."""
        self._roles.member(asker, _WHO, "previews of policies")
        asked = codec.shaped(params, _Preview, "policy.preview")
        engine = await self._engine(asked.hash)
        settled = self._agreement.known.community.policy.settled
        before = self._own() if settled is None else await self._engine(settled)
        elsewhere, absent = await self._elsewhere(asked.hash, settled)
        wanted = Wanted(asked.hash, settled, asked.posts, elsewhere, absent)
        task = await self._waited(wanted, before, engine)
        done, of = task.progress
        return {"done": done, "of": of, "report": task.report}

    async def replay(self, node_id: bytes, params: Any) -> dict[str, Any]:
        """Another node makes a preview, and asks what comes of it here: the same again until it is there."""
        asked = codec.shaped(params, Asked, REPLAY)
        compared = asked.compared
        wanted = Wanted(asked.document, compared, asked.posts, whole=False)
        if not self._previews.knows(wanted):
            self._allowance.spend(node_id)
        engine = await self._engine(asked.document, node_id)
        before = self._own() if compared is None else await self._engine(compared, node_id)
        task = await self._waited(wanted, before, engine)
        done, of = task.progress
        told: dict[str, Any] = {"region": self._region, "done": done, "of": of}
        if task.report is not None and task.preview is not None:
            told["report"] = shortened(task.report, PREVIEW_ELSEWHERE_BYTES, PREVIEW_ELSEWHERE_RULES)
            told["found"] = [msgspec.to_builtins(each) for each in task.preview.found]
            told["counts"] = task.preview.counts
        return told

    async def shadow(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Have a policy judge without effect, or none; and what it saw since when."""
        asked = codec.shaped(params, _Shadow, "policy.shadow")
        changes = asked.off or asked.hash is not None
        self._roles.member(asker, (OPERATOR,) if changes else _WHO, "policies that judge without effect")
        if asked.off and asked.hash is not None:
            raise WireError(BAD_REQUEST, "policy.shadow takes a hash or off, not both")
        if changes:
            await self._shadow.begin(None if asked.hash is None else await self._engine(asked.hash))
        return {"shadow": self._shadow.told()}

    async def _waited(self, wanted: Wanted, before: PolicyEngine, engine: PolicyEngine) -> Task:
        """A preview, a little further.

        Raises:
            WireError: `busy`; what it came to nothing for.
        """
        task = self._previews.begin(wanted, before, engine)
        await self._previews.wait(task)
        if task.error is not None:
            raise task.error
        return task

    async def _elsewhere(
        self, document: bytes, settled: bytes | None
    ) -> tuple[tuple[Region, ...], tuple[str, ...]]:
        """Where something else changes than here, and the regions of layers that no node is in."""
        after = await self._documents.read(await self._exchange.find(document))
        before = None
        if settled is not None:
            before = await self._documents.read(await self._exchange.find(settled))
        roster = self._members.roster
        regions = {} if roster is None else roster.regions()
        elsewhere = tuple(
            Region(tuple(names), tuple(self._there(node for name in names for node in regions[name])))
            for names in changed_elsewhere(before, after, self._region, regions)
        )
        return elsewhere, tuple(sorted(after.regions.keys() - regions.keys() if regions else ()))

    def _there(self, nodes: Iterable[RosterNode]) -> list[bytes]:
        return [each.node_id for each in nodes if self._reachable(each.node_id)][:DOCUMENT_GIVERS]

    async def _engine(self, name: bytes, giver: bytes | None = None) -> PolicyEngine:
        """An engine that judges by a document, as it is in this region.

        Args:
            name: its hash.
            giver: a node that should have it.

        Raises:
            WireError: `not_found`, or `bad_request`.
        """
        try:
            return await self._documents.compile(await self._exchange.find(name, giver))
        except PolicyError as error:
            raise WireError(BAD_REQUEST, f"this node could not judge by it: {error.problems[0]}") from error
