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
from folkmoot.protocol.moderation.decision import Subject

POST: Final = "post"


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
        return f"{account_to_text(self.author)}/{kind}:{item.hex()}"


class SubjectType(click.ParamType[Named]):
    """`did:key:z6Mk…/ITEM` for a post; `did:key:z6Mk…/profile:ITEM` and so on for what else waits, and
    `did:key:z6Mk…/media:HASH` for a medium."""

    name = "post"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Named:
        """What is named.

        Raises:
            click.BadParameter: it is no name of anything that can be decided about.
        """
        if isinstance(value, Named):
            return value
        account, _, rest = str(value).partition("/")
        kind, _, item = rest.rpartition(":")
        try:
            named = Named(account_from_text(account), Subject(kind or POST, bytes.fromhex(item)))
            assert named.subject.prefix, "which says that something can be decided about it"
        except (WireError, ValueError):
            self.fail(
                f"{value!r} is not a post: write did:key:z6Mk…/ITEM, as `moderate held` does", param, ctx
            )
        return named


def reviewer_key(target: Target, file: Path | None, output: Output) -> KeyPair:
    """The key of who decides: in the file given, else a local cluster's operator's, else one's own.

    Raises:
        OperatorError: there is none.
        DataDirectoryError: the file is no key, or readable by others.
    """
    from folkmoot.cli.clients import operator_of

    return operator_of(target, file) or own_key(None, output, make=False)
