"""What lies on a node's disk of an account's media and is shown by nothing that the store knows of.

Media are files under the account's own folders, so none has to be searched for. Whether a file may be there
is told by the account's cells: what one of them refers to may. A copy of a medium can be looked for by its
bytes besides, wherever they are: by samples, since a medium is stored as it is.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

from folkmoot.protocol.errors import WireError
from folkmoot.protocol.key import kind_prefix, prefix_end
from folkmoot.protocol.limits import STORE_SCAN_ROWS
from folkmoot.protocol.media.references import REFERRING_KINDS, hashes_in, may_refer
from folkmoot.storage.directory import os_failure
from folkmoot.storage.interface import Engine, Table
from folkmoot.storage.media.layout import OPEN_AREAS, UNUSED, folder_of
from folkmoot.storage.rows import damaged, row_cell

FOLDER: Final = "media"
SAMPLES: Final = 16
SAMPLE_BYTES: Final = 64


def files_of(data: Path, account: bytes) -> list[Path]:
    """The files of an account's media below a node's data directory, in order.

    Raises:
        StorageError: a folder cannot be read.
    """
    found: list[Path] = []
    for area in OPEN_AREAS:
        folder = folder_of(data / FOLDER / area.value, account)
        try:
            found += sorted(folder.iterdir()) if folder.exists() else []
        except OSError as error:
            raise os_failure(folder, error) from error
    return [file for file in found if not file.name.endswith(UNUSED)]


def unshown(engine: Engine, data: Path, account: bytes) -> list[Path]:
    """Those of them to which no cell of the account refers here.

    Raises:
        StorageError: a cell is damaged, which may refer to anything; or a folder cannot be read.
    """
    files = files_of(data, account)
    shown = _shown(engine, account) if files else set()
    return [file for file in files if file.name not in shown]


def _shown(engine: Engine, account: bytes) -> set[str]:
    """The hashes, in hexadecimal, to which cells of an account refer."""
    found: set[str] = set()
    for kind in REFERRING_KINDS:
        start = kind_prefix(account, kind)
        stop = prefix_end(start)
        while True:
            with engine.begin() as transaction:
                rows = list(islice(transaction.scan(Table.CELLS, start, stop), STORE_SCAN_ROWS))
            for key, row in rows:
                if may_refer(key, cell := row_cell(key, row)):
                    try:
                        found |= {digest.hex() for digest in hashes_in(cell)}
                    except WireError as error:
                        raise damaged(key, error.message) from error
            if len(rows) < STORE_SCAN_ROWS:
                break
            start = rows[-1][0] + b"\0"
    return found


def samples(file: Path) -> list[bytes]:
    """Pieces from all over a medium, by which it is known wherever it lies; without those that say nothing.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            taken = []
            for number in range(SAMPLES):
                opened.seek(max(0, size - SAMPLE_BYTES) * number // (SAMPLES - 1))
                taken.append(opened.read(SAMPLE_BYTES))
    except OSError as error:
        raise os_failure(file, error) from error
    return list(dict.fromkeys(piece for piece in taken if len(set(piece)) > SAMPLE_BYTES // 8))
