"""Dying with one's parent: how the nodes of a local cluster never outlive their supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

from folkmoot.cli.errors import OperatorError

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends (Linux).

    Args:
        parent: the parent's process id; it may have ended before we could ask.

    Raises:
        OperatorError: the parent is another one by now, or the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OperatorError(f"--die-with-parent: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        raise OperatorError(f"--die-with-parent: process {parent} is not (or no longer) the parent")
