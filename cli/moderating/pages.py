"""Pages that a node tells one after another, gathered."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


class Gathered(NamedTuple):
    """All pages.

    Args:
        items: of all of them.
        missing: what did not answer, each once: the numbers of ranges, or nodes.
    """

    items: list[Any]
    missing: list[Any]


async def pages(client: Client, method: str, **params: Any) -> AsyncGenerator[dict[str, Any], None]:
    """The pages that a method tells, one after another; whoever leaves off before the last closes it.

    Args:
        client: connected.
        method: whose pages these are.
        params: what is asked.

    Raises:
        WireError: from the node.
    """
    cursor: dict[str, Any] = {}
    while True:
        page = await client.call(method, {**params, **cursor})
        yield page
        if page["cursor"] is None:
            return
        cursor = {"cursor": page["cursor"]}


def add_missing(missing: list[Any], more: Iterable[Any]) -> None:
    """Add what did not answer to what is known not to have, each once."""
    missing.extend(each for each in dict.fromkeys(more) if each not in missing)


async def all_pages(
    client: Client, method: str, *, name: str = "items", passed_over: set[bytes] | None = None, **params: Any
) -> Gathered:
    """Everything that a method tells.

    Args:
        client: connected.
        method: whose pages these are.
        name: what a page calls what is on it.
        passed_over: is told the ids of the records that do not count.
        params: what is asked.

    Raises:
        WireError: from the node.
    """
    gathered = Gathered([], [])
    async with aclosing(pages(client, method, **params)) as told:
        async for page in told:
            gathered.items.extend(page[name])
            if passed_over is not None:
                passed_over.update(page.get("passed_over", ()))
            add_missing(gathered.missing, page["missing"])
    return gathered
