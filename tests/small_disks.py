"""Disks of a few MiB, to be filled."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, *, kib: int) -> Iterator[Path]:
    """A file system of `kib` KiB at `place` until the end of the block; skips where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system of its own to fill")
    place.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "folkmoot-test", str(place)],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("this machine has no `mount`")
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The kernel refuses to make this process's files longer than `size`, much as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def leave_no_room(disk: Path, *, spare_kib: int = 0) -> Path:
    """Fill a disk but for `spare_kib` KiB; the file that does."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as opened:
        for size in (4096, 1):
            try:
                while True:
                    opened.write(bytes(size))
            except OSError:
                continue
    os.truncate(ballast, ballast.stat().st_size - spare_kib * 1024)
    return ballast
