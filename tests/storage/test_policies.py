"""Policy documents in the store: as many as may be, those in use among them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import partial

import pytest
from folkmoot.protocol.community.bounds import DOCUMENTS_KEPT
from folkmoot.storage import policies, verify
from folkmoot.storage.errors import DiskFull
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import SEQUENCE_BYTES, seal
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

from tests.storage.making import run


def name_of(document: bytes) -> bytes:
    return hashlib.sha256(document).digest()


def kept(store: Store) -> set[bytes]:
    with store.engine.begin() as transaction:
        return {key for key, _ in transaction.scan(Table.POLICIES)}


def keep(document: bytes, transaction: WriteTransaction, in_use: Collection[bytes] = ()) -> bytes:
    return transaction.policies.put(document, in_use)


def document(number: int) -> bytes:
    return b"document %d" % number


def test_a_document_is_found_by_its_hash(store: Store) -> None:
    assert run(store, lambda tx: tx.policies.put(document(1), ())) == [name_of(document(1))]
    with store.engine.begin() as transaction:
        assert policies.read(transaction, name_of(document(1))) == document(1)
        assert policies.read(transaction, name_of(document(2))) is None


def test_the_oldest_gives_way_but_for_what_is_in_use(store: Store) -> None:
    for number in range(DOCUMENTS_KEPT):
        run(store, partial(keep, document(number)))
    run(store, lambda tx: tx.policies.put(document(1), ()))  # which makes it the newest
    in_use = {name_of(document(0))}
    for number in (100, 101):
        run(store, partial(keep, document(number), in_use=in_use))
    gone = {name_of(document(number)) for number in (2, 3)}
    assert len(kept(store)) == DOCUMENTS_KEPT
    assert gone.isdisjoint(kept(store)) and in_use | {name_of(document(1))} <= kept(store)


def test_there_is_no_room_when_all_are_in_use(store: Store) -> None:
    for number in range(DOCUMENTS_KEPT):
        run(store, partial(keep, document(number)))
    before = kept(store)
    with pytest.raises(DiskFull, match="in use"):
        run(store, lambda tx: tx.policies.put(document(100), before))
    assert kept(store) == before


def test_a_document_that_is_not_what_its_name_says_is_found(store: Store, engine: Engine) -> None:
    row = seal(name_of(b"one"), bytes(SEQUENCE_BYTES) + b"another")
    with engine.begin(write=True) as transaction:
        transaction.put(Table.POLICIES, name_of(b"one"), row)
        transaction.commit()
    [finding] = verify.verify(engine).findings
    assert (finding.table, finding.where) == ("policies", name_of(b"one").hex())


def test_what_gives_way_is_chosen_among_those_that_are_not_in_use(store: Store) -> None:
    for number in range(3):
        run(store, partial(keep, document(number)))
    asked: list[tuple[list[bytes], bool]] = []

    def choose(free: Sequence[bytes], full: bool) -> bytes:
        asked.append((list(free), full))
        return free[-1]

    run(store, lambda tx: tx.policies.put(document(9), {name_of(document(0))}, choose))
    assert asked == [([name_of(document(1)), name_of(document(2))], False)]
    assert kept(store) == {name_of(document(number)) for number in (0, 1, 9)}
    run(store, lambda tx: tx.policies.put(document(9), (), choose))  # it is there: nothing gives way
    assert len(asked) == 1
