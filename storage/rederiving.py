"""Recomputation: what projections should hold, worked out anew from all cells at once.

It shares with the projector what one cell is made into, and nothing of how changes are applied: what was
forgotten, kept too long or counted twice shows as a difference. Everything is gathered in memory, so this is
for checkers and tests.

Some things it cannot work out, since they depend on the order in which changes came, it takes from what is
kept: below which floor an inbox or a list of notices has nothing, who of a crowd is too old to be listed, and
which authors are merged when pages are built. Whether that is as the bounds have it is another question
(`out_of_bounds`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from folkmoot.protocol import limits
from folkmoot.protocol.key import parse_key, place_prefix
from folkmoot.protocol.projections.entries import (
    INDEXES,
    PUBLIC_BYTES,
    Entry,
    Index,
    Projection,
    account_of,
    entries_of,
    public_of,
)
from folkmoot.protocol.projections.facts import Facts
from folkmoot.protocol.projections.notices import CROWDS, Crowd, Reaction, notices_group, notices_of
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.inboxes import FEWER, Bounds, Keeps, Shown, of_entry, of_post, of_repost
from folkmoot.storage.interface import Table, Transaction
from folkmoot.storage.noticing import floor_of
from folkmoot.storage.projections import HEAD_BYTES, entry_key, tallied, value_at
from folkmoot.storage.rows import unseal

_MEMBER_BYTES = limits.POST_ITEM_BYTES + PUBLIC_BYTES
_SPARE_ROWS = 16  # an inbox is counted now and then
_UNORDERED = frozenset({Index.FLOOR, Index.MERGED, Index.BACKFILL, Index.NOTICES_FLOOR})


class Derived(NamedTuple):
    """Rows of projections, without those that depend on the order of changes.

    Args:
        entries: key → value.
        tallies: key → how many.
    """

    entries: Mapping[bytes, bytes]
    tallies: Mapping[bytes, int]

    def differences(self, other: Derived) -> list[str]:
        """What the other has otherwise; a sentence each."""
        found = []
        for what, mine, theirs in (
            ("entry", self.entries, other.entries),
            ("tally", self.tallies, other.tallies),
        ):
            for key in sorted(mine.keys() | theirs.keys()):
                if mine.get(key) != theirs.get(key):
                    name = Index(key[0]).name.lower()
                    found.append(
                        f"{name}: the {what} at {key.hex()} is {theirs.get(key)!r}, not {mine.get(key)!r}"
                    )
        return found


def kept(transaction: Transaction, live: Mapping[Projection, int], keeps: Keeps) -> Derived:
    """What a store has in its live generations of blocks that its node keeps.

    Damaged rows are left out, and of inboxes what nobody looks at: what is there of merged authors.
    """
    generations = _generations(live)
    merged = _merged(transaction, live[Projection.HOME])
    entries: dict[bytes, bytes] = {}
    for key, value in _whole(transaction, Table.ENTRIES):
        index = Index(key[0])
        if index in _UNORDERED or generations[index] != key[1] or not _is_kept(key, keeps):
            continue
        if index is Index.INBOX and of_entry(key[-_MEMBER_BYTES:], value).by in merged:
            continue
        entries[key] = value
    tallies = {
        key: int.from_bytes(value, "big")
        for key, value in _whole(transaction, Table.TALLIES)
        if generations[Index(key[0])] == key[1] and keeps(key[HEAD_BYTES:])
    }
    return Derived(entries, tallies)


def out_of_bounds(transaction: Transaction, live: Mapping[Projection, int], bounds: Bounds) -> list[str]:
    """What of a store is not as its bounds have it; a sentence each: inboxes that are far too long, and
    authors who should be merged or should not."""
    merged, home = _merged(transaction, live[Projection.HOME]), live[Projection.HOME]
    lengths: Counter[bytes] = Counter()
    for key, _ in _whole(transaction, Table.ENTRIES):
        if key[0] == Index.INBOX and key[1] == home:
            lengths[key[HEAD_BYTES:-_MEMBER_BYTES]] += 1
    most = 2 * bounds.rows_max + _SPARE_ROWS
    found = [f"inbox: {group.hex()} has {rows} entries" for group, rows in lengths.items() if rows > most]
    counts: dict[bytes, int] = dict.fromkeys(merged, 0)
    for key, value in _whole(transaction, Table.TALLIES):
        if key[0] == Index.FOLLOWERS and key[1] == live[Projection.FOLLOWERS]:
            counts[account_of(key[-PUBLIC_BYTES:])] = int.from_bytes(value, "big")
    for account, count in counts.items():
        if count > bounds.followers_max and account not in merged:
            found.append(f"merged: {account.hex()} is not, with {count} followers")
        elif count <= FEWER * bounds.followers_max and account in merged:
            found.append(f"merged: {account.hex()} is, with {count} followers")
    return found


def rederived(
    transaction: Transaction,
    live: Mapping[Projection, int],
    cells: Iterable[tuple[bytes, Facts]],
    keeps: Keeps,
) -> Derived:
    """What a store should have in its live generations.

    Args:
        transaction: sees the store, for its floors and merged authors.
        cells: every cell of the cluster that projections look at.
        keeps: see `Keeps`.
    """
    known = list(cells)
    entries: dict[bytes, bytes] = {}
    for projection in Projection:
        for key, facts in known:
            for entry in entries_of(projection, parse_key(key), facts):
                if any(map(keeps, entry.places(key))):
                    at = entry_key(entry.into, live[projection], entry.group, entry.member)
                    entries[at] = entry.value
    entries |= _inboxes(transaction, live[Projection.HOME], known, keeps)
    entries |= _notices(transaction, live[Projection.NOTIFICATIONS], known, keeps)
    tallies: dict[bytes, int] = {}
    for at in entries:
        if (group := tallied(at)) is not None and keeps(at[HEAD_BYTES:]):
            tallies[group] = tallies.get(group, 0) + 1
    return Derived(entries, tallies)


def _is_kept(key: bytes, keeps: Keeps) -> bool:
    """Whether an entry belongs to what a node keeps."""
    if keeps(key[HEAD_BYTES:]):
        return True
    return key[0] == Index.FOLLOWERS and keeps(place_prefix(account_of(key[-PUBLIC_BYTES:])))


def _inboxes(
    transaction: Transaction, generation: int, cells: list[tuple[bytes, Facts]], keeps: Keeps
) -> dict[bytes, bytes]:
    merged = _merged(transaction, generation)
    shown: dict[bytes, list[Shown]] = {}
    follows: list[tuple[bytes, bytes]] = []
    for key, facts in cells:
        place, kind, item = parse_key(key)
        if not facts.on:
            continue
        if kind == "post":
            shown.setdefault(place, []).append(of_post(place, item))
        elif kind == "repost":
            post, reposter = item[: limits.POST_ITEM_BYTES], item[limits.POST_ITEM_BYTES :]
            shown.setdefault(reposter, []).append(of_repost(reposter, facts.stamp, place, post))
        elif kind == "follow" and item != place and keeps(place_prefix(place)):
            follows.append((place, item))
    inboxes: dict[bytes, bytes] = {}
    for follower, account in follows:
        group = place_prefix(follower)
        floor = value_at(transaction, Table.ENTRIES, entry_key(Index.FLOOR, generation, group)) or b""
        if account not in merged:
            for each in shown.get(account, ()):
                if each.at >= floor:
                    inboxes[entry_key(Index.INBOX, generation, group, each.at)] = each.entry[1]
    return inboxes


def _notices(
    transaction: Transaction, generation: int, cells: list[tuple[bytes, Facts]], keeps: Keeps
) -> dict[bytes, bytes]:
    made: list[Entry] = []
    crowds: dict[tuple[bytes, bytes], list[Reaction]] = {}
    for key, facts in cells:
        parts = parse_key(key)
        if parts.kind not in CROWDS:
            made += notices_of(parts, facts)
            continue
        post, who = parts.item[: limits.POST_ITEM_BYTES], parts.item[limits.POST_ITEM_BYTES :]
        if who != parts.place:
            crowd = crowds.setdefault((notices_group(parts.place, CROWDS[parts.kind]), post), [])
            crowd += [Reaction(facts.told_us, public_of(who))] if facts.on else []
    for (group, post), reactions in crowds.items():
        at = entry_key(Index.NOTICES, generation, group, post)
        below = Crowd.decode(value_at(transaction, Table.ENTRIES, at) or b"").below
        newest = sorted((each for each in reactions if below is None or each > below), reverse=True)
        if newest or below is not None:
            made.append(Entry(Index.NOTICES, group, post, Crowd(tuple(newest), below).encode()))
    return {
        entry_key(Index.NOTICES, generation, entry.group, entry.member): entry.value
        for entry in made
        if keeps(entry.group) and entry.member >= floor_of(transaction, generation, entry.group, entry.member)
    }


def _merged(transaction: Transaction, generation: int) -> set[bytes]:
    start, stop = bytes((Index.MERGED, generation)), bytes((Index.MERGED, generation)) + b"\xff" * 64
    return {account_of(key[-PUBLIC_BYTES:]) for key, _ in transaction.scan(Table.ENTRIES, start, stop)}


def _whole(transaction: Transaction, table: Table) -> Iterator[tuple[bytes, bytes]]:
    for key, row in transaction.scan(table):
        with suppress(StoreCorrupt):
            yield key, unseal(table, key, row)


def _generations(live: Mapping[Projection, int]) -> dict[Index, int]:
    return {index: live[projection] for projection, indexes in INDEXES.items() for index in indexes}
