"""An index worked out anew, for checkers: what it should hold, and what of it FTS5 really finds.

What FTS5 holds is read out of it token by token, not asked of what was put in beside it.
"""

from __future__ import annotations

from collections import defaultdict

from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.key import ITEM_AT, KIND_AT, KIND_BYTE, PLACE_PREFIX_BYTES
from folkmoot.protocol.search.documents import (
    COLUMNS,
    SEARCHABLE,
    Document,
    document_of,
    is_indexed,
    is_searchable,
)
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.rows import row_cell
from folkmoot.storage.search.index import SearchIndex


def expected(engine: Engine) -> dict[bytes, Document]:
    """What an index of a store should hold, by the keys of the posts."""
    hidden: set[bytes] = set()
    found: dict[bytes, Document] = {}
    with engine.begin() as transaction:
        for key, row in transaction.scan(Table.CELLS):
            if is_indexed(key):
                document = document_of(Cell.decode(row_cell(key, row)))
                if document is not None:
                    found[key] = document
            elif (key[KIND_AT], key[ITEM_AT:]) == (KIND_BYTE["profile"], SEARCHABLE) and not is_searchable(
                Cell.decode(row_cell(key, row))
            ):
                hidden.add(key[:PLACE_PREFIX_BYTES])
    return {key: document for key, document in found.items() if key[:PLACE_PREFIX_BYTES] not in hidden}


def held(index: SearchIndex) -> dict[bytes, Document]:
    """What an index finds posts by, put together from its tokens; it must not be written meanwhile."""
    tags: dict[bytes, list[str]] = defaultdict(list)
    places: dict[int, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    with index.reading() as connection:
        keys = dict(connection.execute("SELECT id, key FROM posts").fetchall())
        query_only = connection.execute("PRAGMA query_only").fetchone()[0]
        connection.execute("PRAGMA query_only = OFF")
        connection.execute("CREATE VIRTUAL TABLE temp.tokens USING fts5vocab(main, words, instance)")
        try:
            for key, form in connection.execute("SELECT key, form FROM tagged ORDER BY key, form"):
                tags[key].append(form)
            for term, number, column, offset in connection.execute("SELECT * FROM temp.tokens").fetchall():
                places[number][column].append((offset, term))
        finally:
            connection.execute("DROP TABLE temp.tokens")
            connection.execute(f"PRAGMA query_only = {query_only}")
    found = {}
    for number, columns in places.items():
        body, of_tags, author, lang = (
            " ".join(term for _, term in sorted(columns.get(name, ()))) for name in COLUMNS
        )
        key = keys.get(number, b"a post that is not there")
        found[key] = Document(body, of_tags, author, lang, tuple(tags.get(key, ())))
    return found


def differences(should: dict[bytes, Document], has: dict[bytes, Document]) -> list[str]:
    """What an index holds otherwise than it should, a sentence each."""
    told = [f"post {key[ITEM_AT:].hex()} is not found" for key in should if key not in has]
    told += [f"post {key[ITEM_AT:].hex()} is found and should not be" for key in has if key not in should]
    told += [
        f"post {key[ITEM_AT:].hex()} is found by {has[key]}, not by {document}"
        for key, document in should.items()
        if key in has and has[key] != document
    ]
    return told
