"""What commands about single posts share: which one is meant, its versions, what became of a new one."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.feeds import check_signers
from folkmoot.cli.output import Output
from folkmoot.cli.post_names import parse_post_name, post_name
from folkmoot.cli.social.writing import report
from folkmoot.protocol import codec
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.record import Record
from msgspec import Struct

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult


@dataclass(frozen=True, slots=True)
class PostRef:
    """A post as it is named on a command line.

    Args:
        author: 34 bytes.
        item: 16 bytes.
    """

    author: bytes
    item: bytes

    def __str__(self) -> str:
        return post_name(self.author, self.item)


class PostType(click.ParamType[PostRef]):
    """`did:key:z6Mk…/ITEM`, as `feed` shows it."""

    name = "post"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> PostRef:
        """The post.

        Raises:
            click.UsageError: it is not a post's name.
        """
        if isinstance(value, PostRef):
            return value
        ref = parse_post_name(str(value))
        return PostRef(ref["author"], ref["item"])


def words_of(text: str) -> str:
    """What TEXT says, or what standard input does when it is a dash.

    Raises:
        Usage: that is not UTF-8.
    """
    if text != "-":
        return text
    try:
        words = sys.stdin.read().strip()
        words.encode()  # what is not UTF-8 may have come through as lone surrogates
    except UnicodeError as error:
        raise Usage("standard input is not text in UTF-8") from error
    return words


def check_not_empty(text: str, *, shows: bool) -> None:
    """Refuse a post that has nothing in it.

    Args:
        text: its words.
        shows: whether it shows media or another post.

    Raises:
        Usage: it has neither words nor anything to show.
    """
    if not shows and not text.strip():
        raise Usage(
            "a post has words, or shows something", hint="TEXT, --image FILE, or --quote ACCOUNT/ITEM"
        )


@dataclass(frozen=True, slots=True)
class PostCell:
    """All that a cluster knows of a post.

    Args:
        shown: what survives, the version that is shown first.
        earlier: superseded versions, newest first.
        clock: device → greatest stamp known.
    """

    shown: Sequence[Record]
    earlier: Sequence[Record]
    clock: Mapping[bytes, int]

    @property
    def deleted(self) -> bool:
        return self.shown[0].deleted


class _Told(Struct):
    """A cell as `record.get` tells it."""

    records: list[tuple[bytes, bytes]]
    clock: dict[str, int]
    earlier: int = 0


def own_post(post: PostRef, key: KeyPair) -> None:
    """Refuse to touch a post that is not the key's account's.

    Raises:
        OperatorError: it is another's.
    """
    if key.owner != post.author:
        author, signer = account_to_text(post.author), account_to_text(key.owner)
        raise OperatorError(
            f"the post is by {author}, and the key signs for {signer}",
            hint="--key with a key file of the author",
        )


async def read_post(client: Client, post: PostRef, level: str) -> PostCell:
    """A post with its versions, each signed by a key that is or was its author's.

    Raises:
        OperatorError: there is no such post, or the node sent something else.
        WireError: from the node.
    """
    (cell,) = await client.get([(post.author, "post", post.item)], level=level, history=True)
    if cell is None:
        raise OperatorError(f"there is no post {post}", hint=f"folkmoot feed {account_to_text(post.author)}")
    told = codec.shaped(cell, _Told, "a post")
    records = [Record(*frame) for frame in told.records]
    await check_signers(client, post.author, records)
    if not records or any((each.kind, each.item) != ("post", post.item) for each in records):
        raise OperatorError("the node sent another post instead: ask another node")
    surviving = max(1, len(records) - told.earlier)
    return PostCell(records[:surviving], records[surviving:], _clock(told.clock))


def _clock(told: Mapping[str, int]) -> dict[bytes, int]:
    try:
        return {bytes.fromhex(device): stamp for device, stamp in told.items()}
    except ValueError as error:
        raise OperatorError("the node sent a clock that names no devices: ask another node") from error


def stamp_after(cell: PostCell, key: KeyPair) -> int:
    """A stamp of this device for what it says next, in microseconds since 1970."""
    return max(time.time_ns() // 1000, cell.clock.get(key.account, -1) + 1)


def report_post(output: Output, record: Record, result: PutResult) -> int:
    """Say what became of a version of a post; the exit code.

    Raises:
        OperatorError: it was refused.
    """
    name = post_name(record.author, record.item)
    return report(output, {"post": name}, record, result, lambda status: f"{status}: {name}")
