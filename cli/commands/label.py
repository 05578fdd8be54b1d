"""`folkmoot label`: say something about a post, for those who heed you."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from folkmoot.cli.connection import converse
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.posts import PostRef, PostType, read_post
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.own_key import own_key
from folkmoot.cli.social.writing import Stated, Statement, report_stated, state
from folkmoot.cli.users.who import ShortText
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import LABEL_REASON_CODE_POINTS
from folkmoot.protocol.moderation.definitions import check_value
from folkmoot.protocol.moderation.label import KIND, Label, label_item, parse_label
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_YEARS_S = 10 * 365 * 86_400.0


@click.command(
    epilog=examples(
        "folkmoot label did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 rumour --reason 'No source.'",
        "folkmoot label did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 rumour --expires 30d",
        "folkmoot label did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 rumour --negate",
    )
)
@click.argument("post", type=PostType())
@click.argument("value", type=ShortText())
@click.option(
    "--reason", type=ShortText(LABEL_REASON_CODE_POINTS), default="", help="One sentence for readers."
)
@click.option("--expires", "lasting_s", type=Duration(1.0, _YEARS_S), help="After how long it says nothing.")
@click.option("--negate", is_flag=True, help="Take the label back.")
@speaker_options
def command(
    post: PostRef, value: str, reason: str, lasting_s: float | None, negate: bool, speaker: Speaker
) -> int:
    """Put a label on a post, for those who subscribe to you.

    It is public and signed. Which labels you use and what they mean you say with `folkmoot labeller publish`.
    """
    try:
        check_value(value)
    except WireError as error:
        raise Usage(error.message) from None
    if negate and lasting_s is not None:
        raise Usage("a label is taken back for good", hint="--negate without --expires")
    signer = own_key(speaker.key_file, speaker.output, make=not negate)
    expires_ms = None if lasting_s is None else time.time_ns() // 1_000_000 + int(lasting_s * 1000)

    async def talk(client: Client) -> Stated:
        if negate:
            version = await _version_said(client, signer, post, value, speaker.level)
        else:
            version = await _version_shown(client, post, speaker.level)
        label = Label(
            *(post.item, value, signer.owner, version, reason),
            negated=negate,
            expires_ms=expires_ms,
        )
        statement = Statement(KIND, label.item, label.body(), post.author)
        return await state(client, signer, statement, speaker.level)

    stated = converse(speaker.target, talk)
    told = {"post": str(post), "label": value, "negated": negate, "expires_ms": expires_ms, "reason": reason}
    sentence = f"{value} {'is taken back from' if negate else 'is on'} {post}"
    return report_stated(speaker.output, stated, told, sentence)


async def _version_shown(client: Client, post: PostRef, level: str) -> bytes:
    """The id of the version of a post that is shown.

    Raises:
        OperatorError: there is none.
        WireError: from the node.
    """
    shown = await read_post(client, post, level)
    if shown.deleted:
        raise OperatorError("the post was deleted, and nothing is to be said of it")
    return shown.shown[0].id


async def _version_said(client: Client, signer: KeyPair, post: PostRef, value: str, level: str) -> bytes:
    """The id of the version that one's own label is about, which may be gone since.

    Raises:
        OperatorError: there is no such label, or it was taken back.
        WireError: from the node.
    """
    key = (post.author, KIND, label_item(post.item, value, signer.owner))
    (cell,) = await client.get([key], level=level)
    record = None if cell is None else Record.from_wire(cell["records"][0])
    label = None if record is None else parse_label(record.item, record.body)
    if label is None or label.negated:
        raise OperatorError(
            f"you have put no label {value!r} on that post", hint=f"folkmoot label {post} {value}"
        )
    return label.subject_id
