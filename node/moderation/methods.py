"""What moderators ask: what waits for review, what is known of something, and to have a decision carried out.

A decision is persisted first, and then what it lets go is brought to the level, too. Should this node stop
between the two, the replicas have let it go already where they had both (see `storage.decided`), and whoever
sends the same decision again has the rest done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import Put, PutResult, Settle
from folkmoot.node.moderation.casebook import Case, Casebook, Entry, Page, Said, passed_over
from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.moderation.gate_port import Intake, through_the_gate
from folkmoot.node.moderation.media_cases import MediaCases, check_seen
from folkmoot.node.moderation.refusals import RefusalLog
from folkmoot.protocol import codec, messages
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, NOT_FOUND, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.key import cell_key, parse_key, place_prefix
from folkmoot.protocol.moderation.decision import KIND, MEDIA, Action, Decision, Subject, parse_decision
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level, parse_level
from folkmoot.protocol.token import Token

POST: Final = "post"

_SAID: Final[Mapping[str, Said]] = {"decisions": "decided", "holds": "held", "labels": "labelled"}


class Coordination(Protocol):
    """Brings puts to their replicas."""

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None: ...


class Keys(Protocol):
    """Which keys may sign; see `accounts.key_gate`."""

    def refusal(self, author: bytes, key: bytes) -> WireError | None: ...

    async def take(self, records: Sequence[Record]) -> None: ...


class ModerationMethods:
    """See the module.

    Args:
        deciders: who may decide.
        casebook: finds what there is to decide about.
        refusals: what gates have sent back.
        intake, coordination: where decisions and what they let go are brought.
        keys: which keys may sign.
        appeal: a sentence: whom an author may ask for another look.
        media: what is decided about media.
        notices: what a rule of a policy, which gave a reason, says in other languages, by these.
    """

    def __init__(
        self,
        deciders: Deciders,
        casebook: Casebook,
        refusals: RefusalLog,
        intake: Intake,
        coordination: Coordination,
        keys: Keys,
        appeal: Callable[[], str],
        media: MediaCases,
        notices: Callable[[str, str, str], Mapping[str, str]],
    ) -> None:
        self._deciders = deciders
        self._casebook = casebook
        self._refusals = refusals
        self._intake = intake
        self._coordination = coordination
        self._keys = keys
        self._appeal = appeal
        self._media = media
        self._notices = notices

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "moderation.held": self.held,
            "moderation.show": self.show,
            "moderation.decide": self.decide,
            "moderation.statements": self.statements,
        }

    async def held(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A page of what waits for review, with why it does."""
        asked = codec.shaped(params, messages.ModerationHeld, "moderation.held")
        self._deciders.reviewers_only(asker, "held records")
        place = b"" if asked.author is None else place_prefix(asked.author)
        start = place if asked.cursor is None else cursors.decode(CursorKind.QUEUE, place, asked.cursor)
        cases, page = await self._casebook.waiting(start, asked.limit, parse_level(asked.level), place)
        items = [{**_key(case), "record": _waiting(case), **_told(case, whole=True)} for case in cases]
        return {"items": items, **_ended(page, CursorKind.QUEUE, place)}

    async def show(self, asker: Asker, params: Params) -> dict[str, Any]:
        """What was decided about something; its author and moderators are told why it waits, too.

        Others are told nothing of what is not there for them to see: that it was ever written, and why it
        was rejected, is nobody's business then.
        """
        asked = codec.shaped(params, messages.ModerationShow, "moderation.show")
        if asked.kind == MEDIA:
            return await self._media.show(asker, asked)
        key = cell_key(asked.author, asked.kind, asked.item)
        Subject(asked.kind, asked.item).check()
        case = await self._casebook.case(key, parse_level(asked.level))
        whole = asker.account is not None and (
            asker.account == asked.author or self._deciders.reviews(asker.account)
        )
        if not whole and (case.own is None or case.own.taken_back):
            case = replace(case, own=None, decisions=[])
        told = {**_key(case), **_told(case, whole=whole), "appeal": self._appeal()}
        told["labels"] = await self._casebook.labels(key) if asked.kind == POST else []
        if whole and case.waiting is not None:
            told["record"] = _waiting(case)
        frames = [*told["decisions"], *told["labels"], *told.get("why", ())]
        return {**told, "notices": self._translated(frames)}

    def _translated(self, frames: Sequence[list[bytes]]) -> list[dict[str, Any]]:
        """What the rules that statements name say in other languages, as far as their policies judge here."""
        bodies = [Record.from_wire(frame).body for frame in frames]
        named = {
            (each["policy"], each["rule"], each.get("reason", ""))
            for each in bodies
            if {"policy", "rule"} <= each.keys()
        }
        told = [(policy, rule, dict(self._notices(policy, rule, why))) for policy, rule, why in sorted(named)]
        return [{"policy": policy, "rule": rule, "in": said} for policy, rule, said in told if said]

    async def decide(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Have a decision kept, and what it lets go joined into its own cell."""
        asked = codec.shaped(params, messages.ModerationDecide, "moderation.decide")
        decider = self._deciders.reviewers_only(asker, "decisions")
        level, record = parse_level(asked.level), Record.from_wire(asked.record)
        if record.kind != KIND:
            raise WireError(BAD_REQUEST, f"moderation.decide takes a decision, not a {record.kind}")
        if record.author != decider:
            raise WireError(FORBIDDEN, "a decision is brought by the account that made it")
        decision = parse_decision(record.item, record.body)
        if (refusal := self._deciders.not_theirs(decision)) is not None:
            raise refusal
        token = Token() if asked.token is None else Token.decode(asked.token)
        with self._deciders.looking_at(record, decision):
            if decision.subject.kind == MEDIA:
                await self._media.check(record.place, decision, self._deciders.check_new)
                told = await self._put(record, level, token, asker)
                self._media.forget(record.place, decision)
                return told
            case = await self._casebook.case(cell_key(record.place, *decision.subject), "quorum")
            version = self._judged(case, decision)
            told = await self._put(record, level, token, asker)
        if decision.action is Action.RELEASE and told["status"] in ("stored", "duplicate"):
            await self._keys.take([version])
            told["released"] = await self._release(version, level)
        return told

    async def statements(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A page of what was said since a time, in no particular order."""
        asked = codec.shaped(params, messages.ModerationStatements, "moderation.statements")
        self._deciders.reviewers_only(asker, "statements of reasons")
        bound = asked.since.to_bytes(8, "big") + asked.of.encode()
        start = b"" if asked.cursor is None else cursors.decode(CursorKind.STATEMENTS, bound, asked.cursor)
        if asked.of == "refusals":
            refusals, resume, missing = await self._refusals.page(start, asked.since)
            cursor = None if resume is None else cursors.encode(CursorKind.STATEMENTS, bound, resume)
            return {"refusals": refusals, "cursor": cursor, "missing": missing}
        records, page = await self._casebook.said(
            start, _SAID[asked.of], asked.since, parse_level(asked.level)
        )
        told = {"items": [each.to_wire() for each in records], **_ended(page, CursorKind.STATEMENTS, bound)}
        if asked.of != "decisions":
            return told
        made = [Entry(parse_decision(each.item, each.body), each) for each in records]
        return {**told, "passed_over": passed_over(made, self._casebook.lapses())}

    def _judged(self, case: Case, decision: Decision) -> Record:
        """The version that a decision is about, if it can still be decided about as its decider thinks.

        Raises:
            WireError: `not_found`, `conflict`, `forbidden` or `revoked_key`.
        """
        version = case.versions().get(decision.version)
        if version is None:
            raise WireError(NOT_FOUND, "no such version is known: it was edited or deleted, or never was")
        if decision.item in {each.decision.item for each in case.decisions}:
            return version  # brought once more
        self._deciders.check_new(decision)
        check_seen(decision, case.counted)
        waits = case.waiting is not None and case.waiting.id == version.id
        if decision.action is Action.RELEASE and not waits:
            raise WireError(CONFLICT, "this version does not wait for review")
        if decision.action is Action.RELEASE:
            refused = self._keys.refusal(version.author, version.device)
            if refused is not None:
                raise refused
        return version

    async def _put(self, record: Record, level: Level, token: Token, asker: Asker) -> dict[str, Any]:
        """Take a record through the gate; its result, and the token."""
        answer = await through_the_gate(self._intake, record, level, token, asker)
        [result] = answer["results"]
        return {**result, "token": answer["token"]}

    async def _release(self, version: Record, level: Level) -> dict[str, Any]:
        """Bring what is let go to the level, as it was signed."""
        results: dict[int, PutResult] = {}
        await self._coordination.put([Put(version)], level, results.update)
        result = results[0]
        told: dict[str, Any] = {"id": version.id, "status": result.status}
        told["achieved"] = None if result.coverage is None else result.coverage.achieved
        return told if result.error is None else {**told, "error": dict(result.error)}


def _key(case: Case) -> dict[str, Any]:
    return {"key": list(parse_key(case.key))}


def _waiting(case: Case) -> list[bytes] | None:
    return None if case.waiting is None else case.waiting.to_wire()


def _told(case: Case, *, whole: bool) -> dict[str, Any]:
    """What is told of a case; of why it waits only to those who may know that it does."""
    outcome = case.outcome
    shown = None if case.own is None or case.own.taken_back else case.own.winner.id
    told: dict[str, Any] = {
        "decisions": _frames(case.decisions),
        "shown": shown,
        "visibility": None if shown is None else outcome.visibility(shown).word,
        "disputed": bool(outcome.disputed),
        "settled": [each.mark for each in outcome.settled()],
        "passed_over": passed_over(case.decisions, case.lapses),
    }
    if whole:
        told |= {"waits": case.waiting is not None, "why": _frames(case.why)}
    return told


def _frames(entries: Sequence[Entry]) -> list[list[bytes]]:
    return [each.record.to_wire() for each in entries]


def _ended(page: Page, kind: CursorKind, bound: bytes) -> dict[str, Any]:
    cursor = None if page.resume is None else cursors.encode(kind, bound, page.resume)
    return {"cursor": cursor, "missing": page.missing}
