"""A blind review, as commands hold it: one post after another, without a word of what became of it."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.feeds import when
from folkmoot.cli.moderating.deciding import role_of
from folkmoot.cli.post_names import post_name
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.sampling import KIND, Answer
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

SKIP = "skip"
QUIT = "quit"
FINE = "fine"


class Given(NamedTuple):
    """What somebody was given to look at, and needs to answer.

    Args:
        ticket: the node's, see `moderation.sample`.
        draw: the id of the draw's record.
        drawn_us: when it was drawn.
        place, item, version: of the post: its author, item and record id.
    """

    ticket: bytes
    draw: bytes
    drawn_us: int
    place: bytes
    item: bytes
    version: bytes

    @property
    def name(self) -> str:
        """What names it on a command line."""
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(tuple(self))).decode().rstrip("=")


def given_by_name(name: str) -> Given:
    """What a name that was printed stands for.

    Raises:
        Usage: it is none.
    """
    try:
        data = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))
        return msgspec.msgpack.decode(data, type=Given)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Usage(
            "this names nothing that was given out", hint="folkmoot moderate sample --json prints names"
        ) from error


async def next_one(
    client: Client, passing: Given | None
) -> tuple[Given | None, Record | None, Sequence[str]]:
    """The next post to look at, and what the policy in force may call posts.

    Args:
        client: connected, as somebody who may review.
        passing: what was given before and is not to be looked at.

    Raises:
        WireError: from the node.
    """
    asked = {} if passing is None else {"passing": passing.ticket}
    told = await client.call("moderation.sample", asked)
    if told["post"] is None:
        return None, None, told["labels"]
    post = Record.from_wire(told["post"])
    post.verify()
    draw = told["draw"]
    given = Given(told["ticket"], draw["id"], draw["drawn_us"], post.place, post.item, post.id)
    return given, post, told["labels"]


async def answer(
    client: Client, key: KeyPair, proven: dict[str, Any], given: Given, labels: Sequence[str], level: str
) -> dict[str, Any]:
    """Say what a post deserves; what the node answers.

    Args:
        client: connected, as who has the key.
        key: of who answers.
        proven: what the node said of the key.
        given: what is answered.
        labels: none when nothing is wrong with it.
        level: what is waited for.

    Raises:
        WireError: from the node.
        OperatorError: the node refused it, or the key has no role.
    """
    role = role_of(proven, key)
    said = Answer(given.item, given.version, given.drawn_us, given.draw, key.owner, role, tuple(labels))
    record = Record.sign(
        key,
        author=key.owner,
        kind=KIND,
        item=said.item,
        body=said.body(),
        stamp=max(time.time_ns() // 1000, given.drawn_us),
        place=given.place,
    )
    asked = {"record": record.to_wire(), "ticket": given.ticket, "level": level}
    told: dict[str, Any] = await client.call("moderation.judge", asked)
    if told["status"] == "refused":
        raise OperatorError(f"the node refused the answer: {told['error']['message']}")
    return {"post": post_name(given.place, given.item), "labels": list(labels), "status": told["status"]}


def shown(post: Record) -> list[str]:
    """A post as lines, with nothing else."""
    body = post.body
    lines = [post_name(post.place, post.item), f"  {when(post)}  {body.get('lang', '')}".rstrip()]
    lines += [f"  its author's warning: {body['warning']}"] if "warning" in body else []
    lines += [f"  > {line}" for line in str(body.get("text", "")).split("\n")]
    lines += [f"  > [{medium['mime']}] {medium.get('alt', '')}" for medium in body.get("media", ())]
    lines += [f"  > {' '.join('#' + tag for tag in body['tags'])}"] if body.get("tags") else []
    return lines


def labels_in(words: str) -> list[str]:
    """The labels that somebody typed; none for `fine`.

    Raises:
        Usage: it is nothing at all.
    """
    labels = [word.strip() for word in words.split(",") if word.strip()]
    if not labels or (FINE in labels and len(labels) > 1):
        raise Usage(f"say {FINE}, or labels with commas between")
    return [] if labels == [FINE] else labels
