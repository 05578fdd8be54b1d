"""`folkmoot delete`: delete a post, for good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.posts import (
    PostCell,
    PostRef,
    PostType,
    own_post,
    read_post,
    report_post,
    stamp_after,
)
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.cli.social.writing import level_option
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult


@click.command(
    epilog=examples(
        "folkmoot delete did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
        "folkmoot delete did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --key alice.key --level all",
    )
)
@click.argument("post", type=PostType())
@key_option
@level_option
@target_options
@json_option
def command(post: PostRef, key_file: Path | None, level: str, target: Target, output: Output) -> int:
    """Delete a post and all its versions, for ever.

    POST is the post as `feed` shows it. Its text and its earlier versions are erased on every replica that
    hears of it; nothing can bring them back. All that an account wrote is deleted by `folkmoot user purge`.
    """
    key = own_key(key_file, output, make=False)
    own_post(post, key)

    async def talk(client: Client) -> tuple[Record, PutResult]:
        cell = await read_post(client, post, "quorum")
        # A deletion that is there already is brought to the level, and no other one is made.
        record = cell.shown[0] if cell.deleted else _deletion(post, cell, key)
        (result,) = await client.put_records([(record.payload, record.signature)], level)
        return record, result

    record, result = converse(target, talk)
    return report_post(output, record, result)


def _deletion(post: PostRef, cell: PostCell, key: KeyPair) -> Record:
    return Record.sign(
        key,
        author=post.author,
        kind="post",
        item=post.item,
        body={"deleted": True},
        stamp=stamp_after(cell, key),
    )
