"""What a store keeps of accounts, and which of them its seat has heard of since."""

from __future__ import annotations

from functools import partial

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.storage import verify
from folkmoot.storage.errors import DiskFull, StoreCorrupt
from folkmoot.storage.interface import Table
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

from tests.storage.chains import followed, named, noted
from tests.storage.making import person, post, run

ANN, BEN = person(1), person(2)
HERS, HIS = f"account/{ANN.account.hex()}", f"account/{BEN.account.hex()}"


def test_a_chain_is_read_as_it_was_kept(store: Store) -> None:
    assert not store.knows_accounts() and store.account(ANN.account) is None
    chain = named(ANN, "ann")
    run(store, lambda tx: tx.accounts.put(chain))
    kept = store.account(ANN.account)
    assert kept is not None and Chain.decode(ANN.account, kept).hashes == chain.hashes
    assert store.knows_accounts() and store.account(BEN.account) is None


def test_the_index_of_handles_follows_the_chains(store: Store) -> None:
    chain = named(ANN, "ann")
    run(store, lambda tx: tx.accounts.put(chain))
    assert store.handle_holders(register_name("ann")) == [ANN.account]
    renamed = followed(chain, ANN, SetHandle("anna"))
    run(store, lambda tx: tx.accounts.put(renamed))
    assert store.handle_holders(register_name("ann")) == []
    assert store.handle_holders(register_name("anna")) == [ANN.account]
    # A node may have heard of the second who has a handle before it hears that the first gave it up.
    run(store, lambda tx: tx.accounts.put(named(BEN, "anna")))
    assert sorted(store.handle_holders(register_name("anna"))) == sorted([ANN.account, BEN.account])
    run(store, lambda tx: tx.accounts.put(followed(renamed, ANN, SetHandle(None))))
    assert store.handle_holders(register_name("anna")) == [BEN.account]
    assert verify.verify(store.engine, signatures=True).ok


def test_of_two_chains_in_one_commit_the_longer_stays(store: Store) -> None:
    short = named(ANN, "ann")
    long = followed(short, ANN, SetHandle("anna"))

    def put(chain: Chain, transaction: WriteTransaction) -> None:
        if chain.supersedes(transaction.accounts.chain(chain.account)):
            transaction.accounts.put(chain)

    run(store, partial(put, long), partial(put, short))
    assert store.account(ANN.account) == long.encode()


def test_a_damaged_chain_is_told_and_can_be_replaced(store: Store) -> None:
    run(store, lambda tx: tx.accounts.put(named(ANN, "ann")))
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.ACCOUNTS, ANN.account, b"damaged")
        transaction.commit()
    with pytest.raises(StoreCorrupt):
        store.account(ANN.account)
    run(store, lambda tx: tx.accounts.put(named(ANN, "anna")))
    assert store.handle_holders(register_name("ann")) == [], "the index knows no name that no chain has"
    assert verify.verify(store.engine).ok


def _keep(name: str, transaction: WriteTransaction) -> None:
    transaction.registers.put(name, b"kept")


def test_registers_of_accounts_are_listed_by_when_they_were_kept(store: Store) -> None:
    for name in (HERS, "roster", HIS, HERS):
        run(store, partial(_keep, name))
    found = store.registers_since(0, 10)
    assert [name for _, name in found] == [HIS, HERS], "each once, where it was kept last"
    assert store.registers_since(found[0][0], 10) == found[1:]
    assert store.registers_since(0, 1) == found[:1]
    assert store.registers_since(found[1][0], 10) == []
    run(store, lambda tx: tx.registers.drop(HIS))
    assert [name for _, name in store.registers_since(0, 10)] == [HERS]
    run(store, lambda tx: tx.registers.clear())
    assert store.registers_since(0, 10) == []
    assert verify.verify(store.engine).ok


def test_a_damaged_log_of_registers_keeps_nobody_from_writing_them(store: Store) -> None:
    run(store, partial(_keep, HERS), partial(_keep, HIS))
    with store.engine.begin(write=True) as transaction:
        for key, row in list(transaction.scan(Table.REGISTER_LOG, b"n")):
            transaction.put(Table.REGISTER_LOG, key, row[:-1] + bytes([row[-1] ^ 1]))
        transaction.commit()
    run(store, partial(_keep, HERS), lambda tx: tx.registers.drop(HIS))
    assert [name for _, name in store.registers_since(0, 10)] == [HERS]
    assert verify.verify(store.engine).ok


def test_what_a_damaged_row_of_the_log_said_is_found_by_the_other(store: Store) -> None:
    run(store, partial(_keep, HERS), partial(_keep, HIS))
    with store.engine.begin(write=True) as transaction:
        for key, _ in list(transaction.scan(Table.REGISTER_LOG, b"c", b"n")):
            transaction.put(Table.REGISTER_LOG, key, b"damaged")
        transaction.commit()
    assert [name for _, name in store.registers_since(0, 10)] == [HERS, HIS]


def test_another_damaged_row_keeps_nobody_from_finding_what_one_said(store: Store) -> None:
    """Of one register the row by name is damaged, of another the row by change: the second is found."""
    run(store, partial(_keep, HERS), partial(_keep, HIS))
    first, second = sorted((HERS, HIS))
    with store.engine.begin(write=True) as transaction:
        transaction.put(Table.REGISTER_LOG, b"n" + first.encode(), b"damaged")
        for key, row in list(transaction.scan(Table.REGISTER_LOG, b"c", b"n")):
            if row.startswith(second.encode()):
                transaction.put(Table.REGISTER_LOG, key, b"damaged")
        transaction.commit()
    assert [name for _, name in store.registers_since(0, 10)] == [HERS, HIS]


def test_posts_that_wait_for_their_keys_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNCONFIRMED_RECORDS", 2)
    notes = [noted(post(ANN, number)) for number in (1, 2, 3)]
    run(store, lambda tx: tx.accounts.note(notes[:2]))
    assert [note for _, note in store.unconfirmed(10)] == notes[:2]
    with pytest.raises(DiskFull, match="majority"):
        run(store, lambda tx: tx.accounts.note(notes[2:]))
    rows = [at for at, _ in store.unconfirmed(1)]
    run(store, lambda tx: tx.accounts.settle(rows))
    assert [note for _, note in store.unconfirmed(10)] == notes[1:2]


@pytest.mark.parametrize("table", [Table.REGISTER_LOG, Table.HANDLES])
def test_an_index_that_says_too_little_is_found(store: Store, table: Table) -> None:
    run(store, lambda tx: tx.accounts.put(named(ANN, "ann")), lambda tx: tx.registers.put(HERS, b"kept"))
    assert verify.verify(store.engine).ok
    with store.engine.begin(write=True) as transaction:
        for key in [key for key, _ in transaction.scan(table)]:
            transaction.delete(table, key)
        transaction.commit()
    assert [finding.table for finding in verify.verify(store.engine).findings] == [table.name.lower()]
