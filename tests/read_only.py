"""Directories that cannot be written, whoever runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def unprivileged() -> Iterator[Path]:
    """As an ordinary user for a while, with a directory of their own, even when the tests run as root."""
    directory = Path(tempfile.mkdtemp())
    was_root = os.geteuid() == 0
    if was_root:
        os.chown(directory, 65534, 65534)
        os.seteuid(65534)
    try:
        yield directory
    finally:
        if was_root:
            os.seteuid(0)
        directory.chmod(0o700)
        for path in directory.rglob("*"):
            path.chmod(0o700)
        shutil.rmtree(directory)


@contextmanager
def read_only(directory: Path) -> Iterator[tuple[str, ...]]:
    """What to put before a command so that it cannot write into a directory."""
    if os.geteuid() != 0:
        directory.chmod(0o500)
        yield ()
        directory.chmod(0o700)
        return
    # Permissions do not hold back root, but a read-only mount in a namespace of the command's own does.
    script = f'mount --bind "{directory}" "{directory}" && mount -o remount,bind,ro "{directory}"'
    prefix = ("unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh")
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine has no `unshare`, and root may write anywhere")
    if done.returncode != 0:
        pytest.skip("mounting is not permitted here, and root may write anywhere")
    yield prefix
