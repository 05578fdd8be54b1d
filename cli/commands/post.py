"""`folkmoot post`: sign a post and publish it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.config_option import user_home
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.post_names import parse_post_name, post_name
from folkmoot.node.data_directory import read_key, write_key
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import FORBIDDEN, REVOKED_KEY
from folkmoot.protocol.identity import SEED_BYTES, KeyPair, account_to_text
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import PutResult

LEVELS: Final = ("one", "local_quorum", "quorum", "each_quorum", "all")
EXIT_CODES: Final = {"stored": OK, "duplicate": OK, "held": OK, "refused": FAILED, "uncertain": DEGRADED}


@click.command(
    epilog=examples(
        "folkmoot post 'Good morning.'",
        "echo 'From a pipe.' | folkmoot post - --key alice.key --cluster local",
        "folkmoot post 'I agree.' --reply-to did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5",
    )
)
@click.argument("text")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FOLKMOOT_KEY",
    help="The account's key file. [default: one of your own, made at the first post]",
)
@click.option("--reply-to", metavar="ACCOUNT/ITEM", help="The post this answers, as `feed` shows it.")
@click.option("--root", metavar="ACCOUNT/ITEM", help="The thread's first post. [default: that of --reply-to]")
@click.option("--tag", "tags", multiple=True, help="May be repeated.")
@click.option("--lang", metavar="CODE", help="The language, such as en.")
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What to wait for."
)
@target_options
@json_option
def command(
    text: str,
    key_file: Path | None,
    reply_to: str | None,
    root: str | None,
    tags: tuple[str, ...],
    lang: str | None,
    level: str,
    target: Target,
    output: Output,
) -> int:
    """Publish a post.

    TEXT is the post, or - to read it from standard input. If the level is not reached the same signed bytes
    are sent again a few times; exit code 3 says that it is kept somewhere, yet not as widely as asked.
    """
    body = _body(sys.stdin.read().strip() if text == "-" else text, reply_to, root, tags, lang)
    now_us = time.time_ns() // 1000
    item = make_uuid7(now_us // 1000, secrets.randbits(74))
    record = Record.sign(_key(key_file, output), kind="post", item=item, body=body, stamp=now_us)
    frame = (record.payload, record.signature)
    (result,) = converse(target, lambda client: client.put_records([frame], level))
    return _report(record, result, output)


def _body(
    text: str, reply_to: str | None, root: str | None, tags: tuple[str, ...], lang: str | None
) -> dict[str, Any]:
    body: dict[str, Any] = {"text": text}
    if reply_to is not None:
        body["reply_to"] = parse_post_name(reply_to)
        body["root"] = parse_post_name(root) if root else body["reply_to"]
    elif root is not None:
        raise click.UsageError("--root needs --reply-to")
    if tags:
        body["tags"] = list(tags)
    if lang:
        body["lang"] = lang
    return body


def _key(file: Path | None, output: Output) -> KeyPair:
    if file is not None:
        return read_key(file)
    own = user_home() / "me.key"
    if not own.exists():
        own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(own, secrets.token_bytes(SEED_BYTES))
        output.note(f"made your key, {own}; keep a copy")
    return read_key(own)


def _report(record: Record, result: PutResult, output: Output) -> int:
    error = result.error
    value = {
        "id": record.id.hex(),
        "account": account_to_text(record.author),
        "post": post_name(record.author, record.item),
        "status": result.status,
        "achieved": result.achieved,
        "verdict": result.verdict,
        "error": error,
    }
    code = EXIT_CODES.get(result.status, FAILED)
    if code == FAILED:
        reason = error["message"] if error else "no reason given"
        raise OperatorError(
            f"{result.status}: {reason}", hint=_hint(record, error), details={"result": value}
        )
    told = [f"{result.status}: {value['post']}"]
    if error:
        told.append(error["message"])
    output.result(value, told)
    return code


def _hint(record: Record, error: Mapping[str, Any] | None) -> str | None:
    """What to look at when it is the account that is refused."""
    if error is None or error["name"] not in (REVOKED_KEY.name, FORBIDDEN.name):
        return None
    return f"folkmoot user show {account_to_text(record.author)}"
