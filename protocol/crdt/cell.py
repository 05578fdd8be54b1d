"""The cell: all that is known at one key, as a state-based CRDT.

A cell is (survivors, clock, history). A record *supersedes* every earlier record of its own device and every
record whose dot its `seen` covers; survivors are the records nothing known supersedes, at most one a device.
The clock is the pointwise maximum of all dots and `seen` ever joined, so a dot it covers without a survivor
is a record that was superseded: it is never taken back. That one rule is idempotency, duplicate detection
and the promise that nothing deleted returns.

`join` keeps the records that both sides hold or that the other side's clock does not cover, takes the
maximum of the clocks, and keeps the 16 newest superseded records as history. Some cases need more than
that, and are decided by bytes alone so that every node decides alike:

- a *deletion* absorbs: once known, the cell is that deletion (of several, the one with the smaller dot) and
  the clock; no clock covers it, and bodies and history are gone;
- a record that *erases* (a profile field emptied, a flag switched off for good) leaves no older record in
  the history, by the order in which history is cut: so nothing has to be remembered of it once it is cut
  off itself, since what is older is cut off before it;
- two different records under one dot (a cloned device): one that erases stays, or else the smaller id; the
  other is forgotten;
- two valid signatures of one payload: the bytewise smaller stays.

Encoding (what is stored, compared, hashed and sent): canonical MessagePack `[survivors, extra, history]`;
survivors and history are lists of `[payload, signature]`, newest first; `extra` maps devices (bin) to those
stamps of the clock that survivors' own dots and `seen` do not already imply. One state has one encoding.

Source: M. Shapiro et al., "Conflict-free Replicated Data Types" (2011); the survivor rule is the optimised
OR-set's (A. Bieniusa et al., 2012) with signed dots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from folkmoot.protocol.crdt import clock as clocks
from folkmoot.protocol.crdt.clock import Dot
from folkmoot.protocol.decoder_words import malformed
from folkmoot.protocol.errors import BAD_REQUEST, TOO_LARGE, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.limits import CELL_BYTES, CELL_HISTORY, STAMP_MAX
from folkmoot.protocol.record import Record

DIGEST_BYTES: Final = 16

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(
    tuple[list[tuple[bytes, bytes]], dict[bytes, int], list[tuple[bytes, bytes]]]
)


class Cell:
    """One state of the CRDT. Never changed: `join` makes a new one.

    Attributes:
        survivors: newest first by (stamp, id); the first is the display winner. Never empty.
        clock: device → greatest stamp known.
        history: superseded records, newest first, at most 16; empty once deleted.
    """

    __slots__ = ("clock", "history", "survivors")

    def __init__(
        self, survivors: tuple[Record, ...], clock: Mapping[bytes, int], history: tuple[Record, ...] = ()
    ) -> None:
        self.survivors = survivors
        self.clock = clock
        self.history = history

    @classmethod
    def of(cls, record: Record) -> Cell:
        """The cell in which only `record` is known."""
        return cls((record,), _implied((record,)))

    @property
    def key(self) -> bytes:
        return self.survivors[0].key

    @property
    def winner(self) -> Record:
        """What is shown: the survivor with the greatest (stamp, id)."""
        return self.survivors[0]

    @property
    def deleted(self) -> bool:
        return self.survivors[0].deleted

    @property
    def taken_back(self) -> bool:
        """Whether all that is known here says only that what was here is gone."""
        return all(record.takes_back for record in self.records())

    @property
    def conflict(self) -> bool:
        """Whether several devices' records survive beside each other."""
        return len(self.survivors) > 1

    def has_twin(self, record: Record) -> bool:
        """Whether another record has this one's dot: a cloned device, or a second signature."""
        return any(
            held.stamp == record.stamp and held.device == record.device and held != record
            for held in self.records()
        )

    def covers(self, record: Record) -> bool:
        """Whether joining `record` can teach this cell nothing that anyone would see.

        Whatever the clock says, a deletion is not covered until the cell is deleted; nor is a record that
        erases, which may come after what superseded it, as long as the history is another one without it.
        """
        if record.deleted and not self.deleted:
            return False
        if record.erases and _newest((record,), self.history, (), self.survivors) != self.history:
            return False
        return clocks.covers(self.clock, record.device, record.stamp)

    def encode(self) -> bytes:
        """The one encoding of this state."""
        implied = _implied(self.survivors)
        extra = {
            device: self.clock[device]
            for device in sorted(self.clock)
            if self.clock[device] != implied.get(device)
        }
        return _encoder.encode(
            (
                [(record.payload, record.signature) for record in self.survivors],
                extra,
                [(record.payload, record.signature) for record in self.history],
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Cell:
        """Read an encoded cell; signatures are not verified here.

        Raises:
            WireError: when the bytes are not the one encoding of a possible state.
        """
        if len(data) > CELL_BYTES:
            raise WireError(TOO_LARGE, f"a cell of {len(data)} bytes; the limit is {CELL_BYTES}")
        single = _single(data)
        if single is not None:
            return cls.of(single)
        try:
            survivors, extra, history = _decoder.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise WireError(BAD_REQUEST, f"malformed cell: {malformed(error)}") from error
        records = tuple(Record(payload, signature) for payload, signature in survivors)
        if not records:
            raise WireError(BAD_REQUEST, "a cell without survivors")
        cell = cls(
            records,
            clocks.join(_implied(records), extra),
            tuple(Record(payload, signature) for payload, signature in history),
        )
        cell._check()
        if cell.encode() != data:
            raise WireError(BAD_REQUEST, "a cell that is not encoded canonically")
        return cell

    def records(self) -> tuple[Record, ...]:
        """Every record held, whose signatures must hold if the cell comes from elsewhere."""
        return self.survivors + self.history

    def _check(self) -> None:
        if len({(record.key, record.author) for record in self.records()}) != 1:
            raise WireError(BAD_REQUEST, "a cell whose records belong to different keys or authors")
        if not all(is_account(device) and stamp <= STAMP_MAX for device, stamp in self.clock.items()):
            raise WireError(BAD_REQUEST, "a cell whose clock names what is no device or no stamp")
        if any(old.deleted or not self.covers(old) for old in self.history):
            raise WireError(BAD_REQUEST, "a cell whose history holds what nothing superseded")
        if join(self, self).encode() != self.encode():
            raise WireError(BAD_REQUEST, "a cell that no sequence of joins could reach")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cell):
            return NotImplemented
        return self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())

    def __repr__(self) -> str:
        return f"Cell({list(self.survivors)!r}, history={len(self.history)}, deleted={self.deleted})"


def join(one: Cell, other: Cell) -> Cell:
    """The least state above both. Associative, commutative and idempotent over reachable states."""
    clock = clocks.join(one.clock, other.clock)
    deletions = [record for record in one.survivors + other.survivors if record.deleted]
    if deletions:
        return Cell((min(deletions, key=_deletion_order),), clock)
    mine, theirs = _by_dot(one.survivors), _by_dot(other.survivors)
    kept: list[Record] = []
    dropped: list[Record] = []
    for dot, record in mine.items():
        twin = theirs.get(dot)
        if twin is not None:
            kept.append(_prefer(record, twin))
        elif clocks.covers(other.clock, *dot):
            dropped.append(record)
        else:
            kept.append(record)
    for dot, record in theirs.items():
        if dot not in mine:
            (dropped if clocks.covers(one.clock, *dot) else kept).append(record)
    survivors = [record for record in kept if not _superseded(record, kept)]
    dropped.extend(record for record in kept if record not in survivors)
    survivors.sort(key=_age, reverse=True)
    history = _newest(dropped, one.history, other.history, survivors)
    return Cell(tuple(survivors), clock, history)


def _implied(records: Iterable[Record]) -> dict[bytes, int]:
    """The clock that the records' own dots and `seen` add up to."""
    implied: dict[bytes, int] = {}
    for record in records:
        if implied.get(record.device, -1) < record.stamp:
            implied[record.device] = record.stamp
        for device, stamp in record.seen.items():
            if implied.get(device, -1) < stamp:
                implied[device] = stamp
    return implied


def _by_dot(records: Iterable[Record]) -> dict[Dot, Record]:
    return {Dot(record.device, record.stamp): record for record in records}


def _superseded(record: Record, others: Iterable[Record]) -> bool:
    return any(
        clocks.covers(other.seen, record.device, record.stamp)
        or (other.device == record.device and other.stamp > record.stamp)
        for other in others
        if other is not record
    )


def _newest(
    dropped: Iterable[Record],
    one: Iterable[Record],
    other: Iterable[Record],
    survivors: Iterable[Record],
) -> tuple[Record, ...]:
    held = {(record.device, record.stamp) for record in survivors}
    known: dict[Dot, Record] = {}
    for record in (*dropped, *one, *other):
        dot = Dot(record.device, record.stamp)
        if dot not in held:
            twin = known.get(dot)
            known[dot] = record if twin is None else _prefer(record, twin)
    newest = sorted(known.values(), key=_recency, reverse=True)[:CELL_HISTORY]
    erasers = [_recency(record) for record in (*survivors, *newest) if record.erases]
    return tuple(old for old in newest if _recency(old) >= max(erasers)) if erasers else tuple(newest)


def _prefer(one: Record, other: Record) -> Record:
    """Of two records under one dot: one that erases; the smaller id; of one payload the smaller signature."""
    return one if _preference(one) <= _preference(other) else other


def _preference(record: Record) -> tuple[bool, bytes, bytes]:
    return not record.erases, record.id, record.signature


def _age(record: Record) -> tuple[int, bytes]:
    return record.stamp, record.id


def _recency(record: Record) -> tuple[int, bytes]:
    """Where a superseded record stands in the history: a property of its dot alone.

    By id, a record would change its place when a twin under its dot replaced it, and cutting the history
    would depend on the order of joins.
    """
    return record.stamp, record.device


def _deletion_order(record: Record) -> tuple[bytes, int, bytes, bytes]:
    return record.device, record.stamp, record.id, record.signature


_SINGLE_PREFIX: Final = b"\x93\x91\x92"
_SINGLE_SUFFIX: Final = b"\x80\x90"
_AUTHOR_HEADER: Final = b"\xa6author\xc4\x22"
_BODY_HEADER: Final = b"\xa4body"
_DELETION_BODY: Final = b"\x81\xa7deleted\xc3"


def encode_single(payload: bytes, signature: bytes) -> bytes:
    """The encoding of `Cell.of(record)` without making the cell: the common case of the write path."""
    return b"".join(
        (_SINGLE_PREFIX, _bin_header(len(payload)), payload, b"\xc4\x40", signature, _SINGLE_SUFFIX)
    )


def _single(data: bytes) -> Record | None:
    """The record of a cell that holds just that one, or None: most cells, read without detours."""
    frame = only_frame(data)
    if frame is None or frame[-66:-64] != b"\xc4\x40":
        return None
    payload, signature = frame[1:-66], frame[-64:]
    payload = payload[2:] if payload[0] == 0xC4 else payload[3:]
    return Record(payload, signature) if encode_single(payload, signature) == data else None


def winner_frame(data: bytes) -> bytes:
    """The `[payload, signature]` frame of the display winner, cut out of an encoded cell.

    Pages are made of these: what was stored is sent, and nothing is decoded on the way.
    """
    start = 2 if data[1] & 0xF0 == 0x90 else 4
    if data[start + 1] == 0xC4:
        payload_end = start + 3 + data[start + 2]
    else:
        payload_end = start + 4 + int.from_bytes(data[start + 2 : start + 4], "big")
    return data[start : payload_end + 66]


def only_frame(data: bytes) -> bytes | None:
    """The frame of an encoded cell that is of one record and nothing else; None of others."""
    if not (data.startswith(_SINGLE_PREFIX) and data.endswith(_SINGLE_SUFFIX)):
        return None
    frame = winner_frame(data)
    return frame if len(frame) == len(data) - 4 else None


def shown_frame(data: bytes) -> bytes | None:
    """`winner_frame` of an encoded cell of kind `post`, or None when the post is deleted.

    Pages ask this of every row they pass, so the answer is cut out of the bytes: in a payload that begins
    with `author` and `body`, as all do that have no key unknown to this version, both stand at fixed places.
    """
    start = 2 if data[1] & 0xF0 == 0x90 else 4
    if data[start + 1] == 0xC4:
        payload = start + 3
        payload_end = payload + data[start + 2]
    else:
        payload = start + 4
        payload_end = payload + int.from_bytes(data[start + 2 : payload], "big")
    if data.startswith(_AUTHOR_HEADER, payload + 1) and data.startswith(_BODY_HEADER, payload + 44):
        deleted = data.startswith(_DELETION_BODY, payload + 49)
    else:
        deleted = Cell.decode(data).deleted
    return None if deleted else data[start : payload_end + 66]


def _bin_header(length: int) -> bytes:
    return bytes((0xC4, length)) if length < 256 else b"\xc5" + length.to_bytes(2, "big")


def digest_of(cell: bytes | None) -> bytes:
    """What stands for an encoded cell where only equality matters (16 bytes); empty for no cell."""
    return b"" if cell is None else hashlib.sha256(cell).digest()[:DIGEST_BYTES]


def summary(cell: Cell, *, history: bool = False) -> dict[str, Any]:
    """What `record.get` tells of a cell: records display winner first, clock by hex device, flags.

    Args:
        cell: the cell.
        history: whether superseded records follow, and how many `earlier` ones these are.
    """
    records = cell.records() if history else cell.survivors
    told = {"earlier": len(cell.history)} if history else {}
    return told | {
        "records": [record.to_wire() for record in records],
        "clock": {device.hex(): stamp for device, stamp in sorted(cell.clock.items())},
        "deleted": cell.deleted,
        "conflict": cell.conflict,
    }
