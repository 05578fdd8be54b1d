"""Making a decision: which version it is about, what it reverses, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.moderating.subjects import Named
from folkmoot.cli.moderating.telling import decision_in
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.moderation.decision import KIND, MEDIA, ROLES, Action, Decision, Role, Subject, marks
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to decide; see `Decision`.

    Args:
        reverse: whether what others decided is to be reversed.
    """

    action: Action
    reason: str
    labels: tuple[str, ...] = ()
    rule: str | None = None
    category: str | None = None
    illegal: bool = False
    reverse: bool = False


def _ignore(sentence: str) -> None:
    """Nobody is told."""


async def decide(
    client: Client, key: KeyPair, named: Named, wish: Wish, level: str, note: Callable[[str], None] = _ignore
) -> dict[str, Any]:
    """Decide about something as it is now.

    Args:
        client: connected.
        key: of who decides.
        named: about what.
        wish: what.
        level: what is waited for.
        note: told, before it is decided, what whoever decides should know.

    Returns:
        The answer of `moderation.decide`, with the decision itself as `decision`: a `duplicate` if the same
        had been decided by the same account for the same reason, and stands.

    Raises:
        OperatorError: it cannot be decided so.
        WireError: the node refused it.
    """
    role = role_of(await client.auth(key), key)
    kind, item = named.subject
    case = await client.call("moderation.show", {"author": named.author, "kind": kind, "item": item})
    decided = [decision for decision, _ in map(decision_in, case["decisions"])]
    others = _to_reverse(_counted(case), wish, key.owner)
    if (made := _made_before(case, key.owner, wish)) is not None:
        answer = await client.call("moderation.decide", {"record": made.to_wire(), "level": level})
        return {**answer, "decision": made}
    if case["shown"] is None and wish.action is not Action.RELEASE:
        note(f"{named} was never shown, yet decisions are public records: say nothing of it in --reason")
    stamp = max(time.time_ns() // 1000, *(each.number + 1 for each in decided), 0)
    decision = Decision(
        *(named.subject, _version(case, wish.action, named.subject), wish.action, role, key.owner, stamp),
        wish.reason,
        labels=wish.labels,
        rule=wish.rule,
        policy=_policy(case, wish.rule),
        category=wish.category,
        illegal=wish.illegal,
        reverses=marks(others),
    )
    record = _signed(decision, key, named.author)
    answer = await client.call("moderation.decide", {"record": record.to_wire(), "level": level})
    return {**answer, "decision": record}


def _to_reverse(decided: Sequence[Decision], wish: Wish, own: bytes) -> list[Decision]:
    """What others have decided, if it is to be reversed.

    Raises:
        OperatorError: it is there, and is not to be.
    """
    others = _others(decided, wish.action, own)
    if others and not wish.reverse:
        said = "; ".join(f"{each.action.word} ({each.reason})" for each in others)
        raise OperatorError(
            f"others have decided about it: {said}",
            hint="--reverse, if yours is to take the place of theirs",
        )
    return others


def _others(decided: Sequence[Decision], action: Action, own: bytes) -> list[Decision]:
    """What others have decided about the same thing, and stands."""
    return [
        each
        for each in outcome_of(decided).in_force
        if not each.is_automatic and each.action.is_of_version == action.is_of_version and each.decider != own
    ]


def _counted(case: dict[str, Any]) -> list[Decision]:
    """The decisions that are not passed over."""
    passed_over = frozenset[bytes](case.get("passed_over", ()))
    found = map(decision_in, case["decisions"])
    return [decision for decision, record in found if record.id not in passed_over]


def _made_before(case: dict[str, Any], own: bytes, wish: Wish) -> Record | None:
    """The decision that says the same and stands, if there is one."""
    if wish.action is Action.RELEASE:
        return None  # which is about what waits now
    found = [decision_in(frame) for frame in case["decisions"]]
    in_force = outcome_of(_counted(case)).in_force
    waiting = Record.from_wire(case["record"]).id if case.get("record") else None
    there = [each for each in (waiting, case["shown"]) if each is not None]
    for decision, record in found:
        said = Wish(decision.action, decision.reason, decision.labels, decision.rule, decision.category)
        same = replace(said, illegal=decision.illegal, reverse=wish.reverse) == wish
        still = decision.thing is None or decision.version in there or not there
        if decision.decider == own and same and still and decision in in_force:
            return record
    return None


def _signed(decision: Decision, key: KeyPair, place: bytes) -> Record:
    return Record.sign(
        key,
        author=key.owner,
        kind=KIND,
        item=decision.item,
        body=decision.body(),
        stamp=decision.number,
        place=place,
    )


def role_of(proven: dict[str, Any], key: KeyPair) -> Role:
    """The greatest role of who has proven a key.

    Args:
        proven: what the node said of it.
        key: see there.

    Raises:
        OperatorError: it has none that may decide.
    """
    roles: Sequence[Role] = [ROLES[word] for word in proven["roles"] if word in ROLES]
    if not roles:
        raise OperatorError(
            f"{account_to_text(key.owner)} has no role here that may decide",
            hint="--key with the key file of a moderator, an expert or an operator",
        )
    return max(roles)


def _version(case: dict[str, Any], action: Action, subject: Subject) -> bytes:
    """The version that is judged: what waits, for what is about that; else what is shown."""
    if subject.kind == MEDIA:
        return subject.item
    waiting = Record.from_wire(case["record"]).id if case.get("record") else None
    shown = case["shown"]
    if action is Action.RELEASE and waiting is None:
        raise OperatorError("nothing of it waits for review", hint="folkmoot moderate held")
    found: bytes | None = waiting or shown if action.is_of_version else shown or waiting
    if found is None:
        raise OperatorError("there is nothing of that name, or it was deleted", hint="folkmoot moderate held")
    return found


def _policy(case: dict[str, Any], rule: str | None) -> str | None:
    """The policy whose rule is named, where it is the one for which something waits."""
    why = [decision for decision, _ in map(decision_in, case.get("why", ()))]
    return next((each.policy for each in why if rule is not None and each.rule == rule), None)
