"""The sealed media of a node: what a sealed list knows, moved aside, and the custody record of each.

    media/sealed/AA/PLACE/HASH           the medium, as it lay elsewhere
    media/sealed/AA/PLACE/HASH.custody   its record, see `protocol.media.custody`

Nothing that serves, copies, sweeps, purges or backs up media looks there. Whatever is done is written into
the record and brought to disk first; what a crash has left undone is done when the node starts. The record
stays when the medium is erased. Everything blocks, and may be called from several threads.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from folkmoot.protocol.errors import CONFLICT, INTERNAL, NOT_FOUND, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.custody import Custody, Entry, Found, State
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.directory import os_failure
from folkmoot.storage.media import folders
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.files import Files
from folkmoot.storage.media.folders import accounts_in, lanes_in
from folkmoot.storage.media.layout import CUSTODY, Area, MediumDamaged, Name, folder_of, room_of

_RECORD_BYTES_MAX: Final = (bounds.SEALED_LINES + bounds.SEALED_HANDED_OVER + 2) * bounds.SEALED_LINE_BYTES
_RECORD: Final = re.compile(rf"([0-9a-f]{{64}}){re.escape(CUSTODY)}")
_RECORD_ROOM: Final = room_of(1)  # of a usual one


class Sealed(NamedTuple):
    """What is known of one sealed medium without reading its record.

    Attributes:
        state: what became of it.
        found: what was known of it when it was sealed; None when that line is damaged.
        sealed_us, last_us: when that was, and when anything last happened to it, microseconds since 1970.
        kept_since_us: see `Custody`.
        opened: how often it was.
        case: under which reference it was handed over last; empty when it was not.
        damaged: lines of its record that are none.
    """

    state: State
    found: Found | None
    sealed_us: int
    last_us: int
    kept_since_us: int | None
    opened: int
    case: str
    damaged: int

    @classmethod
    def told(cls, custody: Custody, *, is_here: bool) -> Sealed:
        """The same of a record that was read."""
        sealed, handed_over = custody.last("sealed"), custody.last("handed_over")
        return cls(
            custody.state(is_here=is_here),
            custody.found,
            0 if sealed is None else sealed.at_us,
            custody.entries[-1].at_us if custody.entries else 0,
            custody.kept_since_us,
            custody.count("opened"),
            "" if handed_over is None else handed_over.case,
            custody.damaged,
        )


class SealedMedia:
    """See the module.

    Args:
        blobs: where media lie.
        cap_bytes: how much of what was not kept before may be sealed.

    Raises:
        StorageError: it cannot be read or written.
    """

    def __init__(self, blobs: Blobs, cap_bytes: int) -> None:
        self._blobs = blobs
        self._files = blobs.files
        self._area = blobs.directory / Area.SEALED.value
        self.cap_bytes = cap_bytes
        self._lock = threading.Lock()
        self._known: dict[Name, Sealed] = {}
        with self._told():
            for name, custody in records_in(self._files, self._area):
                self._finish(name, custody)

    def __contains__(self, name: Name) -> bool:
        """Whether a medium is sealed here, or was and is erased: nobody may have it. In memory."""
        return name in self._known

    def known(self) -> dict[Name, Sealed]:
        """All of them. In memory."""
        return dict(self._known)

    @property
    def used_bytes(self) -> int:
        """How much room they take, their records as usual ones."""
        return self._blobs.used(Area.SEALED) + _RECORD_ROOM * len(self._known)

    def custody(self, name: Name) -> Custody:
        """The record of one of them.

        Raises:
            WireError: `not_found`.
        """
        if name not in self._known:
            raise not_sealed()
        with self._told(), self._lock:
            return _read(self._files, self._file(name))

    def seal(self, name: Name, entry: Entry) -> bool:
        """Move a medium aside that lies here, unless it was not kept and there is no room; whether it is.

        Raises:
            WireError: `not_found`, when it does not lie here any more.
            StorageError: the disk cannot be written; then it lies where it lay.
        """
        with self._told(), self._lock:
            if name not in self._known:
                if (area := self._blobs.find(name)) is None:
                    raise not_sealed()  # it went this very moment
                size = 0 if entry.found is None else entry.found.size
                if area is Area.CACHE and self.used_bytes + room_of(size) + _RECORD_ROOM > self.cap_bytes:
                    self._blobs.drop(area, name)
                    return False
                self._append(name, entry)
            self._finish(name, _read(self._files, self._file(name)))
        return True

    def clear(self, name: Name) -> None:
        """Take away what came here once more of a medium that is sealed, or was."""
        with self._told(), self._lock:
            if name in self._known:
                self._finish(name, _read(self._files, self._file(name)))

    def note(self, name: Name, entry: Entry, seen: Sealed | None = None) -> Sealed:
        """Write down, durably, what is done with one of them; and erase it, if it is that.

        Args:
            name: which.
            entry: what is done.
            seen: as what it was seen, if nothing may have happened to it since.

        Raises:
            WireError: `not_found`; `conflict`, when it may not be done now.
            StorageError: the disk cannot be written: then it is not done.
        """
        with self._told(), self._lock:
            if (known := self._known.get(name)) is None:
                raise not_sealed()
            if seen not in (None, known):
                raise WireError(CONFLICT, "something was done with this sealed medium meanwhile: look again")
            _read(self._files, self._file(name)).check(entry)
            if known.state == "lost" and entry.what == "opened":
                raise WireError(NOT_FOUND, "the bytes of this medium are not on this node's disk any more")
            self._append(name, entry)
            return self._finish(name, _read(self._files, self._file(name)))

    def manifest(self, name: Name) -> Manifest:
        """What one of them is made of. Raises as `read` does."""
        with _whole():
            return self._blobs.manifest(Area.SEALED, name)

    def read(self, name: Name, index: int) -> bytes:
        """One chunk of one of them, as it was sealed.

        Raises:
            WireError: `not_found`; `bad_request` for a chunk that there is not; `internal`, when the disk has
                changed it.
        """
        with _whole():
            return self._blobs.read(Area.SEALED, name, index)

    def _finish(self, name: Name, custody: Custody) -> Sealed:
        """Have a medium lie where its record says that it does; what is known of it then."""
        is_here = lies_in(self._files, self._area, name)
        if not custody.entries and not is_here:
            return Sealed.told(custody, is_here=False)  # its first line was cut off: it was never sealed
        while (area := self._blobs.find(name)) is not None:
            self._blobs.unmark(name)
            if is_here or custody.last("erased") is not None:
                self._blobs.drop(area, name)
            else:
                self._blobs.promote(name, area, Area.SEALED)
                is_here = True
        self._blobs.notes.forget(name)
        if is_here and custody.last("erased") is not None:
            self._blobs.drop(Area.SEALED, name)
            is_here = False
        self._known[name] = told = Sealed.told(custody, is_here=is_here)
        return told

    def _append(self, name: Name, entry: Entry) -> None:
        """Bring one more line of a record to disk; it begins after whatever a crash has left there."""
        file = self._file(name)
        folders.make_folder(self._files, file.parent)
        is_new = not self._files.exists(file)
        opened = self._files.create(file) if is_new else self._files.open(file, write=True)
        with contextlib.closing(opened):
            size = self._files.status(file).size
            torn = size > 0 and opened.read(1, size - 1) != b"\n"
            opened.write(b"\n" * torn + entry.line(), size)
            opened.sync()
        self._files.sync_folder(file.parent)

    def _file(self, name: Name) -> Path:
        return _record_of(self._area, name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise os_failure(Path(error.filename or self._area), error) from error


def records_in(files: Files, area: Path) -> Iterator[tuple[Name, Custody]]:
    """All custody records below a folder of sealed media; nothing is changed.

    Args:
        files: where they lie.
        area: the folder; may not exist.

    Raises:
        OSError: one of them cannot be read.
    """
    for lane in lanes_in(files, area) if files.exists(area) else []:
        for account in accounts_in(files, lane):
            for file in sorted(files.names(folder_of(area, account))):
                if (found := _RECORD.fullmatch(file)) is not None:
                    name = Name(account, bytes.fromhex(found[1]))
                    yield name, _read(files, _record_of(area, name))


def lies_in(files: Files, area: Path, name: Name) -> bool:
    """Whether the bytes of a sealed medium lie below a folder of sealed media."""
    return files.exists(_record_of(area, name).with_suffix(""))


def not_sealed() -> WireError:
    """What is said of what is not sealed here."""
    return WireError(
        NOT_FOUND,
        "this node has sealed no such medium; another one may have, which `folkmoot media sealed ls` tells",
    )


def _record_of(area: Path, name: Name) -> Path:
    return folder_of(area, name.account) / f"{name.hash.hex()}{CUSTODY}"


def _read(files: Files, file: Path) -> Custody:
    try:
        with contextlib.closing(files.open(file)) as opened:
            return Custody.decode(opened.read(_RECORD_BYTES_MAX, 0))
    except FileNotFoundError:
        return Custody()


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except MediumDamaged as error:
        sentence = "the disk has changed this sealed medium since: it is not what was sealed"
        raise WireError(INTERNAL, sentence) from error
