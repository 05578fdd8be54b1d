"""How policy documents travel: by their hashes, so that it does not matter who gives one.

Before a document is activated, a majority of the seats' nodes has compiled it and has it on disk: whatever
keeps the register that names it then keeps the document, too, and can judge by it. All others fetch it from
whoever has it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.community.allowance import Allowance
from folkmoot.node.community.documents import Documents
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.candidates import FETCHED
from folkmoot.protocol.community.value import Hash
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, NO_QUORUM, NOT_FOUND, WireError
from folkmoot.protocol.moderation.policy import PolicyError
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

FETCH: Final = "policy.fetch"
KEEP: Final = "policy.keep"

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]
Document = Annotated[bytes, Meta(max_length=bounds.DOCUMENT_BYTES)]


class _Fetch(Struct):
    """`policy.fetch`: the document with a hash."""

    hash: Hash


class _Keep(Struct):
    """`policy.keep`, and the answer to `policy.fetch`: a document."""

    document: Document


class Seats(Protocol):
    """Which seats there are."""

    @property
    def configuration(self) -> Configuration | None: ...


class DocumentExchange:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        documents: what this node keeps.
        seats: whose nodes keep all that is activated.
        others: the members that can be reached.
        peers: see `contracts`.
        allowance: what others may have this node do.
    """

    def __init__(
        self,
        node_id: bytes,
        documents: Documents,
        seats: Seats,
        others: Callable[[], list[bytes]],
        peers: Peers,
        allowance: Allowance,
    ) -> None:
        self._node_id = node_id
        self._documents = documents
        self._seats = seats
        self._others = others
        self._peers = peers
        self._allowance = allowance
        self._turns = 0

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {FETCH: self._give, KEEP: self._keep}

    async def find(self, name: bytes, giver: bytes | None = None) -> bytes:
        """A document, from this node's disk or from another node; then it is on this disk.

        Args:
            name: its hash.
            giver: a node that should have it, and is asked first.

        Raises:
            WireError: `not_found`: none of the nodes that were asked has given it.
            StorageError: it could not be kept.
        """
        if (kept := self._documents.find(name)) is not None:
            return kept
        givers = list(dict.fromkeys((*(() if giver is None else (giver,)), *self._givers())))
        for node_id in givers:
            try:
                answer = await self._peers.call(node_id, FETCH, {"hash": name}, bounds.DOCUMENT_TELL_S)
                document = codec.shaped(answer, _Keep, f"the answer to {FETCH}").document
            except (WireError, PeerUnreachable) as error:
                log.info("node %s does not give policy %s: %s", node_id.hex()[:8], name.hex()[:12], error)
                continue
            if hashlib.sha256(document).digest() == name:
                await self._documents.keep(document, FETCHED if giver is None else giver)
                return document
            log.warning("node %s gave another document than policy %s", node_id.hex()[:8], name.hex()[:12])
        raise WireError(
            NOT_FOUND,
            f"none of the {len(givers)} nodes that were asked has policy {name.hex()[:12]}: send its "
            "document again (folkmoot policy preview FILE)",
            details={"hash": name},
        )

    async def spread(self, document: bytes) -> None:
        """Have a majority of the seats' nodes compile and keep a document.

        Raises:
            WireError: `no_quorum`: fewer have said that they could; `too_large`.
            StorageError: it could not be kept here.
        """
        await self._documents.keep(document)
        configuration = self._seats.configuration
        seats = [] if configuration is None else configuration.all_seats
        nodes = {seat.node for seat in seats}
        kept = {self._node_id}

        async def ask(node_id: bytes) -> None:
            with trio.move_on_after(bounds.DOCUMENT_TELL_S):
                while node_id not in kept:
                    try:
                        await self._peers.call(node_id, KEEP, {"document": document}, bounds.DOCUMENT_TELL_S)
                    except (WireError, PeerUnreachable) as error:
                        log.info("node %s does not keep a policy: %s", node_id.hex()[:8], error)
                        if not isinstance(error, WireError) or error.kind is not BUSY:
                            return
                        await trio.sleep((error.retry_after_ms or 1_000) / 1_000)
                    else:
                        kept.add(node_id)

        async with trio.open_nursery() as nursery:
            for node_id in sorted(nodes - kept):
                nursery.start_soon(ask, node_id)
        if configuration is None or not configuration.is_quorum(
            {seat.id for seat in seats if seat.node in kept}
        ):
            raise WireError(
                NO_QUORUM,
                f"{len(kept & nodes)} of the {len(nodes)} nodes with seats have the document and could judge "
                "by it: most of them have to (folkmoot seats show, and the logs of those nodes)",
                retry_after_ms=1_000,
            )

    async def _give(self, node_id: bytes, params: Any) -> dict[str, Any]:
        name = codec.shaped(params, _Fetch, FETCH).hash
        document = self._documents.find(name)
        if document is None:
            raise WireError(NOT_FOUND, f"this node does not keep policy {name.hex()[:12]}")
        return {"document": document}

    async def _keep(self, node_id: bytes, params: Any) -> dict[str, Any]:
        """Keep a document that this node could judge by."""
        document = codec.shaped(params, _Keep, KEEP).document
        self._allowance.spend(node_id)
        try:
            await self._documents.compile(document)
        except PolicyError as error:
            raise WireError(BAD_REQUEST, f"this node could not judge by it: {error.problems[0]}") from error
        return {"hash": await self._documents.keep(document, node_id)}

    def _givers(self) -> list[bytes]:
        """Whom to ask: nodes with seats first, then others, each time other ones."""
        configuration = self._seats.configuration
        seated = set() if configuration is None else {seat.node for seat in configuration.all_seats}
        others = self._others()
        first = [node for node in others if node in seated]
        rest = [node for node in others if node not in seated]
        at = self._turns % max(1, len(rest))
        self._turns += bounds.DOCUMENT_GIVERS
        return [*first, *rest[at:], *rest[:at]][: bounds.DOCUMENT_GIVERS]
