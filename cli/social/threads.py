"""Finding out what a thread begins with, by reading what a post answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.post_names import post_name
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, TIMEOUT, WireError
from folkmoot.protocol.feed.threads import STEPS, Ref, first_of, unknown_above
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client
    from folkmoot.protocol.identity import KeyPair

_OUT_OF_REACH: Final = (LEVEL_UNREACHABLE, TIMEOUT)


@dataclass(frozen=True, slots=True)
class ThreadOf:
    """The thread that a post is in, as named on a command line.

    Args:
        author, item: of the post, 34 and 16 bytes.
    """

    author: bytes
    item: bytes

    async def muted(self, client: Client, signer: KeyPair, *, on: bool) -> bytes:
        """The item of a mute of it: author and item of its first post.

        Args:
            client: connected.
            signer: whose mute.
            on: what is muted under the very name that was given is unmuted under that.

        Raises:
            OperatorError: there is no such post.
            WireError: it cannot be read.
        """
        given = self.author + self.item
        if not on:
            await client.auth(signer)
            (cell,) = await client.get([(signer.owner, "mute", given)], level="quorum")
            frames = [] if cell is None else cell["records"]
            if any(Record.from_wire(frame).body["on"] for frame in frames):
                return given
        author, item = await first_post(client, (self.author, self.item))
        return author + item


async def first_post(client: Client, ref: Ref) -> Ref:
    """What the thread of a post begins with, as far as what stands above it can be read.

    Raises:
        OperatorError: there is no such post, or it was deleted.
        WireError: it cannot be read: `level_unreachable`, `timeout`.
    """
    post = (await _read(client, [ref], "one"))[ref] or (await _read(client, [ref], "quorum"))[ref]
    if post is None:
        raise OperatorError(f"there is no post {post_name(*ref)}, or none any more")
    known: dict[Ref, Record | None] = {}
    for _ in range(STEPS + 1):
        wanted = [each for each in unknown_above([post], known.get) if each not in known]
        if not wanted:
            break
        try:
            known |= await _read(client, wanted, "one")
        except WireError as error:
            if error.kind not in _OUT_OF_REACH:
                raise
            break
    return first_of(post, known.get)


async def answering(client: Client, ref: Ref) -> Ref:
    """What a post that answers another one names as `root`.

    Raises:
        OperatorError: there is nothing to answer, or it cannot be found out.
    """
    try:
        return await first_post(client, ref)
    except WireError as error:
        if error.kind not in _OUT_OF_REACH:
            raise
        raise OperatorError(
            f"{post_name(*ref)} cannot be read just now: {error.message}",
            hint="--unseen, to answer it without looking; its thread is named only when you give --root",
        ) from error


async def _read(client: Client, refs: Sequence[Ref], level: str) -> dict[Ref, Record | None]:
    """Posts as they are shown; None for those that there are not, or not any more."""
    cells = await client.get([(author, "post", item) for author, item in refs], level=level)
    found: dict[Ref, Record | None] = {}
    for ref, told in zip(refs, cells, strict=True):
        records = [] if told is None else [Record.from_wire(frame) for frame in told["records"]]
        for record in records:
            if record.key != cell_key(ref[0], "post", ref[1]):
                raise OperatorError(f"the node told another post than {post_name(*ref)}")
            record.verify()
        stands = bool(records) and not any(record.deleted for record in records)
        found[ref] = records[0] if stands else None
    return found
