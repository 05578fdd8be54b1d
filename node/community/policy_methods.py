"""`policy.put`, `policy.get`, `policy.activate`, `policy.confirm`, `policy.rollback`, `policy.status`.

A policy goes two ways into force: its document to the nodes, by its hash, and its hash into the community's
register. The document is on enough disks before the register names it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.community.acknowledging import Acknowledgements
from folkmoot.node.community.changing import Agreement
from folkmoot.node.community.documents import Documents
from folkmoot.node.community.register import Known
from folkmoot.node.community.roles import Roles
from folkmoot.protocol import codec
from folkmoot.protocol.community import activation, bounds
from folkmoot.protocol.community.activation import Activation, Named
from folkmoot.protocol.community.previewed import Preview, check_preview, reason_with
from folkmoot.protocol.community.value import (
    ALL_PERCENT,
    MODERATOR,
    OPERATOR,
    Community,
    Epoch,
    Hash,
    Percent,
    Reason,
)
from folkmoot.protocol.connection import Params
from folkmoot.protocol.consensus.value import RequestId
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, NO_QUORUM, TOO_LARGE, WireError
from folkmoot.protocol.moderation.bounds import PREVIEW_FINDINGS
from folkmoot.protocol.moderation.comparison import added_anywhere
from folkmoot.protocol.moderation.policy import EMPTY, PolicyError, Regional
from msgspec import Meta, Struct

_Name = Annotated[str, Meta(max_length=64)]
_MANAGERS = (OPERATOR,)
_SECOND_PERSONS = (MODERATOR, OPERATOR)


class _Put(Struct):
    """`policy.put`: the bytes of a policy file."""

    document: bytes


class _Get(Struct):
    """`policy.get`: a document by its hash."""

    hash: Hash


class _Activate(Struct):
    """`policy.activate`: a document that was put, and the epoch that it is to follow."""

    hash: Hash
    replaces: Epoch
    percent: Percent = ALL_PERCENT
    reason: Reason = ""
    request: RequestId | None = None
    preview: Hash | None = None
    acknowledged: Annotated[dict[_Name, Reason], Meta(max_length=PREVIEW_FINDINGS)] = {}


class _Confirm(Struct):
    """`policy.confirm`: what somebody else has proposed, as it was seen."""

    hash: Hash
    percent: Percent
    replaces: Epoch
    reason: Reason = ""
    request: RequestId | None = None


class _Rollback(Struct):
    """`policy.rollback`: which epoch is to be undone."""

    replaces: Epoch
    reason: Reason = ""
    request: RequestId | None = None


class Previews(Protocol):
    """Finds previews by their hashes; see `moderation.previews`."""

    async def find(self, name: bytes | None) -> Preview | None: ...


class Exchange(Protocol):
    """Brings documents to where they are needed; see `community.exchange`."""

    async def find(self, name: bytes) -> bytes: ...

    async def spread(self, document: bytes) -> None: ...


class PolicyMethods:
    """See the module.

    Args:
        agreement: reads and changes what was agreed upon.
        roles: who has which role here.
        documents, exchange: where documents are kept, and how they travel.
        acknowledgements: which nodes judge by what.
        previews: finds the previews that activations name.
    """

    def __init__(
        self,
        agreement: Agreement,
        roles: Roles,
        documents: Documents,
        exchange: Exchange,
        acknowledgements: Acknowledgements,
        previews: Previews,
    ) -> None:
        self._agreement = agreement
        self._roles = roles
        self._documents = documents
        self._exchange = exchange
        self._acknowledgements = acknowledgements
        self._previews = previews

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "policy.put": self.put,
            "policy.get": self.get,
            "policy.activate": self.activate,
            "policy.confirm": self.confirm,
            "policy.rollback": self.rollback,
            "policy.status": self.status,
        }

    async def put(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Keep a document, if this node could judge by it."""
        member = self._roles.member(asker, _MANAGERS, "policies")
        document = codec.shaped(params, _Put, "policy.put").document
        if len(document) > bounds.DOCUMENT_BYTES:
            raise WireError(
                TOO_LARGE,
                f"a policy of {len(document)} bytes; a community's has at most {bounds.DOCUMENT_BYTES}",
            )
        read = await self._said(document, self._documents.propose)
        name = await self._documents.keep(document, member.account)
        adds = await self._adds(self._agreement.known.community.policy.settled, read)
        return {"hash": name, "name": read.everywhere.name, "adds": adds[: bounds.COMMUNITY_RULES]}

    async def get(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A document: everybody may read what is in force and what was before it."""
        name = codec.shaped(params, _Get, "policy.get").hash
        policy = self._agreement.known.community.policy
        if name not in (policy.hash, policy.previous):
            self._roles.member(asker, (*_SECOND_PERSONS, "expert"), "policies that are not in force")
        return {"document": await self._exchange.find(name)}

    async def activate(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Put a document in force, or propose it where that takes a second person."""
        member = self._roles.member(asker, _MANAGERS, "changes of policy")
        asked = codec.shaped(params, _Activate, "policy.activate")
        policy = (await self._agreement.read()).community.policy
        document = await self._exchange.find(asked.hash)
        adds = await self._adds(policy.settled, await self._said(document, self._documents.propose))
        reason = reason_with(asked.reason, asked.acknowledged)
        if (asked.hash, asked.percent) != (policy.hash, policy.percent):
            preview, now_ms = await self._previews.find(asked.preview), self._agreement.now_ms()
            check_preview(preview, asked.hash, policy.settled, now_ms, asked.acknowledged)
        await self._exchange.spread(document)
        wanted = Activation(asked.hash, asked.percent, asked.replaces, policy.settled, adds, asked.preview)

        def change(present: Community) -> Community:
            return activation.activated(present, wanted, member, self._agreement.now_ms(), reason)

        return self._told(await self._agreement.change(change, asked.request))

    async def confirm(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Put in force what somebody else has proposed."""
        member = self._roles.member(asker, _SECOND_PERSONS, "confirmations")
        asked = codec.shaped(params, _Confirm, "policy.confirm")
        proposal = (await self._agreement.read()).community.proposal
        if proposal is None or proposal.hash != asked.hash:
            raise WireError(CONFLICT, "no proposal of this policy waits (folkmoot policy status)")
        await self._exchange.spread(await self._exchange.find(asked.hash))

        def change(present: Community) -> Community:
            named = Named(asked.hash, asked.percent, asked.replaces)
            return activation.confirmed(present, named, member, self._agreement.now_ms(), asked.reason)

        return self._told(await self._agreement.change(change, asked.request))

    async def rollback(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Put back in force what was before, or propose it where that takes a second person."""
        member = self._roles.member(asker, _MANAGERS, "changes of policy")
        asked = codec.shaped(params, _Rollback, "policy.rollback")
        policy = (await self._agreement.read()).community.policy
        adds: list[str] = []
        if policy.previous is not None:
            document = await self._exchange.find(policy.previous)
            adds = await self._adds(policy.settled, await self._said(document, self._documents.usable))
            await self._exchange.spread(document)
        wanted = Activation(policy.previous, ALL_PERCENT, asked.replaces, policy.settled, adds)

        def change(present: Community) -> Community:
            return activation.rolled_back(present, wanted, member, self._agreement.now_ms(), asked.reason)

        return self._told(await self._agreement.change(change, asked.request))

    async def status(self, asker: Asker, params: Params) -> dict[str, Any]:
        """What is in force, what waits, and by what each node judges."""
        self._roles.member(asker, (*_SECOND_PERSONS, "expert"), "the policies of nodes")
        try:
            known, current = await self._agreement.read(), True
        except WireError as error:
            if error.kind is not NO_QUORUM:
                raise
            known, current = self._agreement.known, False
        nodes = await self._acknowledgements.gather(known.community.policy)
        return {
            **self._told(known),
            "current": current,
            "nodes": nodes,
            "acknowledged": sum(node["acknowledged"] for node in nodes),
        }

    def _told(self, known: Known) -> dict[str, Any]:
        """The policy in force, and the proposal that waits."""
        plain = known.community.to_wire()
        proposal = known.community.proposal
        waits = proposal is not None and proposal.waits(known.community.policy, self._agreement.now_ms())
        return {"policy": plain["policy"], "proposal": plain["proposal"] if waits else None}

    async def _said(self, document: bytes, read: Callable[[bytes], Awaitable[Regional]]) -> Regional:
        """What a document says, if nodes could judge by it.

        Raises:
            WireError: `bad_request`, with all that is wrong with it.
        """
        try:
            return await read(document)
        except PolicyError as error:
            raise WireError(
                BAD_REQUEST,
                f"this is no policy that nodes could judge by: {error.problems[0]}",
                details={"problems": _within(error.problems, bounds.PROBLEMS_TOLD_BYTES)},
            ) from error

    async def _adds(self, settled: bytes | None, following: Regional) -> list[str]:
        """The rules that would refuse and did not; all, where what is in force cannot be read any more."""
        before = Regional(EMPTY)
        if settled is not None:
            try:
                before = await self._documents.read(await self._exchange.find(settled))
            except (WireError, PolicyError):
                before = Regional(EMPTY)
        return added_anywhere(before, following)


def _within(problems: tuple[str, ...], most: int) -> list[str]:
    """The first of some sentences, as many as take so many bytes."""
    told: list[str] = []
    for each in problems:
        most -= len(each.encode())
        if most < 0:
            break
        told.append(each)
    return told
