"""The read mark of an account's notifications, moved on so that it never goes back on any device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from folkmoot.protocol.client.puts import Frame, PutResult
from folkmoot.protocol.feed.preferences import READ, next_mark
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record


class Writes(Protocol):
    """A client that has proven to be the account; see `client.Client`."""

    async def get(
        self, keys: Sequence[tuple[bytes, str, bytes]], *, level: str = "one"
    ) -> list[dict[str, Any] | None]: ...

    async def put_records(self, records: Sequence[Frame], level: str = "quorum") -> list[PutResult]: ...


async def mark_read(
    client: Writes, device: KeyPair, seen_us: int, now_us: int, level: str = "quorum"
) -> tuple[Record, PutResult]:
    """Have the notifications up to a time count as seen on all devices.

    Args:
        client: connected, and authenticated as the device's account.
        device: whose key signs.
        seen_us: the time of the newest notice that was shown, microseconds since 1970.
        now_us: the wall clock, microseconds since 1970.
        level: what the write waits for.

    Returns:
        The record, whose `until` may be later than what was asked for, and what became of it.

    Raises:
        WireError: the mark could not be read, or the request was refused.
        Unreachable: no node answered in time.
    """
    (cell,) = await client.get([(device.owner, "preference", READ)], level="quorum")
    known: Mapping[str, Any] = cell or {"records": [], "clock": {}}
    clock = {bytes.fromhex(name): stamp for name, stamp in known["clock"].items()}
    survivors = [Record.from_wire(frame) for frame in known["records"]]
    mark = next_mark(survivors, clock, seen_us, now_us)
    record = Record.sign(
        device,
        kind="preference",
        item=READ,
        body={"until": mark.until_us},
        stamp=mark.stamp,
        seen=clock,
    )
    (result,) = await client.put_records([(record.payload, record.signature)], level)
    return record, result
