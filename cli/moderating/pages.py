"""Pages that a node tells one after another, gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


class Gathered(NamedTuple):
    """All pages.

    Args:
        items: of all of them.
        missing: the numbers of ranges that did not answer.
    """

    items: list[Any]
    missing: list[int]


async def all_pages(client: Client, method: str, **params: Any) -> Gathered:
    """Everything that a method tells.

    Raises:
        WireError: from the node.
    """
    gathered = Gathered([], [])
    cursor: dict[str, Any] = {}
    while True:
        page = await client.call(method, {**params, **cursor})
        gathered.items.extend(page["items"])
        gathered.missing.extend(page["missing"])
        if page["cursor"] is None:
            return gathered
        cursor = {"cursor": page["cursor"]}
