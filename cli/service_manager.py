"""Telling systemd how a node is: ready, reloading, stopping, still alive.

Source: sd_notify(3), sd_watchdog_enabled(3). Without a service manager nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

import trio


def notify(*states: str) -> None:
    """Send states such as `READY=1`; lost silently when nobody asked for them.

    Args:
        states: assignments as in sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.setblocking(False)
        with contextlib.suppress(OSError):
            manager.sendto("\n".join(states).encode(), address.replace("@", "\0", 1))


def notify_reloading() -> None:
    """Say that a reload has begun, with the instant systemd wants to hear; `READY=1` ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_pause_s(environment: Mapping[str, str]) -> float | None:
    """How often to say that all is well: twice in the time systemd allows; None when it does not watch."""
    text = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 2e6 if watched and text.isdigit() and int(text) > 0 else None


async def feed_watchdog() -> None:
    """Say again and again that the event loop turns; returns at once when nobody watches."""
    pause_s = watchdog_pause_s(os.environ)
    while pause_s is not None:
        notify("WATCHDOG=1")
        await trio.sleep(pause_s)
