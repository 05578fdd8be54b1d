"""What each kind of record says: the contract's table of bodies, as one checking function a kind.

Unknown keys are kept and ignored, so that a newer client's record passes through an older node unharmed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.feed.controls import check_controls
from folkmoot.protocol.feed.mute import parse_mute
from folkmoot.protocol.feed.preferences import check_preference
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import KINDS_FLAG
from folkmoot.protocol.moderation.decision import parse_decision
from folkmoot.protocol.moderation.label import check_label_value, parse_label
from folkmoot.protocol.moderation.sampling import parse_sampling
from folkmoot.protocol.ranking.document import parse_document

Body = Mapping[str, Any]

_GONE: Final[Body] = {"deleted": True}
# What is required of a body that says nothing, by kind.
_EMPTY: Final[Mapping[str, Body]] = {"profile": {"value": ""}, "list": _GONE, "algorithm": _GONE}

# The shape of a language tag (RFC 5646, section 2.1); which of them exist is not looked up.
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")


def check_body(kind: str, item: bytes, body: Body) -> None:
    """Raise `bad_request` or `too_large` unless `item` and `body` are what `kind` asks for."""
    check = _CHECKS.get(kind)
    if check is None:
        raise WireError(BAD_REQUEST, f"records of kind {kind!r} are not written by clients")
    check(item, body)


def emptied(kind: str) -> dict[str, Any]:
    """The body of a record that takes back all that is at its key; of a kind that can be taken back."""
    if kind == "post":
        return dict(_GONE)
    if kind in KINDS_FLAG:
        return {"on": False, "erase": True}
    return {**_EMPTY.get(kind, {}), "erase": True}


def post_time_ms(item: bytes) -> int:
    """Milliseconds since 1970 in the UUIDv7 of a post (RFC 9562, section 5.7)."""
    return int.from_bytes(item[:6], "big")


def is_uuid7(item: bytes) -> bool:
    """Whether 16 bytes carry the version and variant bits of UUIDv7."""
    return len(item) == limits.POST_ITEM_BYTES and item[6] >> 4 == 7 and item[8] >> 6 == 0b10


def make_uuid7(time_ms: int, random_bits: int) -> bytes:
    """The 16 bytes of a UUIDv7.

    Args:
        time_ms: milliseconds since 1970, 48 bits.
        random_bits: 74 bits that tell posts of one millisecond apart.
    """
    high = (time_ms << 80) | (0x7 << 76) | (((random_bits >> 62) & 0xFFF) << 64)
    return (high | (0b10 << 62) | (random_bits & (2**62 - 1))).to_bytes(16, "big")


def _check_post(item: bytes, body: Body) -> None:
    if not is_uuid7(item):
        raise WireError(BAD_REQUEST, "the item of a post is the 16 bytes of a UUIDv7")
    if "deleted" in body:
        if body["deleted"] is not True or len(body) != 1:
            raise WireError(BAD_REQUEST, "a deletion's body is exactly {deleted: true}")
        return
    _check_text(body, "text", limits.POST_TEXT_CODE_POINTS, required=True)
    _check_lang(body.get("lang"))
    _check_text(body, "warning", 500)
    for name in ("reply_to", "root", "quote"):
        if name in body:
            _check_ref(name, body[name])
    tags = body.get("tags")
    if tags is not None:
        _check_tags(tags)
    media = body.get("media")
    if media is not None:
        _check_media(media)
    labels = body.get("labels")
    if labels is not None:
        _check_self_labels(labels)
    check_controls(body)


def _check_lang(lang: object) -> None:
    if lang is not None and (
        type(lang) is not str or len(lang) > limits.POST_LANG_CODE_POINTS or not _LANGUAGE.fullmatch(lang)
    ):
        raise WireError(
            BAD_REQUEST,
            f"lang is a language tag such as pt-BR, of at most {limits.POST_LANG_CODE_POINTS} characters",
        )


def _check_tags(tags: object) -> None:
    if not isinstance(tags, list) or len(tags) > limits.POST_TAGS:
        raise WireError(BAD_REQUEST, f"tags is a list of at most {limits.POST_TAGS} strings")
    for tag in tags:
        if type(tag) is not str or not 1 <= len(tag) <= limits.POST_TAG_CODE_POINTS:
            raise WireError(
                BAD_REQUEST, f"a tag is a string of 1 to {limits.POST_TAG_CODE_POINTS} characters"
            )


def _check_self_labels(labels: object) -> None:
    if not isinstance(labels, list) or len(labels) > limits.POST_LABELS:
        raise WireError(BAD_REQUEST, f"labels is a list of at most {limits.POST_LABELS} label values")
    for value in labels:
        if type(value) is not str:
            raise WireError(BAD_REQUEST, "a label value is a string")
        check_label_value(value)


def _check_media(media: object) -> None:
    if not isinstance(media, list) or len(media) > limits.POST_MEDIA:
        raise WireError(BAD_REQUEST, f"media is a list of at most {limits.POST_MEDIA} maps")
    for entry in media:
        if (
            not isinstance(entry, dict)
            or type(entry.get("hash")) is not bytes
            or len(entry["hash"]) != 32
            or type(entry.get("mime")) is not str
            or type(entry.get("size")) is not int
            or entry["size"] < 0
            or type(entry.get("alt", "")) is not str
        ):
            raise WireError(BAD_REQUEST, "a medium is {hash: 32 bytes, mime: str, size: uint, alt: str}")
        _check_text(entry, "mime", limits.POST_MIME_CODE_POINTS)
        _check_text(entry, "alt", limits.POST_ALT_CODE_POINTS)


def _check_ref(name: str, ref: object) -> None:
    if (
        not isinstance(ref, dict)
        or not is_account(ref.get("author"))
        or type(ref.get("item")) is not bytes
        or not 1 <= len(ref["item"]) <= limits.ITEM_BYTES
        or not ("id" not in ref or (type(ref["id"]) is bytes and len(ref["id"]) == limits.RECORD_ID_BYTES))
    ):
        raise WireError(BAD_REQUEST, f"{name} is {{author: account, item: bytes, id?: 32 bytes}}")


def _check_text(body: Body, name: str, code_points: int, *, required: bool = False) -> None:
    text = body.get(name)
    if text is None and not required:
        return
    if type(text) is not str:
        raise WireError(BAD_REQUEST, f"{name} is a string")
    if len(text) > code_points:
        raise WireError(TOO_LARGE, f"{name} has {len(text)} characters; the limit is {code_points}")


def _check_profile(item: bytes, body: Body) -> None:
    if not _is_text(item):
        raise WireError(BAD_REQUEST, "the item of a profile field is the field's name in UTF-8")
    if "value" not in body:
        raise WireError(BAD_REQUEST, "a profile field's body is {value, erase?}")
    _check_erase(body)


def _check_flag(item: bytes, body: Body) -> None:
    if type(body.get("on")) is not bool:
        raise WireError(BAD_REQUEST, "the body is {on: bool, erase?}")
    _check_erase(body)


def _check_erase(body: Body) -> None:
    if body.get("erase", True) is not True:
        raise WireError(BAD_REQUEST, "erase is true, or absent")


def _check_edge(item: bytes, body: Body) -> None:
    if not is_account(item):
        raise WireError(BAD_REQUEST, "the item is the other account's 34 bytes")
    _check_flag(item, body)


def _check_mute(item: bytes, body: Body) -> None:
    parse_mute(item, body)
    _check_flag(item, body)


def _check_list(item: bytes, body: Body) -> None:
    if len(item) != limits.POST_ITEM_BYTES:
        raise WireError(BAD_REQUEST, f"the item of a list is {limits.POST_ITEM_BYTES} bytes")
    if "deleted" in body:
        _check_gone(body, "list")
        return
    _check_text(body, "name", limits.LIST_NAME_CODE_POINTS, required=True)
    if not body["name"]:
        raise WireError(BAD_REQUEST, "a list has a name")
    _check_text(body, "about", limits.LIST_ABOUT_CODE_POINTS)


def _check_gone(body: Body, what: str) -> None:
    if body["deleted"] is not True or not body.keys() <= {"deleted", "erase"}:
        raise WireError(BAD_REQUEST, f"the body of a {what} that is no more is {{deleted: true, erase?}}")
    _check_erase(body)


def _check_listed(item: bytes, body: Body) -> None:
    if len(item) != limits.POST_ITEM_BYTES + limits.ACCOUNT_BYTES or not is_account(
        item[limits.POST_ITEM_BYTES :]
    ):
        raise WireError(BAD_REQUEST, "the item is the list's 16 bytes followed by the member's 34")
    _check_flag(item, body)


def _check_algorithm(item: bytes, body: Body) -> None:
    if not 1 <= len(item) <= limits.ALGORITHM_NAME_BYTES or not _is_text(item):
        raise WireError(
            BAD_REQUEST,
            f"the item of an algorithm is its name: 1 to {limits.ALGORITHM_NAME_BYTES} bytes of UTF-8",
        )
    if "deleted" in body:
        _check_gone(body, "algorithm")
        return
    parse_document(body.get("document"))


def _is_text(item: bytes) -> bool:
    try:
        item.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_bookmark(item: bytes, body: Body) -> None:
    if len(item) <= limits.ACCOUNT_BYTES or not is_account(item[: limits.ACCOUNT_BYTES]):
        raise WireError(
            BAD_REQUEST, "the item of a bookmark is the post's author followed by the post's item"
        )
    _check_flag(item, body)


def _check_reaction(item: bytes, body: Body) -> None:
    if len(item) != limits.POST_ITEM_BYTES + limits.ACCOUNT_BYTES or not is_uuid7(item[:16]):
        raise WireError(BAD_REQUEST, "the item is the post's 16 bytes followed by the own account's 34")
    _check_flag(item, body)


def _check_statement(item: bytes, body: Body) -> None:
    """Moderation's other records: their bodies are checked by the case they belong to."""
    if len(item) <= limits.ACCOUNT_BYTES:
        raise WireError(BAD_REQUEST, "the item names a subject before the own account's 34 bytes")


def _check_decision(item: bytes, body: Body) -> None:
    decision = parse_decision(item, body)
    if decision.subject.kind == "post" and not is_uuid7(decision.subject.item):
        raise WireError(BAD_REQUEST, "a decision about a post names the 16 bytes of a UUIDv7")


def _check_vote(item: bytes, body: Body) -> None:
    _check_statement(item, body)
    sampled = parse_sampling(item, body)
    if sampled is not None and not is_uuid7(sampled.post_item):
        raise WireError(BAD_REQUEST, "a draw or an answer names the 16 bytes of a post's UUIDv7")


def _check_label(item: bytes, body: Body) -> None:
    parse_label(item, body)
    if not is_uuid7(item[: limits.POST_ITEM_BYTES]):
        raise WireError(BAD_REQUEST, "the item of a label begins with the 16 bytes of a post's UUIDv7")


_CHECKS: Final[dict[str, Callable[[bytes, Body], None]]] = {
    "post": _check_post,
    "profile": _check_profile,
    "follow": _check_edge,
    "mute": _check_mute,
    "block": _check_edge,
    "bookmark": _check_bookmark,
    "like": _check_reaction,
    "repost": _check_reaction,
    "report": _check_statement,
    "label": _check_label,
    "vote": _check_vote,
    "decision": _check_decision,
    "appeal": _check_statement,
    "list": _check_list,
    "listed": _check_listed,
    "preference": check_preference,
    "algorithm": _check_algorithm,
}
