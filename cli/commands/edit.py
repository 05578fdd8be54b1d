"""`folkmoot edit`: put another text in the place of a post's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.posts import (
    PostRef,
    PostType,
    check_not_empty,
    own_post,
    read_post,
    report_post,
    stamp_after,
    words_of,
)
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.cli.social.writing import level_option
from folkmoot.cli.users.who import ShortText
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult


@click.command(
    epilog=examples(
        "folkmoot edit did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 'Good evening.'",
        "echo 'From a pipe.' | folkmoot edit did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 -",
    )
)
@click.argument("post", type=PostType())
@click.argument("text", type=ShortText())
@key_option
@level_option
@target_options
@json_option
def command(
    post: PostRef, text: str, key_file: Path | None, level: str, target: Target, output: Output
) -> int:
    """Put another text in the place of a post's.

    POST is the post as `feed` shows it; TEXT the new text, or - to read it from standard input. What else the
    post says (what it answers, its tags) stays. Everybody can see that it was edited, and what it said: see
    `folkmoot history`; only a deletion erases that. Versions that two devices wrote without having seen each
    other's are joined by it.
    """
    words = words_of(text)
    key = own_key(key_file, output, make=False)
    own_post(post, key)

    async def talk(client: Client) -> tuple[Record, PutResult]:
        cell = await read_post(client, post, "quorum")
        if cell.deleted:
            raise OperatorError(f"{post} was deleted, and a deletion is final", hint="folkmoot post")
        body = {**cell.shown[0].body, "text": words}
        check_not_empty(words, shows=bool(body.get("media") or body.get("quote")))
        record = Record.sign(
            key,
            author=post.author,
            kind="post",
            item=post.item,
            body=body,
            stamp=stamp_after(cell, key),
            seen=cell.clock,
        )
        (result,) = await client.put_records([(record.payload, record.signature)], level)
        return record, result

    record, result = converse(target, talk)
    return report_post(output, record, result)
