"""The notices of an account, as this node has them: where each stands, newest first.

Each sort is a list of its own (see `protocol.projections.notices`); here they are one. A place is the time of
the newest that a notice is about, the sort, and what tells it from others. Who joins a crowd moves it up.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.projections import bounds
from folkmoot.protocol.projections.entries import Index, Projection
from folkmoot.protocol.projections.notices import (
    CROWDS,
    SORT_BYTES,
    Sort,
    latest_in,
    moment,
    notices_group,
    sort_of,
    time_us_of,
)
from folkmoot.storage import projections
from folkmoot.storage.interface import Transaction
from folkmoot.storage.projections import Member
from folkmoot.storage.store import Store

_PLACE_BYTES: Final = range(SORT_BYTES + 1, SORT_BYTES + 1 + 64)
_AFTER_ALL: Final = b"\xff" * 64
_CROWD_SORTS: Final = tuple(CROWDS.values())


class Notice(NamedTuple):
    """A notice in its place.

    Args:
        at: where; what is greater is newer.
        sort: what it is about.
        member, value: of its entry.
    """

    at: bytes
    sort: Sort
    member: bytes
    value: bytes

    @property
    def time_us(self) -> int:
        """The time by which it stands here, microseconds since 1970."""
        return time_us_of(self.at)

    @property
    def name(self) -> bytes:
        """See `live.HasPlace`: a crowd moves up."""
        return bytes((self.sort,)) + self.member

    @classmethod
    def of_entry(cls, sort: Sort, member: bytes, value: bytes) -> Notice | None:
        """The notice that an entry of a sort makes; None for a crowd that never was."""
        head, rest = member[:SORT_BYTES], member[SORT_BYTES:]
        if sort in _CROWD_SORTS:
            latest = latest_in(value)
            if latest is None:
                return None
            head, rest = moment(latest.stamp, member + latest.public), member
        return cls(head + bytes((sort,)) + rest, sort, member, value)


def check_place(at: bytes) -> None:
    """Check the place that a cursor names.

    Raises:
        WireError: `bad_request`: no notice can stand there.
    """
    if len(at) not in _PLACE_BYTES:
        raise WireError(BAD_REQUEST, "the cursor names no place among notifications")


def groups_of(account: bytes, labellers: Iterable[bytes]) -> list[bytes]:
    """The groups of all notices that an account may be shown.

    Args:
        account: whose (34 bytes).
        labellers: whose labels are among them.
    """
    groups = [notices_group(account, sort) for sort in Sort if sort is not Sort.LABEL]
    return groups + [notices_group(account, Sort.LABEL, labeller) for labeller in labellers]


class NoticeList:
    """See the module; made for one look at the list, since crowds are read once.

    Args:
        store: this node's.
        account: whose (34 bytes); its place is kept here.
        labellers: whose labels are among them.
    """

    def __init__(self, store: Store, account: bytes, labellers: Iterable[bytes]) -> None:
        self._store = store
        self._groups = groups_of(account, labellers)
        self._account = account
        self._crowds: list[Notice] | None = None

    async def places(self, after: bytes | None, limit: int) -> list[Notice]:
        """The next notices after a place; fewer than `limit` at the end."""
        with self._store.engine.begin() as transaction:
            if self._crowds is None:
                self._crowds = sorted(self._read_crowds(transaction), reverse=True)
            singles = [
                self._singles(transaction, sort, group, after, limit)
                for group in self._groups
                if (sort := sort_of(group)) not in _CROWD_SORTS
            ]
        crowds = (each for each in self._crowds if after is None or each.at < after)
        return list(islice(heapq.merge(crowds, *singles, reverse=True), limit))

    def _singles(
        self, transaction: Transaction, sort: Sort, group: bytes, after: bytes | None, limit: int
    ) -> list[Notice]:
        found = projections.newest(
            transaction,
            Index.NOTICES,
            self._store.live[Projection.NOTIFICATIONS],
            group,
            before=None if after is None else _before(after, sort),
            limit=limit,
        )
        return _notices(sort, found)

    def _read_crowds(self, transaction: Transaction) -> Iterator[Notice]:
        generation = self._store.live[Projection.NOTIFICATIONS]
        most = limits.PROJECTED_LATEST + bounds.NOTICES_SPARE
        for sort in _CROWD_SORTS:
            group = notices_group(self._account, sort)
            yield from _notices(
                sort, projections.members(transaction, Index.NOTICES, generation, group, limit=most)
            )


def _notices(sort: Sort, found: Iterable[Member]) -> list[Notice]:
    made = (Notice.of_entry(sort, *each) for each in found)
    return [each for each in made if each is not None]


def _before(at: bytes, sort: Sort) -> bytes:
    """The member of one sort before which all stand that come after a place."""
    head, of = at[:SORT_BYTES], at[SORT_BYTES]
    if sort == of:
        return head + at[SORT_BYTES + 1 :]
    return head + _AFTER_ALL if sort < of else head
