"""Samples: posts drawn at random from what gates judged, and what people found who were told nothing else.

Decisions are made where somebody complained or a rule struck, so they say nothing of the rest. A small share
of *all* posts, let in or not, looked at by people who do not know what became of them, does: whoever counts
each of these 1/p times, p being the probability with which it was drawn, has an unbiased picture of what is
posted (Horvitz and Thompson 1952, "A Generalization of Sampling Without Replacement From a Finite Universe").

A sample is two records of the kind `vote`, which are private, beside the post that they are about. The *draw*
is the word of the node that drew it: what its gate had made of the post, and p. The *answer* is a reviewer's:
it names the draw by its record id, and the labels that the post deserves, none if nothing is wrong with it.
The item of both is `1 ‖ post item (16) ‖ when it was drawn (8) ‖ account (34)`, so that they stand together.
Of several answers to one draw the first counts if the others say the same; else none does. The author's never
does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import KIND_BYTE
from folkmoot.protocol.limits import ACCOUNT_BYTES, POST_ITEM_BYTES, POST_LANG_CODE_POINTS, RECORD_ID_BYTES
from folkmoot.protocol.moderation.decision import ROLES, Role
from folkmoot.protocol.moderation.grounds import checked_text
from folkmoot.protocol.moderation.label import checked_label_values
from folkmoot.protocol.moderation.verdict import Action

if TYPE_CHECKING:
    from folkmoot.protocol.record import Record

KIND: Final = "vote"
DRAW: Final = "draw"
ANSWER: Final = "answer"

MILLION: Final = 1_000_000
"""Probabilities are written as so many millionths: records hold no fractions."""

TIME_BYTES: Final = 8
_POST: Final = bytes((KIND_BYTE["post"],))
_POST_AT: Final = len(_POST)
_TIME_AT: Final = _POST_AT + POST_ITEM_BYTES
_ACCOUNT_AT: Final = _TIME_AT + TIME_BYTES
_ITEM_BYTES: Final = _ACCOUNT_AT + ACCOUNT_BYTES
_HASH_HEX: Final = 64
_RULE_CODE_POINTS: Final = 64
_ACTIONS: Final = {action.word: action for action in Action if action is not Action.REFUSE}


@dataclass(frozen=True, slots=True)
class Draw:
    """What a node says of a post that it drew.

    Args:
        post_item: the post's (16 bytes); its author is the record's `place`.
        version: the id (32 bytes) of the record that was judged.
        node: the account (34 bytes) of the node that judged and drew it.
        drawn_us: when, in microseconds since 1970.
        millionths: the probability with which it was drawn, 1 to a million.
        action: what the gate made of it: accept, label or hold. Of what is refused nothing is kept, so that
            it cannot be drawn.
        policy: the hash, in hex, of the policy that the gate judged by.
        rule: the rule that decided; None where none applied.
        labels: those that the gate put on it.
        language: what the post says it is in, in lower case; empty where it says none.
    """

    post_item: bytes
    version: bytes
    node: bytes
    drawn_us: int
    millionths: int
    action: Action
    policy: str
    rule: str | None = None
    labels: tuple[str, ...] = ()
    language: str = ""

    @property
    def probability(self) -> float:
        """With which it was drawn; over 0, at most 1."""
        return self.millionths / MILLION

    @property
    def item(self) -> bytes:
        """The item of the record that says this."""
        return sample_item(self.post_item, self.drawn_us, self.node)

    def body(self) -> dict[str, Any]:
        """The body of the record that says this; what has its default is left out."""
        body: dict[str, Any] = {
            "sample": DRAW,
            "subject_id": self.version,
            "millionths": self.millionths,
            "action": self.action.word,
            "policy": self.policy,
        }
        if self.rule is not None:
            body["rule"] = self.rule
        if self.labels:
            body["labels"] = list(self.labels)
        if self.language:
            body["lang"] = self.language
        return body


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer says of a post that was drawn.

    Args:
        post_item, version, drawn_us: as in the draw.
        draw: the id (32 bytes) of the draw's record.
        reviewer: the account that says it (34 bytes).
        role: in what capacity; the gate has checked it.
        labels: what the post deserves; none when nothing is wrong with it.
    """

    post_item: bytes
    version: bytes
    drawn_us: int
    draw: bytes
    reviewer: bytes
    role: Role
    labels: tuple[str, ...] = ()

    @property
    def is_fine(self) -> bool:
        """Whether nothing is wrong with the post."""
        return not self.labels

    @property
    def item(self) -> bytes:
        """The item of the record that says this."""
        return sample_item(self.post_item, self.drawn_us, self.reviewer)

    def body(self) -> dict[str, Any]:
        """The body of the record that says this."""
        return {
            "sample": ANSWER,
            "subject_id": self.version,
            "draw": self.draw,
            "role": self.role.word,
            "labels": list(self.labels),
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """A post that was drawn and answered.

    Args:
        id: of the draw's record (32 bytes).
        author: of the post (34 bytes).
        draw, answer: see there.
        answered_us: when it was answered, in microseconds since 1970.
    """

    id: bytes
    author: bytes
    draw: Draw
    answer: Answer
    answered_us: int

    @property
    def weight(self) -> float:
        """How many posts it stands for: one by the probability with which it was drawn."""
        return MILLION / self.draw.millionths


def sample_item(post_item: bytes, drawn_us: int, account: bytes) -> bytes:
    """The item of a draw's record, or of an answer's."""
    return _POST + post_item + drawn_us.to_bytes(TIME_BYTES, "big") + account


def drawn_at(item: bytes) -> int | None:
    """When what a vote is about was drawn, by its item; None where it can be no draw and no answer."""
    if len(item) != _ITEM_BYTES or not item.startswith(_POST):
        return None
    return int.from_bytes(item[_TIME_AT:_ACCOUNT_AT], "big")


def parse_sampling(item: bytes, body: Mapping[str, Any]) -> Draw | Answer | None:
    """Read a draw or an answer back from its record's item and body; None for a vote about something else.

    Raises:
        WireError: `bad_request`, saying which part is not as described above.
    """
    said = body.get("sample")
    if said is None:
        return None
    if said not in (DRAW, ANSWER):
        raise WireError(BAD_REQUEST, f"a vote's sample is {DRAW} or {ANSWER}")
    account = item[_ACCOUNT_AT:]
    if len(item) != _ITEM_BYTES or not item.startswith(_POST) or not is_account(account):
        raise WireError(
            BAD_REQUEST,
            "the item of a draw or an answer is 1, the post's item (16 bytes), when it was drawn (8), the "
            "own account (34)",
        )
    post_item, drawn_us = item[_POST_AT:_TIME_AT], int.from_bytes(item[_TIME_AT:_ACCOUNT_AT], "big")
    version, labels = _id(body, "subject_id"), checked_label_values(body.get("labels", []), "vote")
    if said == ANSWER:
        draw = _id(body, "draw")
        return Answer(post_item, version, drawn_us, draw, account, _role(body), labels)
    language = checked_text(KIND, body, "lang", POST_LANG_CODE_POINTS) or ""
    rule = checked_text(KIND, body, "rule", _RULE_CODE_POINTS)
    policy = checked_text(KIND, body, "policy", _HASH_HEX) or ""
    drawn = post_item, version, account, drawn_us, _millionths(body)
    return Draw(*drawn, _action(body), policy, rule, labels, language)


def samples_of(records: Iterable[Record]) -> list[Sample]:
    """The samples that some records come to, in the order in which they were drawn, whatever order these
    have.

    Args:
        records: votes; what is no draw or answer, or has no counterpart, is passed over.
    """
    draws: dict[bytes, tuple[bytes, Draw]] = {}
    answers: dict[bytes, list[tuple[int, bytes, Answer]]] = {}
    for record in records:
        said = parse_sampling(record.item, record.body) if record.kind == KIND else None
        if isinstance(said, Draw):
            draws[record.id] = record.place, said
        elif isinstance(said, Answer) and record.author != record.place:
            answers.setdefault(said.draw, []).append((record.stamp, record.id, said))
    samples = []
    for id_, (author, draw) in draws.items():
        to_it = [found for found in answers.get(id_, ()) if _answers(found[2], draw)]
        if len({frozenset(found[2].labels) for found in to_it}) == 1:
            answered_us, _, answer = min(to_it, key=lambda found: found[:2])
            samples.append(Sample(id_, author, draw, answer, answered_us))
    return sorted(samples, key=lambda sample: (sample.draw.drawn_us, sample.id))


def _answers(answer: Answer, draw: Draw) -> bool:
    of_answer = answer.post_item, answer.version, answer.drawn_us
    return of_answer == (draw.post_item, draw.version, draw.drawn_us)


def _id(body: Mapping[str, Any], name: str) -> bytes:
    value = body.get(name)
    if type(value) is not bytes or len(value) != RECORD_ID_BYTES:
        raise WireError(BAD_REQUEST, f"a vote's {name} is a record id of {RECORD_ID_BYTES} bytes")
    return value


def _millionths(body: Mapping[str, Any]) -> int:
    value = body.get("millionths")
    if type(value) is not int or not 1 <= value <= MILLION:
        raise WireError(BAD_REQUEST, f"a draw's millionths are 1 to {MILLION}")
    return value


def _action(body: Mapping[str, Any]) -> Action:
    word = body.get("action")
    if type(word) is not str or word not in _ACTIONS:
        raise WireError(BAD_REQUEST, f"a draw's action is one of {', '.join(_ACTIONS)}")
    return _ACTIONS[word]


def _role(body: Mapping[str, Any]) -> Role:
    word = body.get("role")
    if type(word) is not str or word not in ROLES or ROLES[word] is Role.AUTOMATIC:
        raise WireError(BAD_REQUEST, "an answer's role is one of moderator, expert, operator")
    return ROLES[word]
