"""What an account wrote, as a node lists it: page by page, and each record checked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """Some of what an account wrote.

    Args:
        records: in the order of their keys; of one cell the oldest first.
        after: what the next page begins after; None when there is none.
    """

    records: list[Record]
    after: bytes | None


async def written_page(client: Client, account: bytes, after: bytes | None, level: str) -> WrittenPage:
    """A page of what an account wrote under its own name; what is private only for who proved to be it.

    Args:
        client: of the cluster.
        account: whose (34 bytes).
        after: what the page before ended with; None for the first.
        level: what reads ask.

    Raises:
        OperatorError: the node sent something else.
        WireError: from the node; a signature does not hold.
    """
    asked = {"account": account, "level": level} | ({} if after is None else {"after": after})
    told = await client.call("account.records", asked)
    records = [Record.from_wire(frame) for frame in told["records"]]
    for record in records:
        record.verify()
        if record.author != account:
            raise OperatorError(f"the node sent a record of {account_to_text(record.author)} instead")
    following = told.get("next")
    if following is not None and (type(following) is not bytes or following <= (after or b"")):
        raise OperatorError("the node's pages do not go on: ask another node")
    return WrittenPage(records, following)
