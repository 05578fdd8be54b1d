"""The full check of a store: everything derived is derived again and compared.

Every row must pass its checksum. Cells are the truth: each must be a cell that joins can reach, and stand at
its own key; the log has exactly one row for each, at the sequence the cell's row names; block sums, counts,
hint states and what is listed to wait for review equal their recomputation (invariant I10). Meant for a store
that nobody writes to: the directory's lock sees to that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.crdt.flag import is_on
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import HELD, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES, block_of, held_key, parse_key
from folkmoot.protocol.limits import BLOCKS
from folkmoot.protocol.sync.fingerprint import leaf_hash
from folkmoot.storage import counts, judged, projections, registers, rows, schema, waiting
from folkmoot.storage.errors import SchemaTooNew, StoreCorrupt
from folkmoot.storage.heads import SEQUENCE
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.relapsing import UNSETTLED
from folkmoot.storage.rows import NODE_BYTES, Counts

T = TypeVar("T")

FINDINGS_MAX: Final = 1_000
PROGRESS_ROWS: Final = 1_000
_NAMED: Final = (Table.META, Table.REGISTERS)  # tables whose keys are words


class Finding(NamedTuple):
    """Something that is not as it must be: in which table, at which key (hex or name), and what."""

    table: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check saw.

    Args:
        cells, log, blocks, counts, hints, meta, registers, accounts: rows read, by table.
        signatures: signatures checked.
        findings: what is wrong, at most `FINDINGS_MAX` of them.
        findings_left_off: how many more there were.
    """

    cells: int
    log: int
    blocks: int
    counts: int
    hints: int
    meta: int
    registers: int
    accounts: int
    signatures: int
    findings: tuple[Finding, ...]
    findings_left_off: int

    @property
    def ok(self) -> bool:
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        plain = asdict(self)
        plain["findings"] = [finding._asdict() for finding in self.findings]
        return {"ok": self.ok, **plain}


def verify(
    engine: Engine,
    *,
    signatures: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> VerifyReport:
    """Check everything in a store.

    Args:
        engine: of a store that nobody else has open.
        signatures: check those too, about 60 µs each.
        progress: called now and then with cells done and cells in all.
    """
    with engine.begin() as transaction:
        return _Check(transaction, signatures, progress).run()


class _Check:
    def __init__(
        self, transaction: Transaction, signatures: bool, progress: Callable[[int, int], None]
    ) -> None:
        self._transaction = transaction
        self._check_signatures = signatures
        self._progress = progress
        self._findings: list[Finding] = []
        self._left_off = 0
        self._signatures = 0
        self._rows = dict.fromkeys(Table, 0)
        self._block_cells = [0] * BLOCKS
        self._block_totals = [0] * BLOCKS
        self._sequence = 0
        self._indexes_waiting = False
        self._place = b""
        self._counts: dict[bytes, Counts] = {}

    def run(self) -> VerifyReport:
        stages = (
            self._meta,
            self._registers,
            self._accounts,
            self._policies,
            self._refusals,
            self._judged,
            self._draws,
            self._cells,
            self._waiting,
            self._log,
            self._blocks,
            self._hints,
            self._projections,
        )
        for stage in stages:
            try:
                stage()
            except StoreCorrupt as error:
                self._find(error.where, "", error.reason)
        return VerifyReport(
            cells=self._rows[Table.CELLS],
            log=self._rows[Table.LOG],
            blocks=self._rows[Table.BLOCKS],
            counts=self._rows[Table.COUNTS],
            hints=self._rows[Table.HINTS],
            meta=self._rows[Table.META],
            registers=self._rows[Table.REGISTERS],
            accounts=self._rows[Table.ACCOUNTS],
            signatures=self._signatures,
            findings=tuple(self._findings),
            findings_left_off=self._left_off,
        )

    def _find(self, table: Table | str, where: bytes | str, what: str) -> None:
        if len(self._findings) == FINDINGS_MAX:
            self._left_off += 1
            return
        name = table.name.lower() if isinstance(table, Table) else table
        self._findings.append(Finding(name, where.hex() if isinstance(where, bytes) else where, what))

    def _scan(self, table: Table, start: bytes = b"", stop: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for row in self._transaction.scan(table, start, stop):
            self._rows[table] += 1
            yield row

    def _sound(
        self, table: Table, read: Callable[[bytes, bytes], T], start: bytes = b"", stop: bytes = b""
    ) -> Iterator[tuple[bytes, T]]:
        """What `read` makes of the rows of a table; the damaged ones become findings."""
        for key, row in self._scan(table, start, stop):
            try:
                value = read(key, row)
            except StoreCorrupt as error:
                self._find(table, key.decode(errors="replace") if table in _NAMED else key, error.reason)
            else:
                yield key, value

    def _meta(self) -> None:
        with suppress(StoreCorrupt, SchemaTooNew):  # damage is found below
            self._indexes_waiting = schema.read_schema(self._transaction) >= schema.INDEXES_WAITING
        row = self._transaction.get(Table.META, UNSETTLED.encode())
        with suppress(StoreCorrupt):
            if row is not None and rows.unseal(Table.META, UNSETTLED.encode(), row):
                self._indexes_waiting = False  # a node works on it
        for name, value in self._sound(Table.META, lambda name, row: rows.unseal(Table.META, name, row)):
            if name == SEQUENCE:
                self._sequence = int.from_bytes(value, "big")

    def _registers(self) -> None:
        followed = {
            name
            for name, _ in self._sound(
                Table.REGISTERS, lambda key, row: rows.unseal(Table.REGISTERS, key, row)
            )
            if name.startswith(registers.FOLLOWED.encode())
        }
        log = self._sound(Table.REGISTER_LOG, partial(rows.unseal, Table.REGISTER_LOG))
        by_change, by_name = registers.both_ways(log)
        if by_change != by_name or not followed <= {name for _, name in by_change}:
            self._find(Table.REGISTER_LOG, "", "it does not list the registers that are followed, each once")

    def _accounts(self) -> None:
        """Each chain follows from its operations, and its handle is in the index, as no other is."""
        handles: set[bytes] = set()
        for account, data in self._sound(Table.ACCOUNTS, partial(rows.unseal, Table.ACCOUNTS)):
            try:
                chain = Chain.decode(account, data)
                if self._check_signatures:
                    self._signatures += chain.number
                    chain.verify()
            except WireError as error:
                self._find(Table.ACCOUNTS, account, error.message)
                continue
            if chain.state.handle is not None:
                handles.add(register_name(chain.state.handle).encode() + account)
        named = {key for key, _ in self._sound(Table.HANDLES, partial(rows.unseal, Table.HANDLES))}
        for key in sorted(named ^ handles):
            self._find(Table.HANDLES, key, "the account's chain says otherwise")
        for _ in self._sound(Table.UNCONFIRMED, partial(rows.unseal, Table.UNCONFIRMED)):
            pass

    def _policies(self) -> None:
        """Each document is what its hash says."""
        for name, row in self._sound(Table.POLICIES, partial(rows.unseal, Table.POLICIES)):
            if hashlib.sha256(row[rows.SEQUENCE_BYTES :]).digest() != name:
                self._find(Table.POLICIES, name, "its hash is another one")

    def _refusals(self) -> None:
        for _ in self._sound(Table.REFUSALS, partial(rows.unseal, Table.REFUSALS)):
            pass

    def _judged(self) -> None:
        """What was judged stands in the order of time exactly as by its post."""
        ordered = set(self._sound(Table.JUDGED_ORDER, partial(rows.unseal, Table.JUDGED_ORDER)))
        for key, _ in self._sound(Table.JUDGED, partial(rows.unseal, Table.JUDGED)):
            versions = {(each.at, key) for each in judged.read(self._transaction, key)}
            if unordered := len(versions - ordered):
                self._find(Table.JUDGED, key, f"{unordered} of its versions are not in the order of time")
            ordered -= versions
        for at, _ in sorted(ordered):
            self._find(Table.JUDGED_ORDER, at, "no post was judged then")

    def _draws(self) -> None:
        """Each is whole; that what it is about is still there is asked when it is given out."""
        for _ in self._sound(Table.DRAWS, partial(rows.unseal, Table.DRAWS)):
            pass

    def _cells(self) -> None:
        total = self._transaction.count(Table.CELLS)
        for key, row in self._scan(Table.CELLS):
            if key[:PLACE_PREFIX_BYTES] != self._place:
                self._compare_counts(key[:PLACE_PREFIX_BYTES])
            try:
                self._cell(key, row)
            except StoreCorrupt as error:
                self._find(Table.CELLS, key, error.reason)
            if self._rows[Table.CELLS] % PROGRESS_ROWS == 0:
                self._progress(self._rows[Table.CELLS], total)
        self._compare_counts(b"")
        self._progress(self._rows[Table.CELLS], total)
        stray = self._transaction.count(Table.COUNTS) - self._rows[Table.COUNTS]
        if stray:
            self._find(Table.COUNTS, "", f"{stray} rows of counts under places without cells")

    def _cell(self, key: bytes, row: bytes) -> None:
        data = rows.row_cell(key, row)
        block = block_of(key)
        self._block_cells[block] += 1
        self._block_totals[block] += int.from_bytes(leaf_hash(key, data), "big")
        sequence = rows.row_sequence(row)
        if sequence > self._sequence:
            self._find(Table.CELLS, key, f"changed at sequence {sequence}, and {self._sequence} was the last")
        at = rows.log_key_of(key, sequence)
        if self._transaction.get(Table.LOG, at) != rows.seal(at, key):
            self._find(Table.CELLS, key, f"the log does not have it at sequence {sequence}")
        try:
            cell = Cell.decode(data)
            kind = parse_key(key).kind
        except WireError as error:
            self._find(Table.CELLS, key, error.message)
            return
        if key != (held_key(cell.key) if kind == HELD else cell.key):
            self._find(Table.CELLS, key, f"it holds the cell of key {cell.key.hex()}")
        if rows.cell_row(key, sequence, data) != row:
            self._find(Table.CELLS, key, "its row says that something else is shown of it")
        if kind == HELD:
            self._waits(key)
        if rows.is_counted(key) and is_on(cell):
            counts.add(self._counts, key)
        if self._check_signatures:
            self._verify_signatures(key, cell)

    def _waits(self, key: bytes) -> None:
        """What waits for review is listed, and nothing else is; of what is damaged nobody knows."""
        if self._indexes_waiting:
            with suppress(StoreCorrupt, WireError):
                waits = waiting.waits(self._transaction, key)
                if waits != (self._transaction.get(Table.WAITING, key) is not None):
                    said = "waits for review and is not listed" if waits else "is listed and does not wait"
                    self._find(Table.WAITING, key, f"it {said}")

    def _waiting(self) -> None:
        """What is listed to wait for review is there; whether it waits was asked with its cell."""
        for key, _ in self._sound(Table.WAITING, partial(rows.unseal, Table.WAITING)):
            if self._transaction.get(Table.CELLS, key) is None or key[KIND_AT] != KIND_BYTE[HELD]:
                self._find(Table.WAITING, key, "nothing is held there")

    def _verify_signatures(self, key: bytes, cell: Cell) -> None:
        for record in cell.records():
            self._signatures += 1
            try:
                record.verify()
            except WireError as error:
                self._find(Table.CELLS, key, error.message)

    def _compare_counts(self, next_place: bytes) -> None:
        """Compare the counts of the place whose cells have all been seen, and go on to the next."""
        kept: dict[bytes, Counts] = {}
        if self._place:
            # Keys of a place are its prefix and 16 bytes: with 17 bytes of 0xff behind, past every one.
            stop = self._place + b"\xff" * 17
            kept = dict(self._sound(Table.COUNTS, rows.row_counts, self._place, stop))
        for key in sorted(kept.keys() | self._counts.keys()):
            found, derived = kept.get(key, rows.NO_COUNTS), self._counts.get(key, rows.NO_COUNTS)
            if found != derived or (key in kept and found == rows.NO_COUNTS):
                self._find(Table.COUNTS, key, f"kept as {tuple(found)}, counted as {tuple(derived)}")
        self._place = next_place
        self._counts = {}

    def _log(self) -> None:
        seen = sum(1 for _ in self._scan(Table.LOG))
        if seen != self._rows[Table.CELLS]:
            self._find(Table.LOG, "", f"{seen} rows for {self._rows[Table.CELLS]} cells")

    def _blocks(self) -> None:
        kept = dict(self._sound(Table.BLOCKS, rows.row_block))
        for block in range(BLOCKS):
            derived = self._block_cells[block], self._block_totals[block] & rows.SUM_MASK
            if kept.get(rows.block_key(block), (0, 0)) != derived:
                self._find(Table.BLOCKS, rows.block_key(block), "its count or sum is not that of its cells")

    def _hints(self) -> None:
        waiting: dict[bytes, int] = {}
        for key, _ in self._sound(Table.HINTS, rows.row_hint):
            waiting[key[:NODE_BYTES]] = waiting.get(key[:NODE_BYTES], 0) + 1
        for node, state in self._sound(Table.HINT_NODES, rows.row_hint_node):
            found = waiting.pop(node, 0)
            if state.waiting != found:
                self._find(Table.HINT_NODES, node, f"{found} hints, and {state.waiting} counted")
        for node in sorted(waiting):
            self._find(Table.HINT_NODES, node, f"{waiting[node]} hints that are not counted")

    def _projections(self) -> None:
        """What is derived for feeds: whether it is whole, and tallies are those of the entries there are."""
        counted: dict[bytes, int] = {}
        for key, _ in self._sound(Table.ENTRIES, partial(rows.unseal, Table.ENTRIES)):
            if (group := projections.tallied(key)) is not None:
                counted[group] = counted.get(group, 0) + 1
        kept = dict(self._sound(Table.TALLIES, partial(rows.unseal, Table.TALLIES)))
        for key in sorted(kept.keys() | counted.keys()):
            found = int.from_bytes(kept.get(key, b""), "big")
            if found != counted.get(key, 0):
                self._find(Table.TALLIES, key, f"kept as {found}, counted as {counted.get(key, 0)}")
        for table in (Table.SOURCES, Table.CURSORS):
            for _ in self._sound(table, partial(rows.unseal, table)):
                pass
