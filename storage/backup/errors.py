"""What can go wrong with backups, as types; each sentence names what, where, and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from folkmoot.protocol.errors import FolkmootError


class BackupError(FolkmootError):
    """Base of what is raised about backups. Not raised itself."""


class BackupMissing(BackupError):
    """There is no backup where one was named."""

    def __init__(self, place: Path, reason: str = "there is no manifest in it") -> None:
        super().__init__(
            f"{place} is no backup: {reason}; `folkmoot backup show FOLDER` lists those there are"
        )


class BackupDamaged(BackupError):
    """A backup is not what was written. Nothing of it is used."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"{file} is damaged: {reason}; use another copy of this backup, or another backup, and make a "
            "new one with `folkmoot backup create`"
        )


class BackupTooNew(BackupError):
    """A later version of this program wrote a backup."""

    def __init__(self, file: Path, found: int, known: int) -> None:
        super().__init__(
            f"{file} has format {found} and this program knows up to {known}; "
            "use the version of folkmoot that wrote it, or a later one"
        )


class BackupChainBroken(BackupError):
    """An incremental backup lacks one of those it stands on."""

    def __init__(self, place: Path, reason: str) -> None:
        super().__init__(
            f"{place} cannot be used: {reason}; put that backup back beside it, or use an earlier or a full "
            "one"
        )


class BackupForeign(BackupError):
    """A backup of another cluster or node than what it is to be used for."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")


class BackupUnreadable(BackupError):
    """A folder or file of backups cannot be read or written."""

    def __init__(self, place: Path, error: OSError) -> None:
        super().__init__(
            f"{place}: {error.strerror or error}; check the path and who may read and write there"
        )


class BackupNoRoom(BackupError):
    """The disk of a backup has no room for it."""

    def __init__(self, place: Path, reason: str) -> None:
        super().__init__(
            f"no room for a backup in {place}: {reason}; make room or choose another folder. "
            "The same command goes on where this one stopped"
        )


class BackupUnderWay(BackupError):
    """Another process makes the same backup."""

    def __init__(self, place: Path) -> None:
        super().__init__(f"another process writes {place}; wait for it, or end it and run this again")


class BackupOutrun(BackupError):
    """A store changes faster than its backup is read."""

    def __init__(self, reason: str = "the node writes faster than it can be read") -> None:
        super().__init__(f"no moment could be caught, because {reason}; try again in a quieter one")


class RestoreRefused(BackupError):
    """A restore would overwrite something."""


class RestoreWouldResurrect(BackupError):
    """A restore might bring back what was deleted since, because not every known deletion can be read.

    Args:
        problems: why not, one sentence for each backup.
        deletions: how many there are at most; None when nobody can say, because a manifest cannot be read.
    """

    def __init__(self, problems: list[str], deletions: int | None) -> None:
        many = "nobody can say how many" if deletions is None else f"up to {deletions}"
        super().__init__(
            f"deletions that other backups here know of, {many}, cannot be replayed, and what they deleted "
            f"would return: {' · '.join(problems)}. Mend or take away those backups, or accept it with "
            "--accept-resurrection"
        )
        self.problems = problems
        self.deletions = deletions


class RestoreUnfinished(BackupError):
    """A restore into this data directory was cut off."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"a restore into {directory} was cut off before its end; run the same `folkmoot backup restore` "
            f"again, or remove {directory / 'restoring'} to start this node empty"
        )


def os_error(place: Path, error: OSError) -> BackupError:
    """The typed error for what the operating system said about `place`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BackupNoRoom(place, error.strerror or str(error))
    return BackupUnreadable(place, error)
