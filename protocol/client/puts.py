"""Writing records: in batches within the limits, several under way at once, and again what may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.client.backoff import backoff_s
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import WireError

Frame = tuple[bytes, bytes]
Call = Callable[[str, Params], Awaitable[dict[str, Any]]]

BATCHES_AT_ONCE: Final = 8
BATCH_BYTES: Final = limits.MESSAGE_BYTES // 2
_FRAME_OVERHEAD_BYTES: Final = 16


class PutResult(NamedTuple):
    """What became of one record.

    Args:
        id: the record's id; empty when the node could not read the record.
        status: `stored`, `duplicate`, `held`, `refused` or `uncertain`.
        achieved: `{level, acks, slots}`.
        verdict: what the gate said, when it said something.
        error: the error map of a refused or uncertain record.
    """

    id: bytes
    status: str
    achieved: Mapping[str, Any] | None
    verdict: Mapping[str, Any] | None
    error: Mapping[str, Any] | None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> PutResult:
        """Read one of the `results` of `record.put`."""
        return cls(
            wire.get("id") or b"",
            wire["status"],
            wire.get("achieved"),
            wire.get("verdict"),
            wire.get("error"),
        )

    @property
    def done(self) -> bool:
        """Whether sending the record again changes nothing."""
        return self.error is None or not (self.status == "uncertain" or self.error.get("retryable"))


async def put_in_batches(
    call: Call, records: Sequence[Frame], level: str, attempts: int, random: Random
) -> list[PutResult]:
    """Write records and send again those that are not done, `attempts` times in all."""
    results: dict[int, PutResult] = {}
    left = list(range(len(records)))
    for attempt in range(attempts):
        if attempt:
            await trio.sleep(_pause_s([results[index] for index in left], attempt, random))
        await _put(call, records, left, level, results)
        left = [index for index in left if not results[index].done]
        if not left:
            break
    return [results[index] for index in range(len(records))]


async def _put(
    call: Call, records: Sequence[Frame], left: Sequence[int], level: str, results: dict[int, PutResult]
) -> None:
    """Send the records at the indices `left`, with so many batches under way at once."""
    batches = _batches(records, left)
    failures: list[Exception] = []

    async def work() -> None:
        for batch in batches:
            params = {"records": [list(records[index]) for index in batch], "level": level}
            try:
                answer = await call("record.put", params)
            except Exception as error:
                failures.append(error)
                nursery.cancel_scope.cancel()
                return
            for index, wire in zip(batch, answer["results"], strict=True):
                results[index] = PutResult.from_wire(wire)

    async with trio.open_nursery() as nursery:
        for _ in range(BATCHES_AT_ONCE):
            nursery.start_soon(work)
    if failures:
        raise failures[0]


def _batches(records: Sequence[Frame], left: Sequence[int]) -> Iterator[list[int]]:
    """Cut into batches of at most `limits.RECORDS_PER_PUT` records and about `BATCH_BYTES`."""
    batch: list[int] = []
    size = 0
    for index in left:
        record_bytes = sum(map(len, records[index])) + _FRAME_OVERHEAD_BYTES
        if batch and (len(batch) == limits.RECORDS_PER_PUT or size + record_bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += record_bytes
    if batch:
        yield batch


def _pause_s(undone: Sequence[PutResult], attempt: int, random: Random) -> float:
    refusals = [WireError.from_wire(result.error) for result in undone if result.error]
    asked_ms = max((error.retry_after_ms or 0 for error in refusals), default=0)
    return asked_ms / 1000 + backoff_s(attempt, random)
