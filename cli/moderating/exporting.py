"""Gathering statements of reasons: what people decided since a time, and what gates did by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.moderating.pages import add_missing, all_pages
from folkmoot.cli.moderating.telling import decision_in, label_in
from folkmoot.cli.moderating.transparency import TERRITORIES, refusal_statement, statement_of
from folkmoot.protocol.limits import KEYS_PER_GET
from folkmoot.protocol.moderation.decision import Decision
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

Read = Callable[[Sequence[bytes]], tuple[Decision, Record]]

_SAID: Final[Mapping[str, Read]] = {"decisions": decision_in, "holds": decision_in, "labels": label_in}
_SHOWN_TO_ALL: Final = frozenset({"post", "profile", "list", "algorithm", "label"})


async def gather(client: Client, since_us: int, territories: Sequence[str]) -> dict[str, Any]:
    """All statements since a time, in the order in which they were made.

    Args:
        client: connected, as somebody who may decide.
        since_us: microseconds since 1970.
        territories: where they apply; none for all of the European Economic Area.

    Raises:
        OperatorError, WireError: from the node, or what it told is no decision.
    """
    where = territories or TERRITORIES
    decided: list[tuple[Decision, Record]] = []
    missing: list[int] = []
    for of, read in _SAID.items():
        items, lost = await all_pages(client, "moderation.statements", since=since_us, of=of)
        decided += map(read, items)
        add_missing(missing, lost)
    decided.sort(key=lambda each: each[1].stamp)
    statements: list[dict[str, Any]] = []
    for start in range(0, len(decided), KEYS_PER_GET):
        some = decided[start : start + KEYS_PER_GET]
        bodies = await _bodies(client, some)
        statements += _made(statement_of(*each, bodies.get(each[0].version), where) for each in some)
    asked: dict[str, Any] = {"since": since_us, "of": "refusals"}
    refusals, silent = await all_pages(client, "moderation.statements", name="refusals", **asked)
    statements += [refusal_statement(each, where) for each in refusals]
    return {"statements": statements, "missing": missing, "silent": [each.hex() for each in silent]}


async def _bodies(client: Client, some: Iterable[tuple[Decision, Record]]) -> dict[bytes, Mapping[str, Any]]:
    """The versions that are shown of what decisions were about, by their ids."""
    about = dict.fromkeys((record.place, *decision.subject) for decision, record in some)
    asked = [key for key in about if key[1] in _SHOWN_TO_ALL]
    bodies: dict[bytes, Mapping[str, Any]] = {}
    for cell in await client.get(asked) if asked else []:
        shown = cell["records"] if cell is not None and "records" in cell else []
        if shown:
            record = Record.from_wire(shown[0])
            bodies[record.id] = record.body
    return bodies


def _made(statements: Iterable[dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    return (each for each in statements if each is not None)
