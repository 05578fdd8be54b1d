"""What curators were told: pages of searches and of ranked feeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """A post on a page.

    Args:
        author, item: which.
        reposted_ms: when it was reposted, if that is why it is there; milliseconds since 1970.
        why: what its score is made of, where that was told.
    """

    author: bytes
    item: bytes
    reposted_ms: int | None
    why: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that was read to its end.

    Args:
        viewer: who searched.
        word: that was looked for.
        node: the name of the node that was asked last.
        entries: what was found.
        settled: whether it was in the quiet.
    """

    viewer: bytes
    word: str
    node: str
    entries: tuple[Entry, ...]
    settled: bool


@dataclass(frozen=True, slots=True)
class RankedPage:
    """The first page of a ranked feed, with the reasons.

    Args:
        viewer: who looked, at their own feed.
        algorithm: by which: a name, or the account whose it is and the name.
        node: the name of the node that was asked last.
        version: that the answer names.
        as_of_ms: of which time, milliseconds since 1970.
        entries: what is on it.
        complete: whether there is no other page.
        settled: whether it was in the quiet.
    """

    viewer: bytes
    algorithm: str | tuple[bytes, str]
    node: str
    version: bytes
    as_of_ms: int
    entries: tuple[Entry, ...]
    complete: bool
    settled: bool


def entries_of(items: list[dict[str, Any]], refs: list[tuple[bytes, bytes]]) -> tuple[Entry, ...]:
    """The posts on a page: items as they were told, and of each its author and its item."""
    return tuple(
        Entry(author, item, told.get("reposted_ms"), told.get("why"))
        for told, (author, item) in zip(items, refs, strict=True)
    )
