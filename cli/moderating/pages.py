"""Pages that a node tells one after another, gathered."""

from __future__ import annotations

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


async def all_pages(client: Client, method: str, *, name: str = "items", **params: Any) -> Gathered:
    """Everything that a method tells.

    Args:
        client: connected.
        method: whose pages these are.
        name: what a page calls what is on it.
        params: what is asked.

    Raises:
        WireError: from the node.
    """
    gathered = Gathered([], [])
    cursor: dict[str, Any] = {}
    while True:
        page = await client.call(method, {**params, **cursor})
        gathered.items.extend(page[name])
        gathered.missing.extend(each for each in page["missing"] if each not in gathered.missing)
        if page["cursor"] is None:
            return gathered
        cursor = {"cursor": page["cursor"]}
