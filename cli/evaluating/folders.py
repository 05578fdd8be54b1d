"""A folder of labelled sets, one CSV file each, found by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from folkmoot.cli.evaluating.forms import BESIDE, FORMS, Entry
from folkmoot.cli.evaluating.tables import TableError, rows
from folkmoot.protocol.errors import FolkmootError

SUFFIXES: Final = (".csv.gz", ".csv")

Sets = dict[str, list[Entry]]


class FolderError(FolkmootError):
    """A folder does not hold labelled sets as it should."""


def read_folder(folder: Path, *, skip_unknown: bool = False) -> Sets:
    """The sets in a folder, in the order of `FORMS`.

    Folders in it, and files that are no CSV, are left alone.

    Args:
        skip_unknown: whether CSV files of other names are left alone too.

    Raises:
        FolderError: the folder is none, holds no set, one twice, or one that nobody knows.
        TableError: a file is broken.
    """
    files = _files(folder, skip_unknown=skip_unknown)
    sets: Sets = {}
    for name, form in FORMS.items():
        if name in files:
            sets[name] = [entry for row in rows(files[name], form.columns) for entry in form.read(row)]
            if not sets[name]:
                raise TableError(f"{files[name]}: no labelled texts in it; fill it, or take it away")
    if not sets:
        raise FolderError(f"{folder}: no labelled set in it; known names are {_names()}")
    return sets


def _files(folder: Path, *, skip_unknown: bool) -> dict[str, Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror}; name a folder of labelled sets") from error
    files: dict[str, Path] = {}
    for path in found:
        name = path.name.removesuffix(".gz").removesuffix(".csv")
        if name in files:
            raise FolderError(f"{path}: {files[name].name} is the same set; leave one of them there")
        if name in FORMS:
            files[name] = path
        elif name not in BESIDE and not skip_unknown:
            raise FolderError(
                f"{path}: no set is called {name}; rename it to one of {_names()}, take it away, or pass "
                "--skip-unknown"
            )
    return files


def _names() -> str:
    return ", ".join(FORMS)
