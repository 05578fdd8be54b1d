"""What every sort of load does with its links and with what it was promised."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import trio
from folkmoot.cli.bench.tally import ACKNOWLEDGED
from folkmoot.cli.journal import Acknowledged, Journal
from folkmoot.protocol.client import Client, LinkBroken, Unreachable
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.record import Record

PAUSE_S: Final = 0.05
PATIENCE_S: Final = 30.0


async def link_with_room(client: Client, failed: Counter[str]) -> Link | None:
    """A link with room for a request, to another node if need be; None when no node answers.

    Args:
        client: connected.
        failed: counts it when none does.
    """
    while True:
        try:
            link = (await client.session()).link
            await link.wait_room()
        except LinkBroken:
            await trio.sleep(PAUSE_S)
        except Unreachable:
            failed["unreachable"] += 1
            return None
        else:
            return link


def write_down(journal: Journal, answers: Iterable[tuple[Record, str, Any]], level: str) -> None:
    """Journal what was promised.

    Args:
        journal: where.
        answers: (record, status, achieved) each.
        level: what was asked for, when nothing is said of what was achieved.
    """
    time_us = time.time_ns() // 1000
    journal.append(
        Acknowledged.of(
            record, held=status == "held", level=(achieved or {}).get("level", level), time_us=time_us
        )
        for record, status, achieved in answers
        if status in ACKNOWLEDGED
    )
