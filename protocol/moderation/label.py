"""Label records: a signed statement about a post, kept beside it under its author's key range.

The item of a label is `post item (16) ‖ first bytes of the labeller's key (12) ‖ label value (1 to 64 bytes
of UTF-8) ‖ labeller's account (34)`, so that one labeller says at most one thing about a post under one
value, and says it by a register: a later record with `negated` takes the label back and leaves the trace
that it was there. The bytes before the value make what one labeller says about a post stand together: it is
found without passing over what all others say, however many they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import MULTICODEC_ED25519, is_account
from folkmoot.protocol.limits import (
    ACCOUNT_BYTES,
    ITEM_BYTES,
    LABEL_REASON_CODE_POINTS,
    LABEL_VALUE_BYTES,
    POST_ITEM_BYTES,
    RECORD_ID_BYTES,
    STAMP_MAX,
)
from folkmoot.protocol.moderation.bounds import DECISION_LABELS
from folkmoot.protocol.moderation.grounds import (
    Told,
    checked_bool,
    checked_signals,
    checked_span,
    checked_text,
    told_signals,
)
from folkmoot.protocol.moderation.verdict import Finding, Span

KIND: Final = "label"
FIELD: Final = "text"

# Too many for anyone to make a key that begins like another's.
LABELLER_PREFIX_BYTES: Final = 12
VALUE_AT: Final = POST_ITEM_BYTES + LABELLER_PREFIX_BYTES

_HASH_HEX: Final = 64
_RULE_CODE_POINTS: Final = 64
_FIELD_CODE_POINTS: Final = 64

assert VALUE_AT + LABEL_VALUE_BYTES + ACCOUNT_BYTES <= ITEM_BYTES


@dataclass(frozen=True, slots=True)
class Label:
    """What one labeller says about one post.

    Args:
        post_item: the post's 16 bytes; its author is the record's `place`.
        value: the label, for example `spam`.
        labeller: the account that says it (34 bytes).
        subject_id: the id (32 bytes) of the version of the post that was judged.
        reason: one sentence.
        rule, policy: the rule and the policy's hash in hex, when a policy decided.
        span: the place that set the rule off, in the post as its author wrote it.
        field: which of the post's texts the span is in.
        signals: what else the rule looked at, names and values as texts.
        negated: whether this takes the label back.
        expires_ms: milliseconds since 1970 from which on it says nothing; None for never.
    """

    post_item: bytes
    value: str
    labeller: bytes
    subject_id: bytes
    reason: str
    rule: str | None = None
    policy: str | None = None
    span: Span | None = None
    field: str = FIELD
    signals: Told = ()
    negated: bool = False
    expires_ms: int | None = None

    @classmethod
    def from_finding(
        cls, finding: Finding, *, policy: str, post_item: bytes, subject_id: bytes, labeller: bytes
    ) -> Label:
        """The label that a finding of the gate asks for."""
        assert finding.label is not None, "this finding labels nothing"
        return cls(
            post_item=post_item,
            value=finding.label,
            labeller=labeller,
            subject_id=subject_id,
            reason=finding.reason,
            rule=finding.rule,
            policy=policy,
            span=finding.span,
            field=finding.field or FIELD,
            signals=told_signals(finding.signals),
        )

    @property
    def item(self) -> bytes:
        """The item of the record that says this."""
        return label_item(self.post_item, self.value, self.labeller)

    def body(self) -> dict[str, Any]:
        """The body of the record that says this; what has its default is left out."""
        body: dict[str, Any] = {"value": self.value, "reason": self.reason, "subject_id": self.subject_id}
        if self.rule is not None:
            body["rule"] = self.rule
        if self.policy is not None:
            body["policy"] = self.policy
        if self.span is not None:
            body["span"] = list(self.span)
        if self.field != FIELD:
            body["field"] = self.field
        if self.signals:
            body["signals"] = dict(self.signals)
        if self.negated:
            body["negated"] = True
        if self.expires_ms is not None:
            body["expires_ms"] = self.expires_ms
        return body

    def holds(self, now_us: int) -> bool:
        """Whether it is to be applied at a time (microseconds since 1970)."""
        return not self.negated and (self.expires_ms is None or now_us < 1000 * self.expires_ms)


def labeller_prefix(labeller: bytes) -> bytes:
    """What stands between post item and value in the items of all labels by this account (34 bytes)."""
    key = labeller[len(MULTICODEC_ED25519) :]
    return key[:LABELLER_PREFIX_BYTES]


def check_label_value(value: str) -> bytes:
    """The UTF-8 of a label value.

    Raises:
        WireError: `bad_request`, when the value is empty or longer than 64 bytes.
    """
    encoded = value.encode()
    if not 1 <= len(encoded) <= LABEL_VALUE_BYTES:
        raise WireError(BAD_REQUEST, f"a label value is 1 to {LABEL_VALUE_BYTES} bytes of UTF-8")
    return encoded


def checked_label_values(value: object, of: str) -> tuple[str, ...]:
    """The label values that something is said to bear.

    Args:
        value: as it was received.
        of: whose they are, for the error.

    Raises:
        WireError: `bad_request`: no list of at most `DECISION_LABELS` label values, each once.
    """
    if not isinstance(value, list) or len(value) > DECISION_LABELS or len(set(map(repr, value))) < len(value):
        raise WireError(BAD_REQUEST, f"a {of}'s labels are at most {DECISION_LABELS}, each once")
    for each in value:
        if type(each) is not str:
            raise WireError(BAD_REQUEST, "a label value is a string")
        check_label_value(each)
    return tuple(value)


def label_item(post_item: bytes, value: str, labeller: bytes) -> bytes:
    """The item of a label record.

    Raises:
        WireError: `bad_request`, when the value is empty or longer than 64 bytes.
    """
    encoded = check_label_value(value)
    assert len(post_item) == POST_ITEM_BYTES and is_account(labeller)
    return post_item + labeller_prefix(labeller) + encoded + labeller


def parse_label(item: bytes, body: Mapping[str, Any]) -> Label:
    """Read a label back from its record's item and body.

    Raises:
        WireError: `bad_request`, saying which part is not as described above.
    """
    shortest = VALUE_AT + 1 + ACCOUNT_BYTES
    labeller = item[-ACCOUNT_BYTES:]
    if (
        not shortest <= len(item) < shortest + LABEL_VALUE_BYTES
        or not is_account(labeller)
        or item[POST_ITEM_BYTES:VALUE_AT] != labeller_prefix(labeller)
    ):
        raise WireError(
            BAD_REQUEST,
            "the item of a label is post item, first 12 bytes of the labeller's key, label value, "
            "labeller's account",
        )
    value = body.get("value")
    if type(value) is not str or value.encode() != item[VALUE_AT:-ACCOUNT_BYTES]:
        raise WireError(BAD_REQUEST, "a label's value is the text that its item names")
    subject_id = body.get("subject_id")
    if type(subject_id) is not bytes or len(subject_id) != RECORD_ID_BYTES:
        raise WireError(BAD_REQUEST, f"a label's subject_id is a record id of {RECORD_ID_BYTES} bytes")
    return Label(
        post_item=item[:POST_ITEM_BYTES],
        value=value,
        labeller=labeller,
        subject_id=subject_id,
        reason=checked_text(KIND, body, "reason", LABEL_REASON_CODE_POINTS) or "",
        rule=checked_text(KIND, body, "rule", _RULE_CODE_POINTS),
        policy=checked_text(KIND, body, "policy", _HASH_HEX),
        span=checked_span(KIND, body.get("span")),
        field=checked_text(KIND, body, "field", _FIELD_CODE_POINTS) or FIELD,
        signals=checked_signals(KIND, body.get("signals")),
        negated=checked_bool(KIND, body, "negated"),
        expires_ms=_expires(body.get("expires_ms")),
    )


def _expires(value: object) -> int | None:
    if value is not None and (type(value) is not int or not 0 < value <= STAMP_MAX // 1000):
        raise WireError(BAD_REQUEST, "a label's expires_ms is a number of milliseconds since 1970")
    return value
