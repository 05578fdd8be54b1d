"""Likes and reposts: flags that lie with the post they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from folkmoot.cli.connection import converse
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.post_names import parse_post_name
from folkmoot.cli.social.flags import Speaker
from folkmoot.cli.social.own_key import own_key
from folkmoot.cli.social.writing import Stated, Statement, report_stated, state
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


def react(speaker: Speaker, kind: str, post: str, verb: str, *, on: bool) -> int:
    """Switch a like or a repost of a post on or off, and say what became of it.

    Args:
        speaker: see there.
        kind: `like` or `repost`.
        post: its name, as `feed` shows it.
        verb: for example `liked`.
        on: off is always possible, on only for a post that there is.

    Returns:
        The exit code.
    """
    ref = parse_post_name(post)
    signer = own_key(speaker.key_file, speaker.output, make=on)
    statement = Statement(kind, ref["item"] + signer.owner, {"on": on}, ref["author"])

    async def talk(client: Client) -> Stated:
        if on:
            (cell,) = await client.get([(ref["author"], "post", ref["item"])])
            records = [] if cell is None else [Record.from_wire(frame) for frame in cell["records"]]
            if not records or any(record.deleted for record in records):
                raise OperatorError(f"there is no post {post}, or none any more")
        return await state(client, signer, statement, speaker.level)

    stated = converse(speaker.target, talk)
    return report_stated(speaker.output, stated, {"kind": kind, "on": on, "post": post}, f"{verb} {post}")
