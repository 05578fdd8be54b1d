"""An index of posts: an inverted index (SQLite's FTS5), and what was put into it.

It is derived from the store and says up to which change; what it holds and how far it has come are committed
together. FTS5 keeps no text here (`content=''`), only the tokens that `protocol.search` makes, whose order it
keeps; beside it stands what each post was made into, because words can be taken out again only by who knows
them.

Posts have numbers that rise with their times, so that the newest are found first without sorting: the
milliseconds of a post's item, then a count of those of one millisecond.

What may trend stands by hours, and in each hour by accounts, so that a part can be read of whoever tags
without end, and the rest passed by.

Whatever is taken out is marked as gone by FTS5 and stays in the file until parts of the index are merged. So
after something was taken out the whole is merged (`settle_erasures`), and the write-ahead log is emptied.
SQLite writes zeros over what it frees.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, TypeVar

from folkmoot.protocol.bodies import post_time_ms
from folkmoot.protocol.key import ITEM_AT, PLACE_PREFIX_BYTES
from folkmoot.protocol.search.bounds import SEARCH_READERS, SEARCH_ROWS_ERASED
from folkmoot.protocol.search.documents import Document
from folkmoot.protocol.search.tokens import TOKENS_VERSION
from folkmoot.storage.directory import FILE_MODE
from folkmoot.storage.search.errors import of_index

T = TypeVar("T")

MEMORY: Final = ":memory:"
MOMENT_BITS: Final = 21
"""Of a post's number: which of those of one millisecond it is."""

_FORMAT: Final = f"2/{TOKENS_VERSION}"
HOUR_MS: Final = 3_600_000
_BUSY_S: Final = 1.0  # that the writer waits for readers
_CACHE_KIB: Final = 4_096  # of each connection
_FIND: Final = "SELECT id, body, tags, author, lang FROM posts WHERE key = ?"
_INDEX: Final = "INSERT INTO words(rowid, body, tags, author, lang) VALUES (?, ?, ?, ?, ?)"
_UNINDEX: Final = "INSERT INTO words(words, rowid, body, tags, author, lang) VALUES ('delete', ?, ?, ?, ?, ?)"
_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE posts (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body, tags, author, lang);
CREATE TABLE tagged (hour INTEGER, key BLOB, form TEXT, PRIMARY KEY (hour, key, form)) WITHOUT ROWID;
CREATE TABLE hidden (place BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE waiting (place BLOB PRIMARY KEY, after BLOB NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(body, tags, author, lang, content='', columnsize=0, tokenize='ascii');
"""


def hour_of(key: bytes) -> int:
    """The hour in which a post was made, by its item: how many there were since 1970."""
    return post_time_ms(key[ITEM_AT:]) // HOUR_MS


class Position(NamedTuple):
    """How far an index has come.

    Args:
        log_id: of the store's log (16 bytes).
        boot, sequence: of the last change that is in it; see `boots.Moment`.
        pruned: up to which change it is known which cells were erased.
    """

    log_id: bytes
    boot: int
    sequence: int
    pruned: int

    def encode(self) -> bytes:
        """As it is kept."""
        return b"".join((self.log_id, *(each.to_bytes(8, "big") for each in self[1:])))

    @classmethod
    def decode(cls, data: bytes) -> Position:
        """What `encode` made."""
        numbers = (int.from_bytes(data[at : at + 8], "big") for at in range(16, 40, 8))
        return cls(data[:16], *numbers)


class Waiting(NamedTuple):
    """An account whose posts are to be looked through anew, after a key.

    Args:
        place: what its keys begin with (40 bytes).
        after: the key; empty for the beginning.
    """

    place: bytes
    after: bytes


class SearchIndex:
    """See the module. One thread writes at a time; any number read, each what was committed last.

    Args:
        file: made if it is not there; `MEMORY` for an index that is in no file.

    Raises:
        IndexDamaged: it is no index of this version.
    """

    def __init__(self, file: Path | str) -> None:
        self._file = str(file)
        self._readers: list[sqlite3.Connection] = []
        self._lock = Lock()
        self._closed = False
        with of_index(self._file):
            if self._file != MEMORY:
                os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
            self._writer = self._connect()
            try:
                self._begin()
            except BaseException:
                self._writer.close()
                raise

    def _begin(self) -> None:
        if self._writer.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            if self.fact("format") != _FORMAT.encode():
                raise sqlite3.DatabaseError("made by other rules than this version's")
            return
        self._writer.executescript(_SCHEMA)
        with self._transaction():
            self._keep("format", _FORMAT.encode())

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        if self._file != MEMORY:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    @property
    def name(self) -> str:
        """The file's."""
        return self._file

    def held(self, keys: Iterable[bytes]) -> list[bytes]:
        """Of the posts at some keys those that it finds by anything.

        Raises:
            IndexDamaged: see there.
        """
        with self.reading() as connection:
            asked = "SELECT key FROM posts WHERE key = ?"
            return [key for key in keys if connection.execute(asked, (key,)).fetchone()]

    @property
    def position(self) -> Position | None:
        """How far it has come; None at the beginning."""
        data = self.fact("position")
        return None if data is None else Position.decode(data)

    @property
    def complete(self) -> bool:
        """Whether it has ever been at the end of the log."""
        return self.fact("complete") is not None

    @property
    def erased(self) -> int:
        """How many posts were taken out of which words may still be in the file."""
        return int.from_bytes(self.fact("erased") or b"", "big")

    def fact(self, name: str) -> bytes | None:
        """A named value that its writer keeps."""
        with of_index(self._file):
            row = self._writer.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def is_waiting(self) -> bool:
        """Whether the posts of some account are to be looked through."""
        with of_index(self._file):
            return bool(self._writer.execute("SELECT 1 FROM waiting LIMIT 1").fetchone())

    def size_bytes(self) -> int:
        """What it takes on the disk."""
        if self._file == MEMORY:
            return 0
        files = (Path(f"{self._file}{ending}") for ending in ("", "-wal", "-shm"))
        return sum(file.stat().st_size for file in files if file.exists())

    def check(self) -> None:
        """Read all of it.

        Raises:
            IndexDamaged: it is damaged.
        """
        with self.reading() as connection:
            told = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
            if told != ["ok"]:
                raise sqlite3.DatabaseError(f"it is damaged: {told[0]}")

    def write(self, job: Callable[[IndexWriting], T]) -> T:
        """Commit what a job does, all of it or nothing.

        Raises:
            DiskFull: nothing was changed.
            IndexDamaged: see there.
        """
        with of_index(self._file), self._transaction():
            return job(IndexWriting(self._writer, self._keep))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self._writer.execute("COMMIT")

    def _keep(self, name: str, value: bytes) -> None:
        self._writer.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def settle_erasures(self) -> bool:
        """Have nothing in the file any more of what was taken out.

        Returns:
            False when somebody was reading, so that the write-ahead log could not be emptied.

        Raises:
            DiskFull, IndexDamaged: see there.
        """
        with of_index(self._file):
            with self._transaction():
                self._writer.execute("INSERT INTO words(words) VALUES ('optimize')")
            if not self.empty_log():
                return False
            with self._transaction():
                self._keep("erased", b"")
        return True

    def empty_log(self) -> bool:
        """Empty the write-ahead log; whether nobody was reading in it."""
        with of_index(self._file):
            return not self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with.

        Raises:
            IndexDamaged: what is read with it turns out to be damaged.
        """
        if self._file == MEMORY:
            with of_index(self._file):
                yield self._writer
            return
        with of_index(self._file):
            with self._lock:
                if self._closed:
                    raise sqlite3.ProgrammingError("it was closed")
                connection = self._readers.pop() if self._readers else None
            if connection is None:
                connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
            try:
                yield connection
            finally:
                with self._lock:
                    if self._closed or len(self._readers) == SEARCH_READERS:
                        connection.close()
                    else:
                        self._readers.append(connection)

    def close(self) -> None:
        """Let go of the file; who still reads it ends first. One that is in no file stays as it is."""
        if self._file == MEMORY:
            return
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for connection in (*readers, self._writer):
            connection.close()


class IndexWriting:
    """What may be done in one transaction; see `SearchIndex.write`.

    Attributes:
        written: how many posts were put in or taken out.
    """

    def __init__(self, connection: sqlite3.Connection, keep: Callable[[str, bytes], None]) -> None:
        self._connection = connection
        self._keep = keep
        self.written = 0

    def advance(self, position: Position, *, complete: bool) -> None:
        """Note how far this transaction brings the index, and whether that is the end of the log."""
        self._keep("position", position.encode())
        if complete:
            self._keep("complete", b"\1")

    def put(self, key: bytes, document: Document | None) -> None:
        """Have a post be found by this and nothing else; by nothing at all when it is None."""
        row = self._connection.execute(_FIND, (key,)).fetchone()
        if row is None:
            number = None if document is None else self._free_id(key)
            if document is not None and number is not None:
                self._add(number, key, document)
            return
        if document is not None and row[1:] == document.columns and self._tags(key) == document.trending:
            return
        self._take_out(key, row)
        if document is not None:
            self._add(row[0], key, document)

    def holds(self, key: bytes) -> bool:
        """Whether a post is found by anything."""
        return bool(self._connection.execute("SELECT 1 FROM posts WHERE key = ?", (key,)).fetchone())

    def _add(self, number: int, key: bytes, document: Document) -> None:
        self._connection.execute(_INDEX, (number, *document.columns))
        self._connection.execute(
            "INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?)", (number, key, *document.columns)
        )
        self._connection.executemany(
            "INSERT INTO tagged VALUES (?, ?, ?)", [(hour_of(key), key, form) for form in document.trending]
        )
        self.written += 1

    def _take_out(self, key: bytes, row: tuple[int, str, str, str, str]) -> None:
        self._connection.execute(_UNINDEX, row)
        self._connection.execute("DELETE FROM posts WHERE id = ?", row[:1])
        self._connection.execute("DELETE FROM tagged WHERE hour = ? AND key = ?", (hour_of(key), key))
        self.written += 1
        [(value,)] = self._connection.execute(
            "SELECT coalesce((SELECT value FROM facts WHERE name = 'erased'), x'')"
        ).fetchall()
        self._keep("erased", (int.from_bytes(value, "big") + 1).to_bytes(8, "big"))

    def _tags(self, key: bytes) -> tuple[str, ...]:
        """The tags of a post that may trend."""
        asked = "SELECT form FROM tagged WHERE hour = ? AND key = ? ORDER BY form"
        return tuple(form for (form,) in self._connection.execute(asked, (hour_of(key), key)).fetchall())

    def _free_id(self, key: bytes) -> int | None:
        """A number for a new post; None when two million posts have its millisecond, and no room is left."""
        first = post_time_ms(key[ITEM_AT:]) << MOMENT_BITS
        [(last,)] = self._connection.execute(
            "SELECT max(id) FROM posts WHERE id >= ? AND id < ?", (first, first + (1 << MOMENT_BITS))
        ).fetchall()
        if last is None:
            return first
        return last + 1 if last + 1 < first + (1 << MOMENT_BITS) else None

    def posts_between(self, start: bytes, end: bytes, limit: int = SEARCH_ROWS_ERASED) -> list[bytes]:
        """The keys of the first posts with start ≤ key < end (an empty `end` is the end)."""
        asked = "SELECT key FROM posts WHERE key >= ? AND (? = x'' OR key < ?) ORDER BY key LIMIT ?"
        with closing(self._connection.execute(asked, (start, end, end, limit))) as rows:
            return [row[0] for row in rows]

    def is_hidden(self, place: bytes) -> bool:
        """Whether an account does not want to be found, by what its keys begin with (40 bytes)."""
        return bool(self._connection.execute("SELECT 1 FROM hidden WHERE place = ?", (place,)).fetchone())

    def hide(self, place: bytes, *, hidden: bool) -> None:
        """Have an account be found or not; its posts are looked through anew if that is news."""
        if hidden == self.is_hidden(place):
            return
        asked = "INSERT INTO hidden VALUES (?)" if hidden else "DELETE FROM hidden WHERE place = ?"
        self._connection.execute(asked, (place,))
        self.wait(Waiting(place, b""))

    def hidden_between(self, start: bytes, end: bytes) -> list[bytes]:
        """The accounts in a slice of the keys that do not want to be found."""
        asked = "SELECT place FROM hidden WHERE place >= ? AND (? = x'' OR place < ?)"
        start = start[:PLACE_PREFIX_BYTES]
        return [row[0] for row in self._connection.execute(asked, (start, end, end)).fetchall()]

    def wait(self, waiting: Waiting) -> None:
        """Have the posts of an account be looked through, from there on."""
        self._connection.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?)", waiting)

    def waiting(self) -> Waiting | None:
        """The next account whose posts are to be looked through."""
        row = self._connection.execute("SELECT place, after FROM waiting LIMIT 1").fetchone()
        return None if row is None else Waiting(*row)

    def looked_through(self, place: bytes) -> None:
        """All posts of an account were."""
        self._connection.execute("DELETE FROM waiting WHERE place = ?", (place,))
