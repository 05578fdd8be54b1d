"""Reading the conversation back, from a node that has been through something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from folkmoot.cli.importing.authors import Authors
from folkmoot.cli.importing.source import open_source
from folkmoot.cli.journal import read_journal
from folkmoot.cli.terminal import one_line
from folkmoot.protocol.client import Client
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.key import parse_key
from folkmoot.protocol.record import Record

AUTHORS_READ: Final = 32
POSTS_SHOWN: Final = 14
LABELLED_SHOWN: Final = 2
FEED_ITEMS: Final = 50


@dataclass(frozen=True, slots=True)
class ShownPost:
    """A post as the demo prints it.

    Args:
        time: when it was written.
        author: a name, or the end of the account's id.
        text: on one line.
        answers: whose post it answers; empty if none's.
        likes, reposts: how many.
        labels: the values of the labels on it.
    """

    time: datetime
    author: str
    text: str
    answers: str
    likes: int
    reposts: int
    labels: tuple[str, ...]


def names_of(source: Path, authors: Authors) -> dict[bytes, str]:
    """The names of a source's authors by their accounts; for a source that may be shown."""
    with open_source(source) as opened:
        found = {line.entry.author for line in opened.lines() if line.entry and line.entry.author}
    return {authors.key_of(name).account: name for name in found}


def latest_authors(journal: Path, cluster: str) -> list[bytes]:
    """The accounts whose posts were acknowledged last, the latest first."""
    latest: dict[bytes, None] = {}
    for entry in read_journal(journal, cluster):
        if entry.kind == "post":
            place = parse_key(entry.key).place
            latest.pop(place, None)
            latest[place] = None
    return list(latest)[: -AUTHORS_READ - 1 : -1]


async def read_conversation(
    client: Client, accounts: Sequence[bytes], names: Mapping[bytes, str]
) -> list[ShownPost]:
    """The newest posts of some accounts, and those that bear labels, in the order of their writing.

    Args:
        client: who is asked.
        accounts: whose posts.
        names: how accounts are called where it is known.
    """
    found: list[ShownPost] = []
    for account in accounts:
        async for page in client.author_feed(account, limit=FEED_ITEMS):
            found += [_shown(item, names) for item in page.items]
            break
    found.sort(key=lambda post: post.time)
    newest = found[-POSTS_SHOWN:]
    labelled = [post for post in found if post.labels and post not in newest]
    return [*labelled[-LABELLED_SHOWN:], *newest]


def _shown(item: Mapping[str, object], names: Mapping[bytes, str]) -> ShownPost:
    record = Record.from_wire(item["record"])
    record.verify()
    counts = item.get("counts")
    counted: Mapping[str, int] = counts if isinstance(counts, Mapping) else {}
    answered = record.body.get("reply_to")
    return ShownPost(
        time=datetime.fromtimestamp(record.stamp / 1e6, UTC),
        author=_name(record.author, names),
        text=one_line(" ".join(record.body["text"].split())),
        answers="" if answered is None else _name(answered["author"], names),
        likes=counted.get("likes", 0),
        reposts=counted.get("reposts", 0),
        labels=_labels(item.get("labels")),
    )


def _labels(found: object) -> tuple[str, ...]:
    frames = found if isinstance(found, list) else []
    values = (str(Record.from_wire(frame).body.get("value", "label")) for frame in frames)
    return tuple(dict.fromkeys(one_line(value) for value in values))


def _name(account: bytes, names: Mapping[bytes, str]) -> str:
    return one_line(names.get(account) or f"…{account_to_text(account)[-8:]}")
