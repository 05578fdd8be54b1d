"""`verify` finds each kind of damage; a check that cannot fail is none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import block_of, lane_of, place_prefix
from folkmoot.protocol.projections.entries import Entry, Index, Projection, public_of
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import leaf_hash
from folkmoot.storage import draws, judged, policies, projections, refusals, rows, verify, waiting
from folkmoot.storage.draws import Drawn
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.judged import Judged
from folkmoot.storage.projections import MAIN, ProjectionBook
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

from tests.moderation.samples import drawn
from tests.storage.chains import named, noted
from tests.storage.making import (
    ABSENT,
    NOW_US,
    cells_of,
    log_page,
    person,
    post,
    post_item,
    put,
    reaction,
    run,
)

ANN, BEN = person(1), person(2)
POST, LIKE = post(ANN, 1), reaction("like", BEN, ANN, 1)
HELD = post(BEN, 2)
POLICY = b"version = 1"
REFUSED = refusals.Refusal(NOW_US, "post", "no-scams", "ab" * 32, "So.")
COUNTS_KEY = place_prefix(ANN.account) + post_item(1)

Damage = Callable[[Transaction], object]


DERIVED = (Table.ENTRIES, Table.TALLIES, Table.SOURCES, Table.CURSORS, Table.JUDGED, Table.JUDGED_ORDER)
FOLLOWER = Entry(Index.FOLLOWERS, place_prefix(ANN.account), public_of(BEN.account))


@pytest.fixture
def filled(store: Store) -> Store:
    put(store, POST, LIKE, post(BEN, 1))
    run(
        store,
        lambda tx: tx.hint(ABSENT, POST.key, NOW_US),
        lambda tx: tx.registers.put("roster", b"kept"),
        lambda tx: tx.registers.put(f"account/{ANN.account.hex()}", b"kept"),
        lambda tx: tx.accounts.put(named(ANN, "ann")),
        lambda tx: tx.accounts.note([noted(POST)]),
        lambda tx: tx.policies.put(POLICY, ()),
        lambda tx: refusals.keep(tx, [REFUSED]),
        lambda tx: judged.keep(tx, [Judged(POST.key, POST.id, NOW_US, {})], 10),
        lambda tx: draws.keep(tx, [Drawn(b"12345678" + POST.key, drawn(post_item=POST.item))]),
        lambda tx: tx.put_record(HELD, held=True),
        derive,
    )
    return store


def kept_policy(store: Store) -> bytes | None:
    with store.engine.begin() as transaction:
        return policies.read(transaction, hashlib.sha256(POLICY).digest())


def derive(transaction: WriteTransaction) -> None:
    """Ben follows Ann, as projections keep it."""
    book = ProjectionBook(transaction)
    book.replace(Projection.FOLLOWERS, 0, POST.key, [FOLLOWER])
    book.set_cursor(MAIN, 0, 0, bytes(16), 1)


def damage(engine: Engine, act: Damage) -> list[tuple[str, str]]:
    with engine.begin(write=True) as transaction:
        act(transaction)
        transaction.commit()
    return [(finding.table, finding.where) for finding in verify.verify(engine).findings]


def replace_cell(transaction: Transaction, key: bytes, cell: bytes) -> None:
    """With a checksum that fits, and the block's sum kept true."""
    row = transaction.get(Table.CELLS, key) or b""
    before = rows.row_cell(key, row)
    body = row[: rows.ROW_HEAD_BYTES] + cell
    transaction.put(Table.CELLS, key, rows.seal(key, body))
    block = rows.block_key(block_of(key))
    cells, total = rows.row_block(block, transaction.get(Table.BLOCKS, block) or b"")
    change = [int.from_bytes(leaf_hash(key, data), "big") for data in (cell, before)]
    total = (total + change[0] - change[1]) & rows.SUM_MASK
    transaction.put(Table.BLOCKS, block, rows.block_row(block, cells, total))


def test_a_sound_store(filled: Store) -> None:
    progress: list[tuple[int, int]] = []
    report = verify.verify(
        filled.engine, signatures=True, progress=lambda done, total: progress.append((done, total))
    )
    assert report.ok and report.findings == ()
    assert (report.cells, report.log, report.counts, report.hints, report.accounts) == (4, 4, 1, 1, 1)
    assert report.signatures == 4 + 2, "of the cells' records, and of the operations on the account"
    assert progress[-1] == (4, 4)
    assert report.to_json()["ok"] is True


def test_a_checksum(filled: Store, engine: Engine) -> None:
    def act(transaction: Transaction) -> None:
        row = transaction.get(Table.CELLS, POST.key) or b""
        transaction.put(Table.CELLS, POST.key, row[:-1] + bytes((row[-1] ^ 1,)))

    found = damage(engine, act)
    assert ("cells", POST.key.hex()) in found
    assert ("blocks", rows.block_key(block_of(POST.key)).hex()) in found


@pytest.mark.parametrize("cell", [b"", b"\x93\x90\x80\x90", b"nonsense", Cell.of(post(ANN, 2)).encode()])
def test_bytes_that_are_no_cell_of_this_key(filled: Store, engine: Engine, cell: bytes) -> None:
    found = damage(engine, lambda transaction: replace_cell(transaction, POST.key, cell))
    assert found == [("cells", POST.key.hex())]


@pytest.mark.parametrize("shown", [5, 0x8000, 0x8005])
def test_a_row_that_shows_something_else(filled: Store, engine: Engine, shown: int) -> None:
    def act(transaction: Transaction) -> None:
        row = transaction.get(Table.CELLS, POST.key) or b""
        body = row[: rows.SEQUENCE_BYTES] + shown.to_bytes(2, "big") + row[rows.ROW_HEAD_BYTES : -4]
        transaction.put(Table.CELLS, POST.key, rows.seal(POST.key, body))

    assert damage(engine, act) == [("cells", POST.key.hex())]


def test_a_signature_is_checked_on_request(filled: Store, engine: Engine) -> None:
    forged = Record(POST.payload, bytes(64))
    assert (
        damage(engine, lambda transaction: replace_cell(transaction, POST.key, Cell.of(forged).encode()))
        == []
    )
    findings = verify.verify(engine, signatures=True).findings
    assert [finding.where for finding in findings] == [POST.key.hex()]


def test_the_log(filled: Store, engine: Engine) -> None:
    at = rows.log_key_of(POST.key, 1)
    found = damage(engine, lambda transaction: transaction.delete(Table.LOG, at))
    assert found == [("cells", POST.key.hex()), ("log", "")]
    for row in (rows.seal(at, LIKE.key), POST.key):

        def replace(transaction: Transaction, row: bytes = row) -> None:
            transaction.put(Table.LOG, at, row)

        found = damage(engine, replace)
        assert found == [("cells", POST.key.hex())]
    damage(engine, lambda transaction: transaction.put(Table.LOG, at, rows.seal(at, POST.key)))
    stray = rows.log_key_of(POST.key, 99)
    row = rows.seal(stray, POST.key)
    assert damage(engine, lambda transaction: transaction.put(Table.LOG, stray, row)) == [("log", "")]


def test_the_sequence(filled: Store, engine: Engine) -> None:
    low = rows.seal(b"sequence", (1).to_bytes(8, "big"))
    found = damage(engine, lambda transaction: transaction.put(Table.META, b"sequence", low))
    assert {table for table, _ in found} == {"cells"} and len(found) == 3


def test_block_sums(filled: Store, engine: Engine) -> None:
    block = rows.block_key(block_of(POST.key))
    other = rows.block_key((block_of(POST.key) + 1) % 4096)
    found = damage(engine, lambda transaction: transaction.delete(Table.BLOCKS, block))
    assert found == [("blocks", block.hex())]
    row = rows.block_row(other, 1, 2**255)
    found = damage(engine, lambda transaction: transaction.put(Table.BLOCKS, other, row))
    assert sorted(found) == sorted([("blocks", block.hex()), ("blocks", other.hex())])


@pytest.mark.parametrize("value", [(2, 0), (1, 1), (0, 0), None])
def test_counts(filled: Store, engine: Engine, value: tuple[int, int] | None) -> None:
    def act(transaction: Transaction) -> None:
        if value is None:
            transaction.delete(Table.COUNTS, COUNTS_KEY)
        else:
            transaction.put(Table.COUNTS, COUNTS_KEY, rows.counts_row(COUNTS_KEY, rows.Counts(*value)))

    assert damage(engine, act) == [("counts", COUNTS_KEY.hex())]


def test_counts_where_there_are_no_cells(filled: Store, engine: Engine) -> None:
    stray = place_prefix(person(9).account) + post_item(1)
    row = rows.counts_row(stray, rows.Counts(1, 0))
    assert damage(engine, lambda transaction: transaction.put(Table.COUNTS, stray, row)) == [("counts", "")]


def test_hints(filled: Store, engine: Engine) -> None:
    row = rows.hint_row(ABSENT + b"more", NOW_US, 1)
    found = damage(engine, lambda transaction: transaction.put(Table.HINTS, ABSENT + b"more", row))
    assert found == [("hint_nodes", ABSENT.hex())]
    found = damage(engine, lambda transaction: transaction.delete(Table.HINT_NODES, ABSENT))
    assert found == [("hint_nodes", ABSENT.hex())]


def test_meta_values(filled: Store, engine: Engine) -> None:
    run(filled, lambda tx: tx.meta_put("incarnation", b"7"))
    found = damage(engine, lambda transaction: transaction.put(Table.META, b"incarnation", b"8....."))
    assert found == [("meta", "incarnation")]


def readers_of(filled: Store) -> dict[Table, Callable[[], object]]:
    """What reads each table but that of cells."""
    return {
        Table.LOG: lambda: log_page(filled, lane_of(POST.key), 0, 10),
        Table.BLOCKS: lambda: filled.fingerprint(b"", b""),
        Table.COUNTS: lambda: filled.author_page(ANN.account, limit=10, bytes_max=10**6),
        Table.HINTS: lambda: filled.hints_for(ABSENT, 10),
        Table.HINT_NODES: filled.hint_states,
        Table.META: lambda: filled.owner,
        Table.REGISTERS: lambda: filled.register("roster"),
        Table.REGISTER_LOG: lambda: filled.registers_since(0, 10),
        Table.ACCOUNTS: lambda: filled.account(ANN.account),
        Table.HANDLES: lambda: filled.handle_holders(register_name("ann")),
        Table.UNCONFIRMED: lambda: filled.unconfirmed(10),
        Table.ENTRIES: lambda: derived(filled),
        Table.TALLIES: lambda: derived(filled),
        Table.SOURCES: lambda: derived(filled),
        Table.CURSORS: lambda: derived(filled),
        Table.POLICIES: lambda: kept_policy(filled),
        Table.REFUSALS: lambda: refusals.page(filled.engine, b"", 0, 10),
        Table.JUDGED: lambda: judged.stretch(filled.engine, b"", 10),
        Table.JUDGED_ORDER: lambda: judged.stretch(filled.engine, b"", 10),
        Table.DRAWS: lambda: draws.kept(filled.engine),
        Table.WAITING: lambda: waiting.page(filled.engine, b"", b""),
    }


@pytest.mark.parametrize(
    "table", [table for table in Table if table is not Table.CELLS], ids=lambda t: t.name
)
@pytest.mark.parametrize("at", [0, -1])
def test_a_changed_byte_in_any_table_is_never_returned(
    filled: Store, engine: Engine, table: Table, at: int
) -> None:
    readers = readers_of(filled)
    whole = readers[table]()
    damaged = []

    def act(transaction: Transaction) -> None:
        for key, row in list(transaction.scan(table)):
            changed = bytearray(row)
            changed[at] ^= 1
            transaction.put(table, key, bytes(changed))
            damaged.append(key)

    found = damage(engine, act)
    if table is Table.LOG:  # its rows are told by the cells that they belong to
        assert {where for name, where in found if name == "cells"} == {key.hex() for key in cells_of(filled)}
    else:
        named = table in (Table.META, Table.REGISTERS)
        names = {key.decode() if named else key.hex() for key in damaged}
        assert {where for name, where in found if name == table.name.lower()} >= names
    if table is Table.UNCONFIRMED:  # whoever reads them goes on to the next
        assert [note for _, note in filled.unconfirmed(10)] == [None]
        return
    if table is Table.WAITING:  # what a row says, the cells are asked
        assert readers[table]() == whole
        return
    if table in (*DERIVED, Table.DRAWS):  # what is damaged of these counts as absent, and others do as well
        assert readers[table]() != whole
        return
    with pytest.raises(StoreCorrupt, match=f"table {table.name.lower()} is damaged"):
        readers[table]()


def derived(store: Store) -> tuple[object, ...]:
    """All that is kept of projections."""
    with store.engine.begin() as transaction:
        found = projections.members(transaction, Index.FOLLOWERS, 0, FOLLOWER.group, limit=10)
        tally = projections.tally(transaction, Index.FOLLOWERS, 0, FOLLOWER.group)
        cursors = projections.cursors_at(transaction, MAIN, 0, 0)
    with store.write() as writing:
        source = ProjectionBook(writing).source(Projection.FOLLOWERS, 0, POST.key)
    return found, tally, source, cursors


def test_a_wrong_tally_is_found(filled: Store, engine: Engine) -> None:
    def act(transaction: Transaction) -> None:
        key, _ = next(iter(transaction.scan(Table.TALLIES)))
        transaction.put(Table.TALLIES, key, rows.seal(key, (2).to_bytes(8, "big")))

    assert [name for name, _ in damage(engine, act)] == ["tallies"]


@pytest.mark.parametrize("table", [Table.BLOCKS, Table.COUNTS, Table.HINTS])
def test_a_row_moved_to_another_key_is_found(filled: Store, engine: Engine, table: Table) -> None:
    def act(transaction: Transaction) -> None:
        key, row = next(iter(transaction.scan(table)))
        transaction.delete(table, key)
        transaction.put(table, key[:-1] + bytes((key[-1] ^ 1,)), row)

    assert table.name.lower() in {name for name, _ in damage(engine, act)}


def test_findings_are_bounded(filled: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "FINDINGS_MAX", 2)

    def act(transaction: Transaction) -> None:
        for key, row in list(transaction.scan(Table.CELLS)):
            transaction.put(Table.CELLS, key, row + b"x")

    assert len(damage(engine, act)) == 2
    assert verify.verify(engine).findings_left_off > 0
