"""The blind review: what was drawn is given out without a word of what became of it, and answered.

Each node keeps what it drew itself. Who asks for a post is given one by the node asked or, where that has
none, by another; for a while it is given to nobody else. What was drawn is told in two steps, so that nobody
is told too much: first a ticket, the post and the id of the draw's record, which is a hash and says nothing.
Then the answer, which names that id, is taken through the gate like any record; and only once it is kept does
the node that drew publish the record itself. Should anything stop in between, whoever sends the same answer
again has the rest done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final, Protocol

import trio
from cachetools import LRUCache
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import Peers, PeerUnreachable, Put, PutResult, Reading, Settle
from folkmoot.node.moderation.casebook import Casebook
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.drawing import Drawing
from folkmoot.node.moderation.gate_port import Intake, through_the_gate
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, FORBIDDEN, LEVEL_UNREACHABLE, NOT_FOUND, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import cell_key, place_prefix
from folkmoot.protocol.moderation.bounds import (
    DRAW_LEASE_S,
    DRAWS_KEPT,
    SAMPLE_AGAIN_MS,
    SAMPLE_LOOK_S,
    SAMPLE_TICKET_BYTES,
    SAMPLE_TRIES,
)
from folkmoot.protocol.moderation.sampling import KIND, Answer, parse_sampling, sample_item
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level, parse_level
from folkmoot.protocol.token import Token
from folkmoot.storage.draws import NUMBER_BYTES, Drawn
from msgspec import Meta, Struct

GIVE: Final = "sample.give"
REVEAL: Final = "sample.reveal"

log = logging.getLogger(__name__)

_At = Annotated[bytes, Meta(max_length=SAMPLE_TICKET_BYTES)]


class _Give(Struct):
    """`sample.give`: something to look at, for a reviewer."""

    reviewer: messages.Account
    passing: _At | None = None


class _Given(Struct):
    """What of a draw may be told before it is answered."""

    at: _At
    account: messages.Account
    id: Annotated[bytes, Meta(min_length=limits.RECORD_ID_BYTES, max_length=limits.RECORD_ID_BYTES)]
    drawn_us: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    post: Any


class _Told(Struct):
    """The answer to `sample.give`."""

    given: _Given | None = None


class _Reveal(Struct):
    """`sample.reveal`: have the record of a draw published, which somebody has answered; or only say that it
    is there to be answered."""

    at: _At
    id: bytes
    publish: bool


class _Ticket(Struct, array_like=True):
    """Where something that was given out was drawn."""

    node_id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    at: _At
    account: messages.Account


class Coordination(Protocol):
    """Brings puts to their replicas."""

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None: ...


class BlindReview:
    """What one node knows of its own draws, and of who was given which. See the module.

    Args:
        drawing: what this node drew.
        casebook: knows which versions there are.
        service: this node's key pair.
        coordination: where records of draws go.
    """

    def __init__(
        self, drawing: Drawing, casebook: Casebook, service: KeyPair, coordination: Coordination
    ) -> None:
        self._drawing = drawing
        self._casebook = casebook
        self._service = service
        self._coordination = coordination
        self._leases: LRUCache[bytes, tuple[bytes, float]] = LRUCache(DRAWS_KEPT)
        self._passed: LRUCache[tuple[bytes, bytes], bool] = LRUCache(DRAWS_KEPT)

    async def gone(self, drawn: Sequence[Drawn]) -> list[Drawn]:
        """Those of some draws whose versions there are no more.

        Raises:
            WireError: `level_unreachable`.
        """
        found = await self._versions(drawn)
        return [each for each, version in zip(drawn, found, strict=True) if version is None]

    async def give(self, reviewer: bytes, passing: bytes | None) -> dict[str, Any] | None:
        """Something for a reviewer (34 bytes) to look at; None when there is nothing.

        Args:
            reviewer: not the author, nor one who has said no to it.
            passing: the row of what they say no to.

        Raises:
            WireError: `level_unreachable`.
        """
        if passing is not None:
            self._passed[reviewer, passing] = True
        for drawn in islice(self._drawing.kept(partial(self._is_free, reviewer)), SAMPLE_TRIES):
            self._leases[drawn.at] = reviewer, trio.current_time() + DRAW_LEASE_S
            [version] = await self._versions([drawn])
            if version is not None:
                record = self._record(drawn)
                told = {"at": drawn.at, "account": self._service.account, "id": record.id}
                return {**told, "drawn_us": drawn.draw.drawn_us, "post": version.to_wire()}
            await self._drawing.forget([drawn.at])
        return None

    async def reveal(self, at: bytes, id_: bytes, *, publish: bool) -> None:
        """Publish the record of a draw that somebody has answered, and let go of it here.

        Args:
            at: its row.
            id_: the record's.
            publish: False for looking whether it is there, and no more.

        Raises:
            WireError: `not_found`: there is no such draw (any more).
        """
        drawn = self._drawing.find(at)
        record = None if drawn is None else self._record(drawn)
        if drawn is None or record is None or record.id != id_ or await self.gone([drawn]):
            raise WireError(NOT_FOUND, "this does not wait for an answer here: it is gone, or was answered")
        if not publish:
            return
        results: dict[int, PutResult] = {}
        await self._coordination.put([Put(record)], "quorum", results.update)
        if results[0].status not in ("stored", "duplicate"):
            raise WireError(LEVEL_UNREACHABLE, "the draw could not be brought to enough replicas: try again")
        await self._drawing.forget([at])
        self._leases.pop(at, None)

    async def give_to(self, node_id: bytes, params: Any) -> dict[str, Any]:
        """`give`, for another node."""
        asked = codec.shaped(params, _Give, GIVE)
        given = await self.give(asked.reviewer, asked.passing)
        return {} if given is None else {"given": given}

    async def reveal_to(self, node_id: bytes, params: Any) -> dict[str, Any]:
        """`reveal`, for another node."""
        asked = codec.shaped(params, _Reveal, REVEAL)
        await self.reveal(asked.at, asked.id, publish=asked.publish)
        return {}

    def _is_free(self, reviewer: bytes, at: bytes) -> bool:
        """Whether a reviewer may be given what stands at a row."""
        holder, until = self._leases.get(at, (reviewer, 0.0))
        taken = holder != reviewer and trio.current_time() < until
        own = at.startswith(place_prefix(reviewer), NUMBER_BYTES)
        return not (taken or own or (reviewer, at) in self._passed)

    async def _versions(self, drawn: Sequence[Drawn]) -> list[Record | None]:
        return await self._casebook.versions([(each.key, each.draw.version) for each in drawn], "quorum")

    def _record(self, drawn: Drawn) -> Record:
        """What this node says of a draw: the same bytes whenever it says it."""
        draw = drawn.draw
        return Record.sign(
            self._service,
            kind=KIND,
            item=draw.item,
            body=draw.body(),
            stamp=draw.drawn_us,
            place=drawn.author,
        )


class SamplingMethods:
    """What reviewers ask, and what nodes ask each other for them. See the module.

    Args:
        node_id: this node's.
        own: this node's draws.
        casebook: finds what was answered.
        deciders: who may review.
        others, peers: the members that can be reached, who are asked as well.
        reading: reads cells at a level.
        intake: where answers are brought.
        labels: what a post may be called, as the policy in force has it.
    """

    def __init__(
        self,
        node_id: bytes,
        own: BlindReview,
        casebook: Casebook,
        deciders: Deciders,
        others: Callable[[], Sequence[bytes]],
        peers: Peers,
        reading: Reading,
        intake: Intake,
        labels: Callable[[], Sequence[str]],
    ) -> None:
        self._node_id = node_id
        self._own = own
        self._casebook = casebook
        self._deciders = deciders
        self._others = others
        self._peers = peers
        self._reading = reading
        self._intake = intake
        self._labels = labels

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "moderation.sample": self.sample,
            "moderation.judge": self.judge,
            "moderation.samples": self.samples,
            "moderation.texts": self.texts,
        }

    async def sample(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A post that was drawn, for the asker to look at; none where none is found in time."""
        asked = codec.shaped(params, messages.ModerationSample, "moderation.sample")
        reviewer = self._deciders.reviewers_only(asker, "posts for a blind review")
        passing = None if asked.passing is None else _ticket(asked.passing)
        with trio.move_on_after(SAMPLE_LOOK_S):
            for node_id in (self._node_id, *self._others()):
                at = passing.at if passing is not None and passing.node_id == node_id else None
                given = await self._given(node_id, reviewer, at)
                if given is not None:
                    ticket = codec.pack([node_id, given.at, given.account])
                    draw = {"id": given.id, "drawn_us": given.drawn_us}
                    labels = list(self._labels())
                    return {"post": given.post, "draw": draw, "ticket": ticket, "labels": labels}
        return {"post": None, "labels": list(self._labels())}

    async def judge(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Have an answer kept, and what it answers published."""
        asked = codec.shaped(params, messages.ModerationJudge, "moderation.judge")
        reviewer = self._deciders.reviewers_only(asker, "answers of a blind review")
        level, record = parse_level(asked.level), Record.from_wire(asked.record)
        answer = parse_sampling(record.item, record.body) if record.kind == KIND else None
        if not isinstance(answer, Answer):
            raise WireError(BAD_REQUEST, "moderation.judge takes an answer to a draw")
        if record.author != reviewer:
            raise WireError(FORBIDDEN, "an answer is brought by the account that gives it")
        if (refusal := self._deciders.refusal(record)) is not None:
            raise refusal
        ticket = _ticket(asked.ticket)
        token = Token() if asked.token is None else Token.decode(asked.token)
        await self._revealed(ticket, record, answer, publish=False)
        told = await through_the_gate(self._intake, record, level, token, asker)
        [result] = told["results"]
        if result["status"] in ("stored", "duplicate"):
            await self._revealed(ticket, record, answer, publish=True)
        return {**result, "token": told["token"]}

    async def samples(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A page of the draws that were answered, and of the answers, in no particular order."""
        asked = codec.shaped(params, messages.ModerationSamples, "moderation.samples")
        self._deciders.reviewers_only(asker, "answers of a blind review")
        bound = asked.since.to_bytes(8, "big")
        start = b"" if asked.cursor is None else cursors.decode(CursorKind.SAMPLES, bound, asked.cursor)
        records, page = await self._casebook.said(start, "sampled", asked.since, parse_level(asked.level))
        cursor = None if page.resume is None else cursors.encode(CursorKind.SAMPLES, bound, page.resume)
        items = [each.to_wire() for each in records]
        return {"items": items, "cursor": cursor, "missing": page.missing}

    async def texts(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Versions that were decided on or drawn, for who wants to learn from them."""
        asked = codec.shaped(params, messages.ModerationTexts, "moderation.texts")
        self._deciders.reviewers_only(asker, "the versions that were decided on")
        posts = [(cell_key(author, "post", item), id_) for author, item, id_ in asked.posts]
        found = await self._casebook.versions(posts, parse_level(asked.level))
        return {"records": [None if each is None else each.to_wire() for each in found]}

    async def _given(self, node_id: bytes, reviewer: bytes, passing: bytes | None) -> _Given | None:
        """What one node gives; None when it has nothing, or does not answer."""
        asked: dict[str, Any] = {"reviewer": reviewer}
        asked |= {} if passing is None else {"passing": passing}
        try:
            if node_id == self._node_id:
                answer: Any = await self._own.give_to(node_id, asked)
            else:
                answer = await self._peers.call(node_id, GIVE, asked, limits.REPLICA_READ_TIMEOUT_S)
            return codec.shaped(answer, _Told, f"the answer to {GIVE}").given
        except (WireError, PeerUnreachable) as error:
            log.info("node %s gives nothing to look at: %s", node_id.hex()[:8], error)
            return None

    async def _revealed(self, ticket: _Ticket, record: Record, answer: Answer, *, publish: bool) -> None:
        """Have what is answered published by the node that drew it, unless it is already; or have it looked
        whether that can be done.

        Raises:
            WireError: `not_found`, `busy`: that node cannot be reached.
        """
        asked = {"at": ticket.at, "id": answer.draw, "publish": publish}
        try:
            if ticket.node_id == self._node_id:
                await self._own.reveal_to(ticket.node_id, asked)
            else:
                await self._peers.call(ticket.node_id, REVEAL, asked, limits.REPLICA_READ_TIMEOUT_S)
        except (WireError, PeerUnreachable) as error:
            if await self._published(ticket, record, answer):
                return
            if isinstance(error, PeerUnreachable):
                raise WireError(
                    BUSY, "the node that drew this post cannot be reached", retry_after_ms=SAMPLE_AGAIN_MS
                ) from error
            raise

    async def _published(self, ticket: _Ticket, record: Record, answer: Answer) -> bool:
        """Whether the draw is published already: the answer is sent once more, or somebody was faster."""
        item = sample_item(answer.post_item, answer.drawn_us, ticket.account)
        read = await self._reading.get([cell_key(record.place, KIND, item)], "quorum", Token())
        [found] = read.cells
        return found is not None and Cell.decode(found).winner.id == answer.draw


def _ticket(ticket: bytes) -> _Ticket:
    return codec.shaped(codec.unpack(ticket), _Ticket, "a ticket")
