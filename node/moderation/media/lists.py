"""Lists of hashes of pictures that are known: files, a hash a line.

    # what stands behind a # is nobody's business
    d8f8f0cce0f4a84f0e370a22028f67f0b36e2ed596623e1d33e6b39c4e9c9b22 spam  # a watch that nobody made

A line is a PDQ hash, 64 hexadecimal digits, and after it, if anything, a category: small letters, digits and
hyphens. A list is read whole or not at all, and what is wrong in it is told with the numbers of the lines.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.node.moderation.media.index import DISTANCE_MAX, HashIndex
from folkmoot.node.moderation.media.pdq import HASH_BYTES
from folkmoot.protocol.errors import FolkmootError

HASHES_MAX: Final = 2_000_000  # of all lists of a node: 200 MB
LINE_BYTES_MAX: Final = 1_024
CATEGORIES_MAX: Final = 256  # of one list
PROBLEMS_TOLD: Final = 20

_LINE: Final = re.compile(rb"\s*([0-9A-Fa-f]{64})(?:[\s,]+([a-z0-9][a-z0-9-]{0,63}))?\s*(?:#.*)?", re.DOTALL)
_EMPTY: Final = re.compile(rb"\s*(?:#.*)?", re.DOTALL)


class HashListError(FolkmootError):
    """A list cannot be used.

    Args:
        problems: sentences, each with the file and the line.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Known(NamedTuple):
    """A picture that is in a list.

    Attributes:
        list: the list's name.
        category: what the list says of it; empty when it says nothing.
        distance: in how many bits it differs from what is in the list.
        hash: what is in the list.
        sealed: whether nobody may see it.
    """

    list: str
    category: str
    distance: int
    hash: bytes
    sealed: bool


@dataclass(frozen=True, slots=True)
class HashList:
    """One list, ready to be searched.

    Args:
        name: by which it is told of.
        sealed: whether what is in it is shown to nobody, and where it is refused nothing is said of why.
        distance: how many bits may differ.
        hashes: 32 bytes each, one after the other.
        categories: names; the first is empty.
        category_of: for each hash the number of its category.
        index: of the hashes.
        digest: SHA-256 of what was read.
    """

    name: str
    sealed: bool
    distance: int
    hashes: bytes
    categories: tuple[str, ...]
    category_of: bytes
    index: HashIndex
    digest: bytes

    def find(self, asked: Sequence[bytes]) -> Known | None:
        """What is nearest in this list to some hashes of one picture; None when nothing is near."""
        found = self.index.nearest(asked, self.distance)
        if found is None:
            return None
        category = self.categories[self.category_of[found.row]]
        at = found.row * HASH_BYTES
        return Known(self.name, category, found.distance, self.hashes[at : at + HASH_BYTES], self.sealed)


def read_list(
    path: Path, name: str, *, sealed: bool = False, distance: int = DISTANCE_MAX, room: int = HASHES_MAX
) -> HashList:
    """Read a list; blocks.

    Args:
        path: the file.
        name, sealed, distance: see `HashList`.
        room: how many hashes there may be.

    Raises:
        HashListError: it cannot be read, or something in it is no hash.
    """
    reader = _Reader(path, room)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise HashListError([f"{path}: is no regular file, and reading it might never end"])
        with path.open("rb") as file:
            reader.read(iter(lambda: file.readline(LINE_BYTES_MAX + 1), b""))
    except OSError as error:
        raise HashListError([f"{path}: cannot be read: {error.strerror}"]) from error
    if reader.problems:
        raise HashListError(reader.problems)
    hashes = b"".join(reader.seen)
    return HashList(
        name,
        sealed,
        distance,
        hashes,
        tuple(reader.categories),
        bytes(reader.seen.values()),
        HashIndex(hashes),
        reader.digest.digest(),
    )


def find_in(lists: Iterable[HashList], asked: Sequence[bytes]) -> Known | None:
    """What is known of a picture: of a sealed list before any other, then the nearest.

    Args:
        lists: to look in.
        asked: the picture's hashes.
    """
    found = [known for each in lists if (known := each.find(asked)) is not None]
    return min(found, key=lambda known: (not known.sealed, known.distance), default=None)


class _Reader:
    """Takes lines one after the other."""

    def __init__(self, path: Path, room: int) -> None:
        self._path = path
        self._room = room
        self.seen: dict[bytes, int] = {}  # the number of its category, for each hash
        self.categories: dict[str, int] = {"": 0}
        self.problems: list[str] = []
        self.digest = hashlib.sha256()

    def read(self, lines: Iterable[bytes]) -> None:
        """Take all lines, or as many as are needed to know that the list is of no use."""
        for number, line in enumerate(lines, 1):
            self.digest.update(line)
            problem = self._problem(line)
            if problem:
                self.problems.append(f"{self._path}:{number}: {problem}")
            if len(self.problems) >= PROBLEMS_TOLD or len(line) > LINE_BYTES_MAX:
                return

    def _problem(self, line: bytes) -> str | None:
        """Take one line; what is wrong with it."""
        if len(line) > LINE_BYTES_MAX:
            return f"the line has more than {LINE_BYTES_MAX} bytes"
        found = _LINE.fullmatch(line)
        if found is None:
            if _EMPTY.fullmatch(line):
                return None
            return "no PDQ hash of 64 hexadecimal digits, with a category after it or a # and a comment"
        category = (found[2] or b"").decode()
        if len(self.categories) >= CATEGORIES_MAX and category not in self.categories:
            return f"there are more than {CATEGORIES_MAX} categories in one list"
        number = self.categories.setdefault(category, len(self.categories))
        self.seen.setdefault(bytes.fromhex(found[1].decode()), number)
        if len(self.seen) > self._room:
            return f"a node takes {HASHES_MAX} hashes at most, in all its lists together"
        return None
