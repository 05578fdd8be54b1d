"""Decision records: what somebody, or a policy, decided about a post or something else that people see.

The item of a decision is `kind byte of the subject (1) ‖ its name (16) ‖ role (1) ‖ number (8) ‖ decider's
account (34)`. So those about one subject stand in the order of their roles, and who reads the last of them
misses none of a greater role, however many there are of lesser ones. The name of a post or list is its item;
of a profile field, an algorithm or a label, whose items are of any length, it is the first bytes of their
SHA-256, and the body says the item in full. The number of a
person's decision is its record's stamp, so each decision has a cell of its own and is never superseded: it is
*reversed*, by a later one that says so and stands beside it. What a policy decided has the number nought:
there is one such decision of each node about a subject, the one about the version that it judged last, and an
author cannot make more of them by writing again.

A decision names the version that was judged, the role in which it was made (which the gate has checked, as it
checks keys), and its statement of reasons. What follows from all decisions about a subject is `outcome`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeVar

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import KIND_BYTE, KIND_NAME
from folkmoot.protocol.limits import (
    ACCOUNT_BYTES,
    ITEM_BYTES,
    POST_ITEM_BYTES,
    RECORD_ID_BYTES,
)
from folkmoot.protocol.moderation.bounds import (
    DECISION_REASON_CODE_POINTS,
    DECISION_REVERSES,
)
from folkmoot.protocol.moderation.grounds import (
    Told,
    category_of,
    checked_bool,
    checked_signals,
    checked_span,
    checked_text,
    told_signals,
)
from folkmoot.protocol.moderation.label import checked_label_values
from folkmoot.protocol.moderation.verdict import Finding, Span

KIND: Final = "decision"
NAME_BYTES: Final = 16
NUMBER_BYTES: Final = 8
SUBJECT_BYTES: Final = 1 + NAME_BYTES
_NUMBER_AT: Final = SUBJECT_BYTES + 1
MARK_BYTES: Final = NUMBER_BYTES + ACCOUNT_BYTES
AUTOMATIC: Final = 0
"""The number of what a policy decided."""

T = TypeVar("T")

MEDIA: Final = "media"
_NAMED_BY_ITEM: Final = frozenset({"post", "list"})
_NAMED_BY_DIGEST: Final = frozenset({"profile", "algorithm", "label", MEDIA})
KINDS_DECIDED: Final = (_NAMED_BY_ITEM | _NAMED_BY_DIGEST) - {MEDIA}
"""The kinds of records that decisions can be about: those that people are shown."""

# Media are decided about, too, and are no records: their number is nobody else's (see `protocol.key`).
SUBJECT_BYTE: Final = {**{kind: KIND_BYTE[kind] for kind in KINDS_DECIDED}, MEDIA: 32}
_SUBJECT_NAME: Final = {number: kind for kind, number in SUBJECT_BYTE.items()}

_RULE_CODE_POINTS: Final = 64
_HASH_HEX: Final = 64
_FIELD_CODE_POINTS: Final = 64

assert SUBJECT_BYTE[MEDIA] not in KIND_NAME
assert _NUMBER_AT + MARK_BYTES <= ITEM_BYTES and NAME_BYTES == POST_ITEM_BYTES


class Action(IntEnum):
    """What is decided; of two about the same thing a greater one is stricter."""

    RESTORE = 0
    LABEL = 1
    WARN = 2
    LIMIT = 3
    REMOVE = 4
    RELEASE = 5
    HOLD = 6
    REJECT = 7

    @property
    def word(self) -> str:
        """How the wire and commands spell it."""
        return self.name.lower()

    @property
    def is_of_version(self) -> bool:
        """Whether it is about the version that was judged alone, and not about all there will be."""
        return self >= Action.RELEASE

    @property
    def is_of_anything(self) -> bool:
        """Whether it can be about more than posts: nothing else is shown behind a warning, or less widely."""
        return self.is_of_version or self in (Action.RESTORE, Action.REMOVE)


class Role(IntEnum):
    """In what capacity something was decided; a greater one prevails."""

    AUTOMATIC = 0
    MODERATOR = 1
    EXPERT = 2
    OPERATOR = 3

    @property
    def word(self) -> str:
        """How the wire and the configuration spell it."""
        return self.name.lower()


ACTIONS: Final = {action.word: action for action in Action}
ROLES: Final = {role.word: role for role in Role}


class Subject(NamedTuple):
    """What is decided about; its author is the record's `place`.

    Args:
        kind: `post`, `profile`, `list`, `algorithm` or `label`; or `media`.
        item: of its record; of a medium its hash.
    """

    kind: str
    item: bytes

    @property
    def prefix(self) -> bytes:
        """What the items of all decisions about it begin with.

        Raises:
            WireError: `bad_request`, when nothing is decided about records of its kind.
        """
        if self.kind in _NAMED_BY_ITEM and len(self.item) == NAME_BYTES:
            return bytes((SUBJECT_BYTE[self.kind],)) + self.item
        if self.kind in _NAMED_BY_DIGEST:
            return bytes((SUBJECT_BYTE[self.kind],)) + hashlib.sha256(self.item).digest()[:NAME_BYTES]
        raise WireError(BAD_REQUEST, f"nothing is decided about a {self.kind[:40]} of this item")

    def check(self) -> None:
        """Refuse what nothing is decided about; raises as `prefix`."""
        _ = self.prefix


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, by whom and why.

    Args:
        subject: about what.
        version: the id (32 bytes) of the record that was judged; of a medium its hash.
        action: what follows from it.
        role: in what capacity.
        decider: the account that decided (34 bytes); of a policy's decisions the node's.
        number: microseconds since 1970, or `AUTOMATIC`.
        reason: a few sentences, for the author.
        labels: values that readers are told.
        rule, policy: the rule that was broken, and the policy's hash in hex, where a policy has them.
        span, field: the place that set the rule off, in the text as its author wrote it, and in which text.
        signals: what else the rule looked at, names and values as texts.
        category: of the European Union's list (see `grounds`); None where nobody said.
        illegal: whether what was found is against the law, and not merely against the rules here.
        reverses: the marks of earlier decisions about the same that it takes the place of.
    """

    subject: Subject
    version: bytes
    action: Action
    role: Role
    decider: bytes
    number: int
    reason: str
    labels: tuple[str, ...] = ()
    rule: str | None = None
    policy: str | None = None
    span: Span | None = None
    field: str | None = None
    signals: Told = ()
    category: str | None = None
    illegal: bool = False
    reverses: tuple[bytes, ...] = ()

    @classmethod
    def from_finding(
        cls, finding: Finding, *, policy: str, subject: Subject, version: bytes, decider: bytes
    ) -> Decision:
        """That a record waits for review, as a finding of the gate asks for."""
        return cls(
            subject,
            version,
            Action.HOLD,
            Role.AUTOMATIC,
            decider,
            AUTOMATIC,
            finding.reason,
            rule=finding.rule,
            policy=policy,
            span=finding.span,
            field=finding.field,
            signals=told_signals(finding.signals),
        )

    @property
    def is_automatic(self) -> bool:
        """Whether no person decided it."""
        return self.role is Role.AUTOMATIC

    @property
    def thing(self) -> bytes | None:
        """What it is about: a version (a record id); None for the subject, whatever is written into it."""
        return self.version if self.action.is_of_version else None

    @property
    def mark(self) -> bytes:
        """What names it among the decisions about its subject: its number and its decider (42 bytes)."""
        return self.number.to_bytes(NUMBER_BYTES, "big") + self.decider

    @property
    def item(self) -> bytes:
        """The item of the record that says this."""
        return self.subject.prefix + bytes((self.role,)) + self.mark

    def body(self) -> dict[str, Any]:
        """The body of the record that says this; what has its default is left out."""
        body: dict[str, Any] = {
            "action": self.action.word,
            "reason": self.reason,
            "role": self.role.word,
            "subject_id": self.version,
        }
        if self.subject.kind in _NAMED_BY_DIGEST:
            body["about"] = self.subject.item
        if self.labels:
            body["labels"] = list(self.labels)
        if self.span is not None:
            body["span"] = list(self.span)
        if self.signals:
            body["signals"] = dict(self.signals)
        if self.illegal:
            body["illegal"] = True
        if self.reverses:
            body["reverses"] = list(self.reverses)
        said = {"rule": self.rule, "policy": self.policy, "field": self.field, "category": self.category}
        return body | {name: text for name, text in said.items() if text is not None}


def parse_decision(item: bytes, body: Mapping[str, Any]) -> Decision:
    """Read a decision back from its record's item and body.

    Raises:
        WireError: `bad_request`, saying which part is not as described above.
    """
    decider = item[-ACCOUNT_BYTES:]
    if len(item) != _NUMBER_AT + MARK_BYTES or not is_account(decider):
        raise WireError(
            BAD_REQUEST,
            "the item of a decision is the subject's kind (1 byte) and name (16), the role (1), the "
            "decision's number (8), the decider's account (34)",
        )
    number = int.from_bytes(item[_NUMBER_AT:-ACCOUNT_BYTES], "big")
    action = _one_of(body, "action", ACTIONS)
    role = _one_of(body, "role", ROLES)
    if item[SUBJECT_BYTES] != role:
        raise WireError(BAD_REQUEST, f"the role in the item of a decision as {role.word} is {int(role)}")
    if (role is Role.AUTOMATIC) != (number == AUTOMATIC):
        raise WireError(BAD_REQUEST, "the number of a decision is nought when it is automatic, and only then")
    subject = _subject(item, body)
    if subject.kind != "post" and not action.is_of_anything:
        raise WireError(BAD_REQUEST, f"a {subject.kind} is removed or restored; {action.word} is for posts")
    if subject.kind == MEDIA and not action.is_of_version:
        raise WireError(BAD_REQUEST, "a medium is released, held or rejected: it is one version of itself")
    version = body.get("subject_id")
    if type(version) is not bytes or len(version) != RECORD_ID_BYTES:
        raise WireError(BAD_REQUEST, f"a decision's subject_id is a record id of {RECORD_ID_BYTES} bytes")
    decision = Decision(
        subject,
        version,
        action,
        role,
        decider,
        number,
        checked_text(KIND, body, "reason", DECISION_REASON_CODE_POINTS) or "",
        labels=checked_label_values(body.get("labels", []), "decision"),
        rule=checked_text(KIND, body, "rule", _RULE_CODE_POINTS),
        policy=checked_text(KIND, body, "policy", _HASH_HEX),
        span=checked_span(KIND, body.get("span")),
        field=checked_text(KIND, body, "field", _FIELD_CODE_POINTS),
        signals=checked_signals(KIND, body.get("signals")),
        category=category_of(body),
        illegal=checked_bool(KIND, body, "illegal"),
        reverses=_reverses(body.get("reverses", []), number),
    )
    _check_sense(decision)
    return decision


def check_decision_time(item: bytes, stamp: int) -> None:
    """Of what a person decides the number is the record's stamp, so that no cell is written twice.

    Raises:
        WireError: `bad_request`.
    """
    number = int.from_bytes(item[_NUMBER_AT:-ACCOUNT_BYTES], "big")
    if number not in (AUTOMATIC, stamp):
        raise WireError(BAD_REQUEST, "the number in a decision's item is its record's stamp")


def _check_sense(decision: Decision) -> None:
    if decision.is_automatic and decision.action not in (Action.HOLD, Action.RELEASE):
        raise WireError(BAD_REQUEST, f"no policy decides to {decision.action.word}: that takes a person")
    if decision.subject.kind == "label" and decision.subject.item.endswith(decision.decider):
        raise WireError(BAD_REQUEST, "nobody decides about what they wrote themselves")
    if not decision.reason:
        raise WireError(BAD_REQUEST, "a decision says why: its reason is empty")
    if decision.labels and (decision.action.is_of_version or decision.action is Action.RESTORE):
        raise WireError(BAD_REQUEST, f"{decision.action.word} puts no labels on a post")
    if decision.subject.kind == MEDIA and decision.version != decision.subject.item:
        raise WireError(BAD_REQUEST, "the subject_id of a decision about a medium is its hash")
    if decision.action is Action.LABEL and not decision.labels:
        raise WireError(BAD_REQUEST, "a decision to label says with what: labels is empty")


def _one_of(body: Mapping[str, Any], name: str, known: Mapping[str, T]) -> T:
    word = body.get(name)
    if type(word) is not str or word not in known:
        raise WireError(BAD_REQUEST, f"a decision's {name} is one of {', '.join(known)}")
    return known[word]


def _subject(item: bytes, body: Mapping[str, Any]) -> Subject:
    kind = _SUBJECT_NAME.get(item[0], "")
    name = item[1:SUBJECT_BYTES]
    if kind in _NAMED_BY_ITEM:
        return Subject(kind, name)
    about = body.get("about")
    if type(about) is not bytes or not 1 <= len(about) <= ITEM_BYTES:
        raise WireError(BAD_REQUEST, "a decision's about is the item of what it is about")
    subject = Subject(kind, about)
    if subject.prefix != item[:SUBJECT_BYTES]:
        raise WireError(BAD_REQUEST, "a decision's about is not what its item names")
    return subject


def _reverses(value: object, number: int) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > DECISION_REVERSES:
        raise WireError(BAD_REQUEST, f"a decision reverses at most {DECISION_REVERSES} others")
    for mark in value:
        if type(mark) is not bytes or len(mark) != MARK_BYTES or not is_account(mark[NUMBER_BYTES:]):
            raise WireError(BAD_REQUEST, f"what a decision reverses is named by {MARK_BYTES} bytes each")
        if number == AUTOMATIC or int.from_bytes(mark[:NUMBER_BYTES], "big") >= number:
            raise WireError(BAD_REQUEST, "a decision reverses earlier ones; a policy's reverses none")
    return tuple(value)


def marks(decisions: Sequence[Decision]) -> tuple[bytes, ...]:
    """The marks of some decisions, as `reverses` takes them: the newest, as many as there is room for."""
    return tuple(sorted((each.mark for each in decisions), reverse=True)[:DECISION_REVERSES])
