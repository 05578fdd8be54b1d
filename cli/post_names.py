"""A post's name on a command line: `did:key:…/ITEM`, the item in hexadecimal."""

from __future__ import annotations

from typing import Any

import click
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_from_text, account_to_text
from folkmoot.protocol.limits import POST_ITEM_BYTES


def post_name(author: bytes, item: bytes) -> str:
    """The name of the post `item` (16 bytes) by `author` (34 bytes)."""
    return f"{account_to_text(author)}/{item.hex()}"


def parse_post_name(text: str) -> dict[str, Any]:
    """The `ref` that a post's name stands for.

    Raises:
        click.UsageError: it is not a post's name.
    """
    account, _, item = text.partition("/")
    try:
        ref = {"author": account_from_text(account), "item": bytes.fromhex(item)}
    except (WireError, ValueError) as error:
        raise click.UsageError(f"{text!r} is not a post: write did:key:z6Mk…/ITEM, as `feed` does") from error
    if len(ref["item"]) != POST_ITEM_BYTES:
        raise click.UsageError(f"{text!r} is not a post: its item has {len(ref['item'])} bytes, not 16")
    return ref


class PostItem(click.ParamType[bytes]):
    """A post's item as people write it, in hexadecimal."""

    name = "item"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The item's 16 bytes.

        Raises:
            click.BadParameter: it is none.
        """
        if isinstance(value, bytes):
            return value
        try:
            item = bytes.fromhex(str(value))
        except ValueError:
            item = b""
        if len(item) != POST_ITEM_BYTES:
            self.fail(f"{value!r} is not an item: 32 hexadecimal digits, as `feed` shows them", param, ctx)
        return item
