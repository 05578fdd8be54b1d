"""The store of one node: what is asked of it, over any engine.

Reads are short transactions of their own, from any thread, and never wait for the writer. Writes are jobs
in a `WriteTransaction`, one group at a time (see `group` and `writer`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.projections.entries import Index, Projection
from folkmoot.protocol.sync.fingerprint import Fingerprint, Leaf
from folkmoot.storage import accounts, boots, changes, hints, log_pages, pages, registers, rows, schema
from folkmoot.storage.accounts import Unconfirmed
from folkmoot.storage.boots import Moment
from folkmoot.storage.changes import Changes, lanes_of
from folkmoot.storage.damage import Damage
from folkmoot.storage.errors import StoreCorrupt, WrongStore
from folkmoot.storage.heads import Heads
from folkmoot.storage.hints import Hint
from folkmoot.storage.interface import Engine, Table, Transaction, Usage
from folkmoot.storage.labelled import TrustedLabellers, labels_by, labels_on
from folkmoot.storage.log_pages import LogAsked, LogPage
from folkmoot.storage.pages import AuthorPage
from folkmoot.storage.profiles import StoredProfile, read_profile
from folkmoot.storage.projections import generation_of, tally
from folkmoot.storage.rows import HintState, row_cell
from folkmoot.storage.shown import ShownCaches
from folkmoot.storage.shown_post import Post
from folkmoot.storage.transaction import WriteTransaction
from folkmoot.storage.view import HeavyBlocks, block_view

LOG_ID_BYTES: Final = 16

_LOG_ID: Final = b"log-id"
_NODE: Final = b"node"
_CLUSTER: Final = b"cluster"


class Owner(NamedTuple):
    """Whose store it is: the node (16 bytes) and the cluster's name."""

    node: bytes
    cluster: str


class Store:
    """An open store.

    Attributes:
        view: its cells as reconciliation reads them.
        heavy: what `view` remembers of blocks with many cells.
        damage: the cells found damaged.
        live: of each projection, the generation that is read.

    Args:
        engine: holds the tables; closed by `close`.
        owner: stamped on a new store, compared with an old one's; None to read whatever is there.
        fresh_log_id: 16 random bytes that name this log for ever, if the store is new.

    Raises:
        SchemaTooNew: a later version wrote it.
        WrongStore: it belongs to another node or cluster.
        StoreCorrupt: it is not a store, or damaged where it says what it is.
    """

    def __init__(self, engine: Engine, *, owner: Owner | None, fresh_log_id: bytes | None = None) -> None:
        self._engine = engine
        self.damage = Damage()
        self.heavy = HeavyBlocks(engine, self.damage.note)
        self.view = block_view(engine, self.heavy, self.damage.note)
        with engine.begin() as transaction:
            fresh = transaction.count(Table.META) == 0
        if fresh:
            self._found(owner, fresh_log_id)
        with engine.begin() as transaction:
            _check(transaction, owner)
        if owner is not None:
            schema.upgrade(engine)
        with engine.begin() as transaction:
            self.log_id = _meta(transaction, _LOG_ID)
            self._heads = Heads(transaction)
            self.live = {each: generation_of(transaction, each).live for each in Projection}

    def _found(self, owner: Owner | None, fresh_log_id: bytes | None) -> None:
        """Write what a store says of itself, into an empty one."""
        if owner is None or fresh_log_id is None:
            raise StoreCorrupt("the store", "it is empty, not even its schema is there")
        assert len(fresh_log_id) == LOG_ID_BYTES, "a log id is 16 bytes"
        values = {
            _LOG_ID: fresh_log_id,
            _NODE: owner.node,
            _CLUSTER: owner.cluster.encode(),
        }
        with self._engine.begin(write=True) as transaction:
            schema.write_schema(transaction)
            for name, value in values.items():
                transaction.put(Table.META, name, rows.seal(name, value))
            transaction.commit()

    def write(self) -> WriteTransaction:
        """Begin the one write transaction; only the writer does (see `group.commit_group`)."""
        transaction = self._engine.begin(write=True)
        try:
            return WriteTransaction(transaction, self._heads, room_bytes=self._engine.room_bytes())
        except BaseException:
            transaction.abort()
            raise

    @property
    def engine(self) -> Engine:
        """What holds the tables; for `verify` and statistics."""
        return self._engine

    @property
    def sequence(self) -> int:
        """The number of the latest durable change, to a cell or a named value; what a node's mark counts."""
        return self._heads.sequence

    def may_have_changed(self, start: bytes, end: bytes, after_sequence: int) -> bool:
        """Whether a cell with start ≤ key < end may have changed after a sequence; asked of memory."""
        return any(self._heads.lanes[lane] > after_sequence for lane in lanes_of(start, end))

    @property
    def hints_dropped(self) -> int:
        """How many hints were not kept since this store was opened, for want of number, age or room."""
        return self._heads.hints_dropped

    @property
    def owner(self) -> Owner:
        """Whose store this is."""
        with self._engine.begin() as transaction:
            return Owner(_meta(transaction, _NODE), _meta(transaction, _CLUSTER).decode())

    def get_cell(self, key: bytes) -> bytes | None:
        """The encoded cell at `key`, or None.

        Raises:
            StoreCorrupt: the cell is damaged.
        """
        with self._engine.begin() as transaction:
            row = transaction.get(Table.CELLS, key)
        return None if row is None else row_cell(key, row)

    def get_cells(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """The encoded cells at `keys`, in one moment and in the same order.

        Raises:
            StoreCorrupt: one of them is damaged.
        """
        with self._engine.begin() as transaction:
            found = [(key, transaction.get(Table.CELLS, key)) for key in keys]
        return [None if row is None else row_cell(key, row) for key, row in found]

    def lane_changed(self, lane: int, after_sequence: int) -> bool:
        """Whether a cell of a lane (0–63) may have changed after a position; answered from memory."""
        return self._heads.lanes[lane] > after_sequence

    def holds(self, start: bytes, end: bytes) -> bool:
        """Whether there is a cell with start ≤ key < end (an empty `end` is the end), whole or not."""
        with self._engine.begin() as transaction:
            return transaction.holds(Table.CELLS, start, end)

    def author_page(
        self,
        place: bytes,
        before_item: bytes | None = None,
        *,
        limit: int,
        bytes_max: int,
        trusted: TrustedLabellers = frozenset,
    ) -> AuthorPage:
        """See `pages.author_page`; nobody is trusted if nobody is named."""
        with self._engine.begin() as transaction:
            return pages.author_page(
                transaction,
                place,
                before_item,
                limit=limit,
                bytes_max=bytes_max,
                trusted=trusted,
                threads=self.live[Projection.THREADS],
            )

    def packed_page(
        self,
        author: bytes,
        before_item: bytes | None,
        *,
        limit: int,
        bytes_max: int,
        trusted: TrustedLabellers = frozenset,
    ) -> PackedPage:
        """`author_page` as it is sent; a first page that has not changed since it was read is remembered."""
        shown, place, asked = self._heads.shown, place_prefix(author), (limit, bytes_max)
        labellers = trusted()
        version = shown.version(labellers)
        if before_item is None and (known := shown.first_page(place, asked)) is not None:
            return known
        page = self.author_page(
            author, before_item, limit=limit, bytes_max=bytes_max, trusted=lambda: labellers
        ).packed()
        if before_item is None:
            shown.keep_first_page(place, asked, page, version)
        return page

    def posts(self, keys: Sequence[bytes], trusted: TrustedLabellers) -> list[Post | None]:
        """See `pages.posts_at`; what was read before, and has not changed, is remembered."""
        shown, labellers = self._heads.shown, trusted()
        version = shown.version(labellers)
        found = shown.posts(keys)
        if None not in found:
            return found
        missed = [number for number, post in enumerate(found) if post is None]
        with self._engine.begin() as transaction:
            threads = self.live[Projection.THREADS]
            read = pages.posts_at(
                transaction, (keys[number] for number in missed), lambda: labellers, threads
            )
        for number, post in zip(missed, read, strict=True):
            found[number] = post
        known = [(keys[number], post) for number in missed if (post := found[number]) is not None]
        shown.keep_posts(known, version)
        return found

    @property
    def shown(self) -> ShownCaches:
        """What is remembered of what pages show."""
        return self._heads.shown

    def labels_of(self, key: bytes, trusted: TrustedLabellers = frozenset) -> list[bytes]:
        """See `labelled.labels_on`; nobody is trusted if nobody is named."""
        with self._engine.begin() as transaction:
            return list(labels_on(transaction, key, trusted).frames)

    def labels_by(self, key: bytes, labellers: Collection[bytes]) -> list[bytes]:
        """See `labelled.labels_by`."""
        with self._engine.begin() as transaction:
            return labels_by(transaction, key, labellers)

    def profile(self, account: bytes) -> StoredProfile:
        """See `profiles.read_profile`; what was read before, and has not changed, is remembered."""
        shown, place = self._heads.shown, place_prefix(account)
        if (known := shown.profile(place)) is not None:
            return known
        version = shown.version()
        with self._engine.begin() as transaction:
            followers = tally(transaction, Index.FOLLOWERS, self.live[Projection.FOLLOWERS], place)
            profile = read_profile(transaction, account, followers)
        shown.keep_profile(place, profile, version)
        return profile

    def fingerprint(self, start: bytes, stop: bytes) -> Fingerprint:
        """Of the cells with start ≤ key < stop; see `view`."""
        return self.view.fingerprint(start, stop)

    def leaves(self, start: bytes, stop: bytes, limit: int) -> list[Leaf]:
        """Keys and leaf hashes (32 bytes) of the first cells with start ≤ key < stop; an empty `stop` is
        the end.

        Raises:
            StoreCorrupt: a cell is damaged.
        """
        return list(self.view.leaves(start, stop, limit))

    def cells_between(
        self, start: bytes, stop: bytes, *, limit: int, bytes_max: int
    ) -> list[tuple[bytes, bytes]]:
        """Keys and encoded cells with start ≤ key < stop: the first `limit`, within `bytes_max` bytes of
        keys and cells but for the first one.

        Raises:
            StoreCorrupt: a cell is damaged.
        """
        cells: list[tuple[bytes, bytes]] = []
        size = 0
        with self._engine.begin() as transaction:
            for key, row in islice(transaction.scan(Table.CELLS, start, stop), limit):
                size += len(key) + len(row)
                if size > bytes_max and cells:
                    break
                cells.append((key, row_cell(key, row)))
        return cells

    def changes(
        self, lane: int, after_sequence: int, limit: int, start: bytes = b"", end: bytes = b""
    ) -> Changes:
        """See `changes.changes`; of the whole lane if no bounds are given."""
        with self._engine.begin() as transaction:
            return changes.changes(transaction, lane, after_sequence, limit, start, end)

    def boots(self) -> list[Moment]:
        """See `boots.begun`."""
        with self._engine.begin() as transaction:
            return boots.begun(transaction)

    def page_of_log(self, asked: LogAsked, trusted: TrustedLabellers = frozenset) -> LogPage:
        """See `log_pages.page`; nobody is trusted if nobody is named."""
        with self._engine.begin() as transaction:
            return log_pages.page(transaction, self.log_id, asked, trusted, self.damage.note)

    def hints_for(self, node: bytes, limit: int, after: bytes = b"") -> list[Hint]:
        """The next hints of `node` (16 bytes) in key order, after the cell key `after`.

        Raises:
            StoreCorrupt: a hint is damaged.
        """
        with self._engine.begin() as transaction:
            return hints.page(transaction, node, after=after, limit=limit)

    def hint_states(self) -> dict[bytes, HintState]:
        """Of every node that is owed something: how many hints, and since when.

        Raises:
            StoreCorrupt: a row is damaged.
        """
        with self._engine.begin() as transaction:
            return hints.states(transaction)

    def meta_get(self, name: str) -> bytes | None:
        """A small named value.

        Raises:
            StoreCorrupt: it is damaged.
        """
        with self._engine.begin() as transaction:
            row = transaction.get(Table.META, name.encode())
        return None if row is None else rows.unseal(Table.META, name.encode(), row)

    def register(self, name: str) -> bytes | None:
        """What this node's seat keeps of a register; see `registers.read`."""
        with self._engine.begin() as transaction:
            return registers.read(transaction, name)

    def register_names(self, after: str, limit: int) -> list[str]:
        """See `registers.names`."""
        with self._engine.begin() as transaction:
            return registers.names(transaction, after, limit)

    def registers_since(self, sequence: int, limit: int) -> list[tuple[int, str]]:
        """See `registers.changed_since`."""
        with self._engine.begin() as transaction:
            return registers.changed_since(transaction, sequence, limit)

    def damaged_registers(self) -> list[str]:
        """See `registers.damaged`; all of them are read."""
        with self._engine.begin() as transaction:
            return registers.damaged(transaction)

    def account(self, account: bytes) -> bytes | None:
        """See `accounts.read`."""
        with self._engine.begin() as transaction:
            return accounts.read(transaction, account)

    def knows_accounts(self) -> bool:
        """Whether anything is known to have been done to any account."""
        with self._engine.begin() as transaction:
            return transaction.count(Table.ACCOUNTS) > 0

    def handle_holders(self, register: str) -> list[bytes]:
        """See `accounts.holders`."""
        with self._engine.begin() as transaction:
            return accounts.holders(transaction, register)

    def unconfirmed(self, limit: int) -> list[tuple[bytes, Unconfirmed | None]]:
        """See `accounts.unconfirmed`."""
        with self._engine.begin() as transaction:
            return accounts.unconfirmed(transaction, limit)

    def usage(self) -> Usage:
        """How full the store is."""
        return self._engine.usage()

    def close(self) -> None:
        """Close the engine. The writer has been closed before."""
        self._engine.close()


def _meta(transaction: Transaction, name: bytes) -> bytes:
    row = transaction.get(Table.META, name)
    if row is None:
        raise StoreCorrupt(f"the value {name.decode()!r}", "it is missing")
    return rows.unseal(Table.META, name, row)


def _check(transaction: Transaction, owner: Owner | None) -> None:
    schema.read_schema(transaction)
    if owner is None:
        return
    node, cluster = _meta(transaction, _NODE), _meta(transaction, _CLUSTER).decode()
    if cluster != owner.cluster:
        raise WrongStore("the cluster", cluster, owner.cluster)
    if node != owner.node:
        raise WrongStore("the node", node.hex(), owner.node.hex())
