"""Gathering statements of reasons: every decision since a time, with what it was about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from folkmoot.cli.moderating.pages import all_pages
from folkmoot.cli.moderating.telling import decision_in
from folkmoot.cli.moderating.transparency import TERRITORIES, statement_of
from folkmoot.protocol.limits import KEYS_PER_GET
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


async def gather(client: Client, since_us: int, territories: Sequence[str]) -> dict[str, Any]:
    """All statements since a time, in the order in which they were made.

    Args:
        client: connected, as somebody who may decide.
        since_us: microseconds since 1970.
        territories: where they apply; none for all of the European Economic Area.

    Raises:
        OperatorError, WireError: from the node, or what it told is no decision.
    """
    items, missing = await all_pages(client, "moderation.statements", since=since_us)
    decided = [decision_in(frame) for frame in items]
    decided.sort(key=lambda each: each[1].stamp)
    statements: list[dict[str, Any]] = []
    for start in range(0, len(decided), KEYS_PER_GET):
        some = decided[start : start + KEYS_PER_GET]
        cells = await client.get([(record.place, *decision.subject) for decision, record in some])
        for (decision, record), cell in zip(some, cells, strict=True):
            shown = cell["records"] if cell is not None and "records" in cell else []
            about = Record.from_wire(shown[0]).body if shown else None
            made = statement_of(decision, record, about, territories or TERRITORIES)
            statements += [made] if made is not None else []
    return {"statements": statements, "missing": missing}
