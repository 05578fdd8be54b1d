"""What a viewer wants to see, as their own records say: whom they follow and block, what they mute, and whose
labels they heed.

A viewer is made from the surviving records of cells of the kinds below, in any order, and is the same for
every order. A cell may have several survivors (see `protocol.crdt.flag`): a flag is on when
any of them says on, and of several mutes of the same thing each counts, so the longest and widest is felt.

Of each sort the newest are kept, as many as the limits say; which sorts had more is told.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from folkmoot.protocol.feed.labelling import NO_LABELLING, Labelling, labelling_of
from folkmoot.protocol.feed.mute import AccountMute, Mute, ThreadMute, WordMute, parse_mute
from folkmoot.protocol.feed.words import MutedWords, normal_word
from folkmoot.protocol.limits import VIEWER_EDGES, VIEWER_WORDS
from folkmoot.protocol.record import Record

KINDS: Final = ("follow", "mute", "block", "preference")
"""The kinds of record a viewer is made from; see `labelling` for the preferences that count."""


class Muted(NamedTuple):
    """An account is muted, until when (microseconds since 1970) in each respect.

    Args:
        posts_until_us: its own posts.
        reposts_until_us: what it reposts; never earlier.
    """

    posts_until_us: int
    reposts_until_us: int


_NO_WORDS: Final = MutedWords({})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody a page is made for. What has an end is kept with it: the page asks what time it is.

    Args:
        account: 34 bytes; None for the public view.
        follows: the accounts followed.
        blocks: the accounts blocked.
        blocked_by: accounts known to block this one; others are asked about (see `Audience.edges_asked`).
        accounts: the accounts muted.
        threads: author and item of a muted thread's first post → until when.
        words: the words muted.
        labelling: whose labels are heeded.
        cut: the sorts (`follow`, `block`, `account`, `thread`, `word`, `labeller`) of which there were too
            many to keep.
    """

    account: bytes | None = None
    follows: frozenset[bytes] = frozenset()
    blocks: frozenset[bytes] = frozenset()
    blocked_by: frozenset[bytes] = frozenset()
    accounts: Mapping[bytes, Muted] = field(default_factory=dict)
    threads: Mapping[bytes, int] = field(default_factory=dict)
    words: MutedWords = _NO_WORDS
    labelling: Labelling = NO_LABELLING
    cut: frozenset[str] = frozenset()


PUBLIC: Final = Viewer()
"""Nobody in particular: only what authors said about their own posts applies."""


def viewer_of(
    account: bytes, records: Iterable[Record], now_us: int, blocked_by: frozenset[bytes] = frozenset()
) -> Viewer:
    """A viewer, from their own records.

    Args:
        account: whose (34 bytes); records of others and of other kinds are passed by.
        records: the survivors of the account's cells of the kinds above. Read once, one by one.
        now_us: microseconds since 1970; what ended before counts towards no limit.
        blocked_by: see `Viewer`.
    """
    said = _Said()
    for record in records:
        if record.author == account:
            said.take(record, now_us)
    return said.viewer(account, blocked_by)


_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class _Newest(Generic[_Key, _Value]):
    """Up to so many entries, those said last.

    Args:
        limit: how many; twice as many are held on the way.
    """

    def __init__(self, limit: int) -> None:
        self.cut = False
        self._limit = limit
        self._entries: dict[_Key, tuple[int, _Value]] = {}

    def get(self, key: _Key, default: _Value) -> _Value:
        """What is held of `key`."""
        entry = self._entries.get(key)
        return default if entry is None else entry[1]

    def add(self, key: _Key, value: _Value, stamp: int) -> None:
        """Hold `value`, in the place of what was held of `key`."""
        entry = self._entries.get(key)
        self._entries[key] = (stamp if entry is None else max(stamp, entry[0]), value)
        if len(self._entries) >= 2 * self._limit:
            self._cut()

    def kept(self) -> dict[_Key, _Value]:
        """The newest."""
        if len(self._entries) > self._limit:
            self._cut()
        return {key: value for key, (_, value) in self._entries.items()}

    def _cut(self) -> None:
        self.cut = True
        newest = sorted(self._entries.items(), key=lambda entry: entry[1][0], reverse=True)
        self._entries = dict(newest[: self._limit])


class _Said:
    """All that a viewer has said, so far as it has been read."""

    def __init__(self) -> None:
        self._follows: _Newest[bytes, bool] = _Newest(VIEWER_EDGES)
        self._blocks: _Newest[bytes, bool] = _Newest(VIEWER_EDGES)
        self._accounts: _Newest[bytes, Muted] = _Newest(VIEWER_EDGES)
        self._threads: _Newest[bytes, int] = _Newest(VIEWER_EDGES)
        self._words: _Newest[str, int] = _Newest(VIEWER_WORDS)
        self._preferences: list[Record] = []

    def take(self, record: Record, now_us: int) -> None:
        """Read a record; a flag that is off says nothing."""
        if record.kind == "preference":
            self._preferences.append(record)
        elif record.body.get("on") is True:
            self._switched_on(record, now_us)

    def _switched_on(self, record: Record, now_us: int) -> None:
        if record.kind == "follow":
            self._follows.add(record.item, True, record.stamp)
        elif record.kind == "block":
            self._blocks.add(record.item, True, record.stamp)
        elif record.kind == "mute":
            mute = parse_mute(record.item, record.body)
            if mute.until_us > now_us:
                self._mute(mute, record.stamp)

    def _mute(self, mute: Mute, stamp: int) -> None:
        match mute:
            case AccountMute(other, until_us, reposts_only):
                said = Muted(0 if reposts_only else until_us, until_us)
                held = self._accounts.get(other, said)
                self._accounts.add(other, Muted(*map(max, held, said)), stamp)
            case ThreadMute(thread, until_us):
                self._threads.add(thread, max(until_us, self._threads.get(thread, 0)), stamp)
            case WordMute(written, until_us):
                if word := normal_word(written):
                    self._words.add(word, max(until_us, self._words.get(word, 0)), stamp)

    def viewer(self, account: bytes, blocked_by: frozenset[bytes]) -> Viewer:
        """What it adds up to."""
        sorts: dict[str, _Newest[Any, Any]] = {
            "follow": self._follows,
            "block": self._blocks,
            "account": self._accounts,
            "thread": self._threads,
            "word": self._words,
        }
        kept = {name: sort.kept() for name, sort in sorts.items()}
        labelling = labelling_of(self._preferences)
        cut = {name for name, sort in sorts.items() if sort.cut}
        return Viewer(
            account,
            frozenset(kept["follow"]),
            frozenset(kept["block"]),
            blocked_by,
            kept["account"],
            kept["thread"],
            MutedWords(kept["word"]),
            labelling,
            frozenset(cut | {"labeller"} if labelling.cut else cut),
        )
