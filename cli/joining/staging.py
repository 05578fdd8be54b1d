"""Directories that are there whole or not at all.

What is to be a directory is built beside it under another name, and renamed when nothing is missing. Whatever
fails, or is killed, leaves nothing that could be taken for the whole. What an attempt that was cut short left
under the other name serves the next attempt at the same, and is removed by one at something else; a lock
tells that nobody is at it any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from folkmoot.cli.config_option import CONFIG_NAME
from folkmoot.cli.errors import OperatorError
from folkmoot.node.data_directory import DataDirectory, sync_directory


class DirectoryTaken(OperatorError):
    """There is something in the directory, or it cannot be made."""


@dataclass(slots=True)
class Stage:
    """A directory that is being built.

    Args:
        path: where.
        keep: whether it stays should this attempt fail, for the next one to go on with; what was left by an
            earlier one stays unless it is said that it does not.
    """

    path: Path
    keep: bool = False


@contextmanager
def staged(directory: Path, attempt: str) -> Iterator[Stage]:
    """A private directory beside `directory`, locked; gone at the end unless it was renamed or is to be kept.

    What an earlier attempt of this name has left in it is there again.

    Args:
        directory: what it is to become.
        attempt: names what goes on with what was left; what others have left is removed.

    Raises:
        DirectoryTaken: `directory` is not free, nothing can be made beside it, or somebody is at it.
    """
    _check_free(directory)
    prefix = f".{directory.name}.joining-"
    path = directory.with_name(f"{prefix}{attempt}")
    stage = Stage(path, keep=path.exists())
    missing = [each for each in directory.parents if not each.exists()]
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(directory.parent, prefix, stage.path)
        stage.path.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(stage.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise DirectoryTaken(
            f"no directory can be made beside {directory}: {error.strerror}",
            hint=f"--dir {directory / 'node'}",
        ) from error
    try:
        _lock(lock, stage.path)
        try:
            yield stage
        finally:
            if not stage.keep:
                shutil.rmtree(stage.path, ignore_errors=True)
    finally:
        os.close(lock)
        if not directory.exists():
            for each in missing:
                with contextlib.suppress(OSError):
                    each.rmdir()


def _lock(lock: int, stage: Path) -> None:
    """Have the directory for this process, under the name it had when it was opened.

    Raises:
        DirectoryTaken: another process has it, or had until now.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(lock)
        if os.path.samestat(held, stage.stat()) and held.st_uid == os.geteuid():
            return
    except OSError:
        pass  # said below
    raise DirectoryTaken(
        f"another process, or somebody else, is joining with this token in {stage}",
        hint="wait for it, or stop it",
    )


def _sweep(parent: Path, prefix: str, stage: Path) -> None:
    """Remove what other attempts have left: nobody holds their locks any more."""
    for left in parent.glob(f"{prefix}*"):
        if left == stage:
            continue
        with contextlib.suppress(OSError):
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(lock)


def _check_free(directory: Path) -> None:
    if DataDirectory(directory).id_file.exists():
        raise DirectoryTaken(
            f"{directory} holds a node already; joining never overwrites one",
            hint=f"folkmoot start --config {directory / CONFIG_NAME}, or another --dir",
        )
    if directory.is_mount():
        raise DirectoryTaken(
            f"{directory} is where a file system is mounted, and cannot be put in place in one step",
            hint=f"--dir {directory / 'node'}",
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DirectoryTaken(f"{directory} is not an empty directory", hint="another --dir, or empty it")


def put_in_place(stage: Path, directory: Path) -> None:
    """Give the whole directory its name, on disk.

    Raises:
        DirectoryTaken: something has that name by now.
    """
    sync_directory(stage)
    try:
        stage.rename(directory)
    except OSError as error:
        raise DirectoryTaken(
            f"{directory} was taken meanwhile: {error.strerror}", hint="another --dir"
        ) from error
    sync_directory(directory.parent)
