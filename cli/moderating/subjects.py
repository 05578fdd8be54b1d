"""What moderators name on a command line, and the key with which they sign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from folkmoot.cli.connection import Target
from folkmoot.cli.output import Output
from folkmoot.cli.post_names import post_name
from folkmoot.cli.social.own_key import own_key
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair, account_from_text, account_to_text
from folkmoot.protocol.limits import ACCOUNT_BYTES, POST_ITEM_BYTES
from folkmoot.protocol.moderation.decision import Subject
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import VALUE_AT, label_item

POST: Final = "post"
_NAMED_IN_WORDS: Final = ("profile", "algorithm")


@dataclass(frozen=True, slots=True)
class Named:
    """Something that can be decided about.

    Args:
        author: under whose place it lies (34 bytes).
        subject: what it is.
    """

    author: bytes
    subject: Subject

    def __str__(self) -> str:
        kind, item = self.subject
        if kind == POST:
            return post_name(self.author, item)
        return f"{account_to_text(self.author)}/{kind}:{_text_of(kind, item)}"


class SubjectType(click.ParamType[Named]):
    """A post or what else can be decided about, all under the account in whose place it lies.

    `did:key:z6Mk…/ITEM` is a post, `did:key:z6Mk…/list:ITEM` a list, `did:key:z6Mk…/profile:NAME` a field of
    the profile, `did:key:z6Mk…/algorithm:NAME` a feed algorithm, `did:key:z6Mk…/media:HASH` a medium, and
    `did:key:z6Mk…/label:ITEM:VALUE:did:key:z6Mj…` the label that the second account put on a post.
    """

    name = "post"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Named:
        """What is named.

        Raises:
            click.BadParameter: it is no name of anything that can be decided about.
        """
        if isinstance(value, Named):
            return value
        account, _, rest = str(value).partition("/")
        kind, colon, text = rest.partition(":")
        try:
            subject = Subject(kind, _item_of(kind, text)) if colon else Subject(POST, bytes.fromhex(rest))
            subject.check()
            named = Named(account_from_text(account), subject)
        except (WireError, ValueError):
            self.fail(
                f"{value!r} is not a post: write did:key:z6Mk…/ITEM, as `moderate held` does; or "
                "did:key:z6Mk…/profile:NAME, /list:ITEM, /algorithm:NAME, /label:ITEM:VALUE:did:key:z6Mj…",
                param,
                ctx,
            )
        return named


def _item_of(kind: str, text: str) -> bytes:
    """The item of a subject that is no post, by what is written for it.

    Raises:
        ValueError, WireError: it is none.
    """
    if not text:
        raise ValueError("it is not said which")
    if kind in _NAMED_IN_WORDS:
        return text.encode()
    if kind == LABEL:
        post, _, rest = text.partition(":")
        value, _, labeller = rest.rpartition(":did:")
        if len(post) != 2 * POST_ITEM_BYTES:
            raise ValueError("the item of a post has 32 digits")
        return label_item(bytes.fromhex(post), value, account_from_text(f"did:{labeller}"))
    return bytes.fromhex(text)


def _text_of(kind: str, item: bytes) -> str:
    """What is written for an item; see `_item_of`."""
    if kind in _NAMED_IN_WORDS:
        return item.decode()
    if kind == LABEL:
        value, labeller = item[VALUE_AT:-ACCOUNT_BYTES].decode(), account_to_text(item[-ACCOUNT_BYTES:])
        return f"{item[:POST_ITEM_BYTES].hex()}:{value}:{labeller}"
    return item.hex()


def reviewer_key(target: Target, file: Path | None, output: Output) -> KeyPair:
    """The key of who decides: in the file given, else a local cluster's operator's, else one's own.

    Raises:
        OperatorError: there is none.
        DataDirectoryError: the file is no key, or readable by others.
    """
    from folkmoot.cli.clients import operator_of

    return operator_of(target, file) or own_key(None, output, make=False)
