"""`policy.preview` and `policy.shadow`: what a policy would change, before it changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Protocol

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.community.changing import Agreement
from folkmoot.node.community.roles import Roles
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.previews import Previews
from folkmoot.node.moderation.shadow import Shadow
from folkmoot.protocol import codec
from folkmoot.protocol.community.value import MODERATOR, OPERATOR, Hash
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.moderation.bounds import PREVIEW_POSTS
from folkmoot.protocol.moderation.policy import PolicyError
from msgspec import Meta, Struct

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


class Finding(Protocol):
    """Finds documents; see `community.exchange`."""

    async def find(self, name: bytes) -> bytes: ...


class PreviewMethods:
    """See the module.

    Args:
        agreement: reads what was agreed upon.
        roles: who has which role here.
        documents, exchange: where documents come from.
        previews: makes previews.
        shadow: has a policy judge without effect.
        own: the policy of this node's own file.
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
    ) -> None:
        self._agreement = agreement
        self._roles = roles
        self._documents = documents
        self._exchange = exchange
        self._previews = previews
        self._shadow = shadow
        self._own = own

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"policy.preview": self.preview, "policy.shadow": self.shadow}

    async def preview(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Begin a preview, or hear how far it is: the same is asked until there is a report."""
        self._roles.member(asker, _WHO, "previews of policies")
        asked = codec.shaped(params, _Preview, "policy.preview")
        engine = await self._engine(asked.hash)
        settled = self._agreement.known.community.policy.settled
        before = self._own() if settled is None else await self._engine(settled)
        task = self._previews.begin(asked.hash, settled, asked.posts, before, engine)
        await self._previews.wait(task)
        if task.error is not None:
            raise task.error
        replay = task.replay
        return {
            "done": 0 if replay is None else replay.done,
            "of": 0 if replay is None else replay.of,
            "report": task.report,
        }

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

    async def _engine(self, name: bytes) -> PolicyEngine:
        """An engine that judges by a document.

        Raises:
            WireError: `not_found`, or `bad_request`.
        """
        try:
            return await self._documents.compile(await self._exchange.find(name))
        except PolicyError as error:
            raise WireError(BAD_REQUEST, f"this node could not judge by it: {error.problems[0]}") from error
