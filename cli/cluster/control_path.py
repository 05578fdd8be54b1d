"""The control socket's address, however long its path.

A Unix socket's path holds 107 bytes at most, and temporary directories are often deeper than that. The
kernel does not mind a short path that leads there: one through an open descriptor of the directory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NAME: Final = "control.sock"


@contextlib.contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """A path to the control socket in `directory`, short enough to bind and to connect to.

    Raises:
        OSError: the directory cannot be opened.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
