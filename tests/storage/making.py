"""Accounts, records and stores for the tests of storage."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.label import label_item
from folkmoot.protocol.record import Record
from folkmoot.storage import rows
from folkmoot.storage.blocks import BlockSums
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.group import Job, commit_group
from folkmoot.storage.interface import Engine, Table, Transaction
from folkmoot.storage.outcomes import JoinOutcome, PutOutcome
from folkmoot.storage.rows import row_cell
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.transaction import Admission, WriteTransaction

OWNER = Owner(node=b"node-of-16-bytes", cluster="test")
LOG_ID = b"log-id--16-bytes"
NOW_US = 1_790_000_000_000_000
ABSENT = b"absent-node-0001"


@cache
def person(number: int) -> KeyPair:
    """One of the test's accounts."""
    return KeyPair(number.to_bytes(32, "big"))


def post_item(number: int) -> bytes:
    """The item of a post; larger numbers are later."""
    return make_uuid7(1_790_000_000_000 + number, number)


def post(device: KeyPair, number: int, text: str = "hello", *, stamp: int = 1, **more: Any) -> Record:
    return Record.sign(
        device, kind="post", item=post_item(number), body={"text": text}, stamp=NOW_US + stamp, **more
    )


def deletion(device: KeyPair, number: int, *, stamp: int = 2, **more: Any) -> Record:
    return Record.sign(
        device, kind="post", item=post_item(number), body={"deleted": True}, stamp=NOW_US + stamp, **more
    )


def reaction(
    kind: str, who: KeyPair, subject: KeyPair, number: int, *, on: bool = True, stamp: int = 1, **more: Any
) -> Record:
    """A like or a repost of a post of `subject`."""
    account = more.get("author", who.account)
    return Record.sign(
        who,
        kind=kind,
        item=post_item(number) + account,
        body={"on": on},
        stamp=NOW_US + stamp,
        place=subject.account,
        **more,
    )


def label(labeler: KeyPair, author: KeyPair, number: int, name: str = "spam", *, stamp: int = 1) -> Record:
    return Record.sign(
        labeler,
        kind="label",
        item=label_item(post_item(number), name, labeler.account),
        body={"value": name, "subject_id": bytes(32)},
        stamp=NOW_US + stamp,
        place=author.account,
    )


def open_store(engine: Engine) -> Store:
    return Store(engine, owner=OWNER, fresh_log_id=LOG_ID)


def run(
    store: Store, *jobs: Callable[[WriteTransaction], Any], admission: Admission = Admission.CLIENT_PUT
) -> list[Any]:
    """Commit jobs as one group; their results. An error of a job is raised."""
    completions = commit_group(store, [Job(job, admission, _ignore) for job in jobs])
    for completion in completions:
        if completion.error is not None:
            raise completion.error
    return [completion.result for completion in completions]


def put(store: Store, *records: Record, admission: Admission = Admission.CLIENT_PUT) -> list[PutOutcome]:
    """Put records in one job."""
    outcomes: list[PutOutcome] = run(
        store, lambda tx: [tx.put_record(record) for record in records], admission=admission
    )[0]
    return outcomes


def join_cell(store: Store, key: bytes, cell: Cell | bytes) -> JoinOutcome:
    """Join a cell as one a peer sent."""
    outcome: JoinOutcome = run(store, lambda tx: tx.join_cell(key, cell), admission=Admission.PEER_JOIN)[0]
    return outcome


def cells_of(store: Store) -> dict[bytes, bytes]:
    """Every cell by its key."""
    with store.engine.begin() as transaction:
        return {key: row_cell(key, row) for key, row in transaction.scan(Table.CELLS)}


def dump(store: Store) -> list[list[tuple[bytes, bytes]]]:
    """Every row of every table."""
    with store.engine.begin() as transaction:
        return [list(transaction.scan(table)) for table in Table]


class _DamagedSums(BlockSums):
    """Sums that cannot be written."""

    def write(self, transaction: Transaction, changes: dict[int, list[int]]) -> None:
        if changes:
            raise StoreCorrupt("a row of table blocks", "planted")


class LogEntry(NamedTuple):
    """The latest change of one cell: its place in its lane's log, and the cell's key."""

    sequence: int
    key: bytes


def log_page(store: Store, lane: int, after_sequence: int, limit: int) -> list[LogEntry]:
    """The next entries of a lane's change log; 0 for the beginning (see docs/decisions/0005)."""
    start, stop = rows.log_key(lane, after_sequence + 1), bytes((lane + 1,))
    with store.engine.begin() as transaction:
        found = islice(transaction.scan(Table.LOG, start, stop), limit)
        return [LogEntry(int.from_bytes(at[1:], "big"), rows.unseal(Table.LOG, at, row)) for at, row in found]


def damage_sums(store: Store) -> None:
    """Have the next commit that changes a cell meet damage in what is no job's own."""
    with store.engine.begin() as transaction:
        store._heads.blocks = _DamagedSums(transaction)


def _ignore(result: Any, error: BaseException | None) -> None:
    """For jobs whose completions are looked at directly."""
