"""What an account has said, kind by kind: whom it follows, mutes and blocks, its bookmarks and lists."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import reduce
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.post_names import post_name
from folkmoot.protocol.crdt.cell import Cell, join
from folkmoot.protocol.feed.mute import THREAD_BYTES
from folkmoot.protocol.identity import KeyPair, account_to_text, is_account
from folkmoot.protocol.key import KIND_AT, KIND_BYTE, KINDS_PRIVATE, kind_prefix
from folkmoot.protocol.limits import ACCOUNT_BYTES, POST_ITEM_BYTES
from folkmoot.protocol.moderation.outcome import Visibility
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

SECONDS_A_DAY: Final = 86_400
_HIDDEN: Final = (Visibility.HELD.word, Visibility.REMOVED.word)


async def cells_of(client: Client, account: bytes, kind: str, signer: KeyPair | None = None) -> list[Cell]:
    """The cells of one kind under an account's place, in the order of their items; signatures are checked.

    Args:
        client: connected.
        account: whose (34 bytes).
        kind: which.
        signer: one of the account's keys, for what is private.
    """
    if signer is not None and kind in KINDS_PRIVATE:
        await client.auth(signer)
    records: list[Record] = []
    after: bytes | None = kind_prefix(account, kind)
    while after is not None and after[KIND_AT] == KIND_BYTE[kind]:
        page = await client.call("account.records", {"account": account, "after": after, "level": "quorum"})
        records += _read(page["records"], account, kind)
        after = page.get("next")
    return [reduce(join, map(Cell.of, same)) for _, same in groupby(records, key=lambda record: record.key)]


async def shown_of(client: Client, account: bytes, kind: str) -> list[Cell]:
    """The cells of one kind that others are shown: all but those that decisions hide. See `cells_of`."""
    shown: list[Cell] = []
    for cell in await cells_of(client, account, kind):
        asked = {"author": account, "kind": kind, "item": cell.winner.item, "level": "one"}
        case = await client.call("moderation.show", asked)
        if case["visibility"] not in _HIDDEN:
            shown.append(cell)
    return shown


def _read(frames: Iterable[Any], account: bytes, kind: str) -> Iterable[Record]:
    for frame in frames:
        record = Record.from_wire(frame)
        if record.kind == kind and record.author == record.place == account:
            record.verify()
            yield record


async def flags_of(client: Client, account: bytes, kind: str, signer: KeyPair | None = None) -> list[Record]:
    """Of each flag that is on, the newest record that says so; of mutes, while they last. See `cells_of`."""
    now_us = time.time_ns() // 1000
    said = [
        [record for record in cell.survivors if record.body["on"] and not _has_ended(record, now_us)]
        for cell in await cells_of(client, account, kind, signer)
    ]
    return [records[0] for records in said if records]


def _has_ended(record: Record, now_us: int) -> bool:
    until_us: int | None = record.body.get("until")
    return until_us is not None and until_us <= now_us


def described(item: bytes, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What a flag is about, for programs."""
    if kind == "bookmark":
        return {"post": post_name(item[:ACCOUNT_BYTES], item[ACCOUNT_BYTES:])}
    if kind == "listed":
        return {"member": account_to_text(item[POST_ITEM_BYTES:])}
    if is_account(item):
        about: dict[str, Any] = {"other": account_to_text(item)}
    elif len(item) == THREAD_BYTES:
        about = {"thread": post_name(item[:ACCOUNT_BYTES], item[ACCOUNT_BYTES:])}
    else:
        about = {"word": body.get("word", "")}
    if kind == "mute":
        about["until"] = _time(body["until"]) if "until" in body else None
        about["reposts_only"] = bool(body.get("reposts"))
    return about


def line(about: Mapping[str, Any]) -> str:
    """The same for people."""
    name = next(iter(about))
    text = f"the word {about[name]}" if name == "word" else str(about[name])
    if name == "thread":
        text = f"the thread of {text}"
    if about.get("reposts_only"):
        text = f"reposts by {text}"
    return f"{text}, until {about['until']}" if about.get("until") else text


def _time(stamp_us: int) -> str:
    """A time for people; of one that no calendar has, the number."""
    try:
        return datetime.fromtimestamp(stamp_us // 1_000_000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{stamp_us} µs"
