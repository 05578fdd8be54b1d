"""What an account wrote, as nodes list it: page by page, and each record checked here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level

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
    return _page(await client.call("account.records", asked), account, after)


async def reaction_page(client: Client, account: bytes, start: bytes, level: str) -> WrittenPage:
    """A page of what an account wrote under others' places; for who proved to be the account.

    Args:
        client: of the cluster.
        account: whose (34 bytes).
        start: where in the key space; what the page before ended with.
        level: what reads ask.

    Raises:
        OperatorError, WireError: as `written_page`.
    """
    asked = {"account": account, "level": level, "start": start}
    return _page(await client.call("account.reactions", asked), account, start)


def _page(told: dict[str, Any], account: bytes, after: bytes | None) -> WrittenPage:
    records = [Record.from_wire(frame) for frame in told["records"]]
    for record in records:
        record.verify()
        if record.author != account:
            raise OperatorError(f"the node sent a record of {account_to_text(record.author)} instead")
    following = told.get("next")
    if following is not None and (type(following) is not bytes or following <= (after or b"")):
        raise OperatorError("the node's pages do not go on: ask another node")
    return WrittenPage(records, following)


EVERYWHERE: Final[Level] = "all"
AT_LEAST: Final[Level] = "quorum"


class Listing:
    """Everything an account wrote that can be found: under its own name, then under others' places.

    Attributes:
        level: what reads ask: every replica, until one cannot answer; then a majority.

    Args:
        client: of the cluster; it has proved to be the account.
        account: whose (34 bytes).
        level: to begin with.
        note: told when it is lowered.
    """

    def __init__(self, client: Client, account: bytes, level: Level, note: Callable[[str], None]) -> None:
        self.level = level
        self._client = client
        self._account = account
        self._note = note
        self._after: bytes | None = None
        self._start: bytes | None = None  # in the key space, once what is under its own name was listed
        self._ended = False

    async def next(self) -> list[Record] | None:
        """The next page, which may be empty; None after the last one.

        Raises:
            OperatorError, WireError: it cannot be listed.
        """
        if self._ended:
            return None
        try:
            page = await self._next()
        except WireError as error:
            if error.kind is not LEVEL_UNREACHABLE or self.level == AT_LEAST:
                raise
            self.level = AT_LEAST
            self._note("not every replica can be asked what it has: a majority is")
            page = await self._next()
        if self._start is None:
            self._after = page.after
            self._start = b"" if page.after is None else None
        elif page.after is None:
            self._ended = True
        else:
            self._start = page.after
        return page.records

    async def _next(self) -> WrittenPage:
        if self._start is None:
            return await written_page(self._client, self._account, self._after, self.level)
        return await reaction_page(self._client, self._account, self._start, self.level)
