"""Gathering an audit: the numbers of all pages, added up."""

from __future__ import annotations

from contextlib import aclosing
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from folkmoot.cli.moderating.pages import add_missing, pages
from folkmoot.node.moderation.dialects import Dialects
from folkmoot.node.moderation.policy_layers import read_policy_bytes
from folkmoot.protocol.moderation.fairness.tally import Tally

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


def declared(file: Path | None) -> bytes:
    """The document that declares sets of words; without a file the one that comes with folkmoot.

    Raises:
        PolicyError: with every problem found.
    """
    if file is None:
        return (files("folkmoot.configs") / "dialects" / "english.toml").read_bytes()
    data = read_policy_bytes(file)
    Dialects(data, file)
    return data


async def gather(client: Client, by: str, since_us: int, dialects: bytes) -> tuple[Tally, list[int]]:
    """What moderation did to the posts made since a time, and the numbers of ranges that nobody counted.

    Args:
        client: connected, as somebody who may decide.
        by: `language`, `region` or `dialect`.
        since_us: microseconds since 1970.
        dialects: the document that declares sets of words; empty where it is not by these.

    Raises:
        WireError: from the node.
    """
    tally = Tally()
    missing: list[int] = []
    asked: dict[str, Any] = {"by": by, "since": since_us, **({"dialects": dialects} if dialects else {})}
    async with aclosing(pages(client, "moderation.audit", **asked)) as told:
        async for page in told:
            tally.add(Tally.from_wire(page["numbers"]))
            add_missing(missing, page["missing"])
    return tally, missing
