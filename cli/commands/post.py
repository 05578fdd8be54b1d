"""`folkmoot post`: sign a post and publish it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.media.files import bring, with_alts
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.post_names import parse_post_name
from folkmoot.cli.posts import check_not_empty, report_post, words_of
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.cli.social.post_options import PostTerms, post_terms
from folkmoot.cli.social.threads import answering
from folkmoot.cli.social.writing import level_option
from folkmoot.cli.users.who import ShortText
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.limits import POST_ALT_CODE_POINTS, POST_MEDIA
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult


@click.command(
    epilog=examples(
        "folkmoot post 'Good morning.'",
        "echo 'From a pipe.' | folkmoot post - --key alice.key --cluster local",
        "folkmoot post 'I agree.' --reply-to did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
        "folkmoot post 'By the lake.' --image heron.jpg --alt 'A heron on one leg.'",
        "folkmoot post 'For friends.' --reply-from following --mention @marit --warning food",
    )
)
@click.argument("text", type=ShortText())
@key_option
@click.option("--reply-to", metavar="ACCOUNT/ITEM", help="The post this answers, as `feed` shows it.")
@click.option("--root", metavar="ACCOUNT/ITEM", help="The thread's first post. [default: that of --reply-to]")
@click.option("--unseen", is_flag=True, help="Answer without looking whether there is such a post.")
@click.option(
    "--image",
    "images",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A picture, sound or film to show; uploaded first. Up to 8 times.",
)
@click.option(
    "--alt",
    "alts",
    type=ShortText(POST_ALT_CODE_POINTS),
    multiple=True,
    help="What is to be seen or heard in it, once for each --image.",
)
@post_terms
@level_option
@target_options
@json_option
def command(
    text: str,
    key_file: Path | None,
    reply_to: str | None,
    root: str | None,
    unseen: bool,
    images: tuple[Path, ...],
    alts: tuple[str, ...],
    terms: PostTerms,
    level: str,
    target: Target,
    output: Output,
) -> int:
    """Publish a post.

    TEXT is the post, or - to read it from standard input. If the level is not reached the same signed bytes
    are sent again a few times; exit code 3 says that it is kept somewhere, yet not as widely as asked. What
    is answered is looked up first, for the thread that it is in; with --unseen it is not.
    """
    body = _body(words_of(text), reply_to, root, unseen=unseen)
    check_not_empty(body["text"], shows=bool(images or terms.quote))
    if len(images) > POST_MEDIA:
        raise click.UsageError(f"a post shows at most {POST_MEDIA} media")
    media = with_alts(images, alts)
    signer = own_key(key_file, output)

    async def talk(client: Client) -> tuple[Record, PutResult]:
        whole = {**body, **await terms.body(client)}
        if "reply_to" in body and not unseen:
            answered = body["reply_to"]
            author, item = await answering(client, (answered["author"], answered["item"]))
            whole.setdefault("root", {"author": author, "item": item})
        for file, _ in media:
            await bring(client, signer, file, level, output)
        if media:
            whole["media"] = [file.shown(alt) for file, alt in media]
        now_us = time.time_ns() // 1000
        item = make_uuid7(now_us // 1000, secrets.randbits(74))
        record = Record.sign(signer, kind="post", item=item, body=whole, stamp=now_us)
        (result,) = await client.put_records([(record.payload, record.signature)], level)
        return record, result

    record, result = converse(target, talk)
    return report_post(output, record, result)


def _body(text: str, reply_to: str | None, root: str | None, *, unseen: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"text": text}
    if reply_to is not None:
        body["reply_to"] = parse_post_name(reply_to)
        if root is not None:
            body["root"] = parse_post_name(root)
    elif root is not None or unseen:
        raise click.UsageError(f"--{'unseen' if root is None else 'root'} needs --reply-to")
    return body
