"""Reachable states: one key of one account, devices that write and nodes that fail in every way they may.

A world holds nodes, each with the cell it knows, and messages that carry whole cells between them and may be
lost, duplicated and reordered. A node may crash and come back with any state it ever had. Devices write with
the clock of what they read at some node, or blindly; a *cloned* device signs two records under one dot, and
a *resigned* record is the same payload under a second valid signature.

For every state the world remembers which records went into it, so `expected` can say what the cell must be
from the definition alone, whatever the order of joins was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from folkmoot.protocol.crdt import cell as cells
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import CELL_HISTORY
from folkmoot.protocol.record import Record

from tests.crdt.resigning import sign_again

Join = Callable[[Cell, Cell], Cell]

DEVICES = [KeyPair(hashlib.sha256(b"crdt device %d" % number).digest()) for number in range(16)]
ACCOUNT = DEVICES[0].account
ITEMS = {
    "post": bytes.fromhex("018bcfe568007000800000000000002a"),
    "profile": b"name",
    "follow": DEVICES[15].account,
}


@dataclass(frozen=True)
class State:
    """A cell, and every record that ever went into it."""

    cell: Cell
    known: frozenset[Record]


@dataclass
class World:
    """Everything that happens to one key.

    Args:
        random: decides what happens.
        join: the function under test.
        kind: of the records.
        nodes, devices: how many.
        history_max: how many superseded records `join` keeps.
    """

    random: Random
    join: Join = cells.join
    kind: str = "post"
    nodes: int = 3
    devices: int = 3
    history_max: int = CELL_HISTORY
    stamp: int = 1
    written: list[Record] = field(default_factory=list)
    states: list[State | None] = field(init=False)
    past: list[list[State | None]] = field(init=False)
    flying: list[tuple[int, State]] = field(default_factory=list)
    stamps: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states = [None] * self.nodes
        self.past = [[None] for _ in range(self.nodes)]

    def run(self, steps: int) -> None:
        """Let `steps` things happen."""
        actions = (self.write, self.write, self.send, self.send, self.deliver, self.deliver, self.crash)
        for _ in range(steps):
            self.random.choice(actions)()

    def write(self) -> None:
        """A device reads some node (or nothing), writes, and puts the record at some node."""
        number = self.random.randrange(self.devices)
        read = self.random.choice([None, *self.states])
        record = self.sign(number, dict(read.cell.clock) if read else {})
        copies = [record]
        if self.random.random() < 0.15:
            copies.append(self.sign(number, {}, stamp=record.stamp))
        if self.random.random() < 0.15:
            copies.append(sign_again(DEVICES[number], record))
        for copy in copies:
            self.written.append(copy)
            self.take(self.random.randrange(self.nodes), State(Cell.of(copy), frozenset({copy})))

    def sign(self, number: int, seen: dict[bytes, int], stamp: int | None = None) -> Record:
        """A record of device `number`; its stamps rise, and meet those of other devices often."""
        if stamp is None:
            stamp = max(self.stamps.get(number, 0), self.stamp) + self.random.randrange(1, 3)
            self.stamps[number] = stamp
            self.stamp = max(self.stamp, stamp - 2)
        body = self.body()
        if self.kind != "post" and stamp > max(seen.values(), default=0) and self.random.random() < 0.08:
            body["erase"] = True
        return Record.sign(
            DEVICES[number],
            author=ACCOUNT,
            kind=self.kind,
            item=ITEMS[self.kind],
            body=body,
            stamp=stamp,
            seen={device: at for device, at in seen.items() if device != DEVICES[number].account},
        )

    def body(self) -> dict[str, object]:
        """What a device says next."""
        if self.kind == "follow":
            return {"on": self.random.random() < 0.5}
        if self.kind == "profile":
            return {"value": f"name {self.random.randrange(1000)}"}
        if self.random.random() < 0.03:
            return {"deleted": True}
        return {"text": f"words {self.random.randrange(1000)}"}

    def send(self) -> None:
        """A node sends its cell to another; the message is now somewhere on the way."""
        source, target = self.random.randrange(self.nodes), self.random.randrange(self.nodes)
        state = self.states[source]
        if state is not None:
            self.flying.append((target, state))

    def deliver(self) -> None:
        """Any message arrives, in any order; it may be lost instead, or arrive again later."""
        if not self.flying:
            return
        target, state = message = self.flying.pop(self.random.randrange(len(self.flying)))
        fate = self.random.random()
        if fate < 0.15:
            return
        if fate < 0.4:
            self.flying.append(message)
        self.take(target, state)

    def crash(self) -> None:
        """A node comes back with some state it once had."""
        node = self.random.randrange(self.nodes)
        self.states[node] = self.random.choice(self.past[node])

    def take(self, node: int, state: State) -> None:
        """A node joins what arrived, as bytes."""
        mine = self.states[node]
        arrived = State(Cell.decode(state.cell.encode()), state.known)
        joined = arrived if mine is None else self.merge(mine, arrived)
        self.states[node] = joined
        self.past[node].append(joined)

    def merge(self, one: State, other: State) -> State:
        """Join two states by the function under test."""
        return State(self.join(one.cell, other.cell), one.known | other.known)

    def settle(self) -> list[State]:
        """Let every node hear of everything still known somewhere, each in an order of its own.

        When the crashes left nothing anywhere, of everything that was ever known.
        """
        present = [state for state in self.states if state is not None] or self.reached()
        settled = []
        for _ in present:
            order = self.random.sample(present, len(present))
            state = order[0]
            for other in order[1:]:
                state = self.merge(state, other)
            settled.append(state)
        return settled

    def reached(self) -> list[State]:
        """Every state that any node ever had."""
        return [state for past in self.past for state in past if state is not None]


def expected(known: Iterable[Record], history_max: int) -> Cell:
    """What the cell must be, from its definition, given every record that went into it."""
    known = list(known)
    clock: dict[bytes, int] = {}
    for record in known:
        for device, stamp in ((record.device, record.stamp), *record.seen.items()):
            clock[device] = max(clock.get(device, stamp), stamp)
    deletions = [record for record in known if record.deleted]
    if deletions:
        first = min(deletions, key=lambda record: (record.device, record.stamp, record.id, record.signature))
        return Cell((first,), clock)
    chosen: dict[tuple[bytes, int], Record] = {}
    ranked = sorted(known, key=lambda record: (not record.erases, record.id, record.signature), reverse=True)
    for record in ranked:
        chosen[record.device, record.stamp] = record
    newest_first = sorted(chosen.values(), key=lambda record: (record.stamp, record.id), reverse=True)
    survivors = [record for record in newest_first if not any(covers(other, record) for other in known)]
    superseded = [record for record in newest_first if record not in survivors]
    superseded.sort(key=age, reverse=True)
    since = max((age(record) for record in chosen.values() if record.erases), default=(0, b""))
    superseded = [record for record in superseded if age(record) >= since]
    return Cell(tuple(survivors), clock, tuple(superseded[:history_max]))


def age(record: Record) -> tuple[int, bytes]:
    """By what superseded records are cut off, the greatest last."""
    return record.stamp, record.device


def covers(newer: Record, older: Record) -> bool:
    """Whether `newer` was made in knowledge of `older`, or later on the same device."""
    if newer.device == older.device:
        return newer.stamp > older.stamp
    return newer.seen.get(older.device, -1) >= older.stamp
