"""Faults planted on purpose between real processes: what the local-cluster tester breaks.

A fault lies on a directed link, from this node to one peer, and is applied by the sender, so that one-way
failures can be played: cutting A from B takes a fault at A towards B and one at B towards A. A link without
a fault costs one look into an empty dictionary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

import trio
from folkmoot.protocol.client.outbox import Prompt


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to what is sent on one link.

    Args:
        cut: streams stall until the fault goes, datagrams are lost.
        delay_ms: added to each flush of a stream and to each datagram.
        jitter_ms: up to so much more, drawn each time.
        loss: the share of datagrams lost, 0 to 1; streams lose nothing, as TCP would have it.
        rate_bytes_s: how fast a stream may send; 0 for no limit.
    """

    cut: bool = False
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    rate_bytes_s: float = 0.0

    def __post_init__(self) -> None:
        if min(self.delay_ms, self.jitter_ms, self.rate_bytes_s) < 0 or not 0 <= self.loss <= 1:
            raise ValueError(f"not a fault: {self}")


NO_FAULT = Fault()


class LinkFaults:
    """The faults on the links from this node.

    Args:
        random: draws jitter and losses.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._faults: dict[bytes, Fault] = {}
        self._changed = trio.Event()

    def set(self, node_id: bytes, fault: Fault) -> None:
        """Put `fault` in the place of what lies on the link to `node_id`."""
        if fault == NO_FAULT:
            self._faults.pop(node_id, None)
        else:
            self._faults[node_id] = fault
        self._wake()

    def change(self, node_id: bytes, **changes: Any) -> None:
        """Change some fields of the fault on the link to `node_id` and leave the others."""
        self.set(node_id, replace(self._faults.get(node_id, NO_FAULT), **changes))

    def clear(self, node_id: bytes | None = None) -> None:
        """Heal the link to `node_id`, or every link."""
        if node_id is None:
            self._faults.clear()
        else:
            self._faults.pop(node_id, None)
        self._wake()

    def describe(self) -> dict[str, dict[str, Any]]:
        """The faults that are set: node id in hexadecimal → fields."""
        return {node_id.hex(): asdict(fault) for node_id, fault in sorted(self._faults.items())}

    def loses(self, node_id: bytes | None) -> bool:
        """Whether the next datagram to `node_id` is lost; never when nobody knows who is there."""
        fault = self._faults.get(node_id) if node_id is not None else None
        return fault is not None and (fault.cut or self._random.random() < fault.loss)

    def delay_s(self, node_id: bytes | None) -> float:
        """By how many seconds the next datagram to `node_id` is late."""
        fault = self._faults.get(node_id) if node_id is not None else None
        return 0.0 if fault is None else self._late_s(fault)

    async def hold(self, node_id: bytes, size_bytes: int) -> None:
        """Wait until so many bytes of a stream may leave for `node_id`."""
        while (fault := self._faults.get(node_id)) is not None and fault.cut:
            await self._changed.wait()
        if fault is not None:
            pace_s = size_bytes / fault.rate_bytes_s if fault.rate_bytes_s else 0.0
            await trio.sleep(self._late_s(fault) + pace_s)

    def __contains__(self, node_id: bytes) -> bool:
        return node_id in self._faults

    def _late_s(self, fault: Fault) -> float:
        return (fault.delay_ms + self._random.random() * fault.jitter_ms) / 1000

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class FaultyStream(trio.abc.Stream):
    """A stream to a peer whose sending side suffers what is set for that peer.

    The end of a stream is not held back: a cut hides what is said, not that a process is gone.

    Args:
        stream: the real one.
        faults: this node's.
        node_id: the peer at the other end.
    """

    def __init__(self, stream: trio.abc.Stream, faults: LinkFaults, node_id: bytes) -> None:
        self._stream = stream
        self._faults = faults
        self._node_id = node_id
        self._promptly = stream.send_now if isinstance(stream, Prompt) else None

    def send_now(self, data: bytes) -> int:
        """See `outbox.Prompt`; nothing leaves at once on a link that has a fault."""
        if self._promptly is None or self._node_id in self._faults:
            return 0
        return self._promptly(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._node_id in self._faults:
            await self._faults.hold(self._node_id, len(data))
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()
