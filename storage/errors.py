"""What can go wrong with a store, as types; each sentence names what, where, and what to run.

These sentences are for operators. What travels to whoever asked, a client or another node, is
`to_wire_error`: a row of the wire contract, and a plain sentence that tells nothing of this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from folkmoot.protocol.errors import DISK_FULL, INTERNAL, SHUTTING_DOWN, ErrorKind, FolkmootError, WireError


class StorageError(FolkmootError):
    """Base of what this package raises. Not raised itself."""

    kind: ErrorKind = INTERNAL
    plainly: str = "this node cannot use its own store just now; another node may answer"

    def to_wire_error(self) -> WireError:
        """What may be told to whoever asked."""
        return WireError(self.kind, self.plainly)


class StoreLocked(StorageError):
    """Another process has this directory.

    Args:
        directory: the data directory.
        pid: of that process, if it is known.
        remedy: what to do.
    """

    def __init__(
        self,
        directory: Path,
        pid: int | None,
        remedy: str = "stop that daemon, or start this one with its own directory",
    ) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{directory} is in use by {holder}; {remedy}")
        self.pid = pid


class StoreBeingRead(StorageError):
    """Somebody reads a store's file that is to be replaced, or is replacing it."""

    def __init__(self, store: Path) -> None:
        super().__init__(
            f"{store} is being read by a backup or a scrub, or compacted; try again when that has ended"
        )


class StoreUnusable(StorageError):
    """The directory cannot hold a store: it is not a directory, the map cannot be made, and the like."""

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(
            f"cannot open a store in {directory}: {reason}; check the path given with --data and its owner"
        )


class StoreReadOnly(StorageError):
    """The directory or a file in it cannot be written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be written ({reason}); give the daemon's user write access (chown, remount rw) "
            "or choose another directory with --data"
        )


class StoreCorrupt(StorageError):
    """Bytes read back are not the bytes written. What is damaged is never returned.

    Args:
        where: the file, or the table and key.
        reason: what does not fit.
        cell_key: of the cell that is damaged; None when it is something else.
    """

    plainly = "this node's own copy is damaged; other nodes may have it whole"

    def __init__(self, where: str, reason: str, *, cell_key: bytes | None = None) -> None:
        super().__init__(
            f"{where} is damaged: {reason}; stop the daemon and run `folkmoot store verify --data DIR` "
            "to see how far it goes, then, where other nodes have copies, empty its store/ and start it: "
            "repair fills it again"
        )
        self.where = where
        self.reason = reason
        self.cell_key = cell_key


class SchemaTooNew(StorageError):
    """The store was written by a later version of this program."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"the store has schema {found} and this program knows up to {known}; "
            "run the version of folkmoot that wrote it, or a later one"
        )


class WrongStore(StorageError):
    """The store belongs to another node or another cluster."""

    def __init__(self, what: str, found: str, expected: str) -> None:
        super().__init__(
            f"the store belongs to {what} {found}, not {expected}; check --data, "
            "or start with an empty directory to make a new node"
        )


class DiskFull(StorageError):
    """The disk cap, or the disk itself, has no room for this write; nothing was changed, and deletions still
    have room."""

    kind = DISK_FULL
    plainly = "this node has no room for more; deletions may still have, and so may other nodes"

    def __init__(self, reason: str) -> None:
        super().__init__(f"no room: {reason}; free the disk or raise the disk cap, add nodes, or delete")


class StoreClosed(StorageError):
    """The store was closed, by a shutdown or after a failed commit."""

    kind = SHUTTING_DOWN
    plainly = "this node is shutting down; ask another node, or again when this one is back"

    def __init__(self) -> None:
        super().__init__("the store is closed; ask another node, or again when this one is back")


class CommitFailed(StorageError):
    """A commit failed and nobody knows whether it is on disk, or nothing can be committed any more: the
    process must end and start again."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"a commit failed ({reason}); the daemon ends, look at the disk before it is restarted"
        )

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """What it means that `error` was met while committing, outside of any job."""
        if isinstance(error, cls):
            return error
        failure = cls(f"{type(error).__name__}: {error}")
        failure.__cause__ = error
        return failure
