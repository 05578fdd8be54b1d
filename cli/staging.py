"""Directories that are there whole or not at all.

What is to be a directory is built beside it under another name, and renamed when nothing is missing. Whatever
fails, or is killed, leaves nothing that could be taken for the whole; what a killed attempt left under the
other name is removed by the next one, which knows by a lock that nobody is at it any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from folkmoot.cli.config_option import CONFIG_NAME
from folkmoot.cli.errors import OperatorError
from folkmoot.node.data_directory import DataDirectory, sync_directory


class DirectoryTaken(OperatorError):
    """There is something in the directory, or it cannot be made."""


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """A private directory beside `directory`, gone at the end unless it was renamed; locked meanwhile.

    Raises:
        DirectoryTaken: `directory` is not free, or nothing can be made beside it.
    """
    _check_free(directory)
    prefix = f".{directory.name}.joining-"
    missing = [each for each in directory.parents if not each.exists()]
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(directory.parent, prefix)
        stage = Path(tempfile.mkdtemp(prefix=prefix, dir=directory.parent))
    except OSError as error:
        raise DirectoryTaken(
            f"no directory can be made beside {directory}: {error.strerror}",
            hint=f"--dir {directory / 'node'}",
        ) from error
    lock = os.open(stage, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield stage
    finally:
        os.close(lock)
        shutil.rmtree(stage, ignore_errors=True)
        if not directory.exists():
            for each in missing:
                with contextlib.suppress(OSError):
                    each.rmdir()


def _sweep(parent: Path, prefix: str) -> None:
    """Remove what joins that were killed have left: nobody holds their locks any more."""
    for left in parent.glob(f"{prefix}*"):
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
