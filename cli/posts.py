"""What the commands about posts share: keys, cells, who signed, and what became of a record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.config_option import user_home
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.output import Output
from folkmoot.cli.post_names import parse_post_name, post_name
from folkmoot.node.data_directory import read_key, write_key
from folkmoot.protocol import codec
from folkmoot.protocol.errors import FORBIDDEN, REVOKED_KEY
from folkmoot.protocol.identity import SEED_BYTES, KeyPair, account_to_text
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import LEVELS
from msgspec import Struct

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult

EXIT_CODES: Final = {"stored": OK, "duplicate": OK, "held": OK, "refused": FAILED, "uncertain": DEGRADED}
key_option = click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FOLKMOOT_KEY",
    help="The account's key file. [default: one of your own, made at the first post]",
)
level_option = click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What to wait for."
)


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


def signer_of(file: Path | None, output: Output) -> KeyPair:
    """The key to sign with: that of a file, or this person's own, which is made if there is none."""
    if file is not None:
        return read_key(file)
    own = user_home() / "me.key"
    if not own.exists():
        own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(own, secrets.token_bytes(SEED_BYTES))
        output.note(f"made your key, {own}; keep a copy")
    return read_key(own)


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


async def check_signers(client: Client, author: bytes, records: Sequence[Record]) -> None:
    """Refuse what is not signed by a key that is, or once was, the author's.

    Raises:
        OperatorError: some record is not.
        WireError: from the node; a signature does not hold.
    """
    devices = {record.device for record in records}
    keys = {author}
    for current in (False, True):  # what the node has heard may be behind what it keeps
        if not devices <= keys:
            keys = set((await client.account_history(author, current=current)).chain().state.keys)
    for record in records:
        record.verify()
        if record.author != author:
            raise OperatorError(f"the node sent a post of {account_to_text(record.author)} instead")
        if record.device not in keys:
            raise OperatorError(
                f"the node sent a post that a key signed which was never the account's: {record.id.hex()}",
                hint="folkmoot user keys list, or ask another node",
            )


def _clock(told: Mapping[str, int]) -> dict[bytes, int]:
    try:
        return {bytes.fromhex(device): stamp for device, stamp in told.items()}
    except ValueError as error:
        raise OperatorError("the node sent a clock that names no devices: ask another node") from error


def stamp_after(cell: PostCell, key: KeyPair) -> int:
    """A stamp of this device for what it says next, in microseconds since 1970."""
    return max(time.time_ns() // 1000, cell.clock.get(key.account, -1) + 1)


def report(record: Record, result: PutResult, output: Output) -> int:
    """Say what became of a record; the exit code.

    Raises:
        OperatorError: it was refused.
    """
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
