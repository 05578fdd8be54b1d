"""The custody record of a sealed medium: who found it, opened it, handed it over and erased it, and why.

A record is a file of lines, one an entry, none of which is ever changed or taken away:

    CRC-32 (IEEE) of the rest of the line in eight hexadecimal digits, a blank, the entry as JSON

What is no such line, because a crash has cut it off or the disk has changed it, stays where it is and is
counted; the entries after it are whole all the same.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.limits import POST_MIME_CODE_POINTS
from folkmoot.protocol.media import bounds
from folkmoot.protocol.messages import Account
from msgspec import Meta, Struct

DAY_US: Final = 86_400_000_000
_NAME_CODE_POINTS: Final = 128  # of lists and categories

What = Literal["sealed", "opened", "handed_over", "erased"]
State = Literal["sealed", "handed_over", "erased", "lost"]

Reason = Annotated[str, Meta(max_length=bounds.SEALED_REASON_CODE_POINTS)]
Case = Annotated[str, Meta(max_length=bounds.SEALED_CASE_CODE_POINTS)]
_Named = Annotated[str, Meta(max_length=_NAME_CODE_POINTS)]

_MOST: Final[dict[What, int]] = {
    "opened": bounds.SEALED_OPENED,
    "handed_over": bounds.SEALED_HANDED_OVER,
    "erased": 1,
}


class Found(Struct, frozen=True):
    """What was known of a medium when it was sealed.

    Args:
        list, category: which list knows it, as what.
        entry: the hash in that list.
        distance: in how many of 256 bits the medium's own differs.
        size: in bytes.
        mime: its type.
    """

    list: _Named
    category: _Named
    entry: Annotated[bytes, Meta(max_length=32)]
    distance: Annotated[int, Meta(ge=0, le=256)]
    size: Annotated[int, Meta(ge=0)]
    mime: Annotated[str, Meta(max_length=POST_MIME_CODE_POINTS)]


class Entry(Struct, frozen=True, omit_defaults=True):
    """One line.

    Args:
        what: was done.
        at_us: when, by the node's clock, microseconds since 1970.
        by: who did it (34 bytes); None for the node itself.
        key: with which of their keys they had proven who they are (34 bytes).
        reason: why, in their words.
        case: under which reference it was handed over.
        found: of what was sealed.
    """

    what: What
    at_us: Annotated[int, Meta(ge=0)]
    by: Account | None = None
    key: Account | None = None
    reason: Reason = ""
    case: Case = ""
    found: Found | None = None

    def line(self) -> bytes:
        """As it stands in the record, its end included."""
        body = msgspec.json.encode(self)
        assert b"\n" not in body and len(body) + 10 <= bounds.SEALED_LINE_BYTES
        return b"%08x %s\n" % (zlib.crc32(body), body)

    def to_wire(self) -> dict[str, Any]:
        """As a map."""
        plain: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return plain


class Custody(NamedTuple):
    """A whole record.

    Attributes:
        entries: in the order in which they were written.
        damaged: lines that are none.
    """

    entries: tuple[Entry, ...] = ()
    damaged: int = 0

    @classmethod
    def decode(cls, data: bytes) -> Custody:
        """What a file says; of lines that are none, how many there are."""
        lines = [each for each in data.split(b"\n") if each]
        read = [_entry_of(each) for each in lines]
        entries = tuple(each for each in read if each is not None)
        return cls(entries, len(lines) - len(entries))

    def last(self, what: What) -> Entry | None:
        """The latest entry of a sort."""
        return next((each for each in reversed(self.entries) if each.what == what), None)

    def count(self, what: What) -> int:
        """How many entries of a sort there are."""
        return sum(each.what == what for each in self.entries)

    @property
    def found(self) -> Found | None:
        """What was known of the medium when it was sealed; None when that line is damaged."""
        sealed = self.last("sealed")
        return None if sealed is None else sealed.found

    def state(self, *, is_here: bool) -> State:
        """What became of the medium.

        Args:
            is_here: whether its bytes lie on the disk.
        """
        if self.last("erased") is not None:
            return "erased"
        if not is_here:
            return "lost"
        return "sealed" if self.last("handed_over") is None else "handed_over"

    @property
    def kept_since_us(self) -> int | None:
        """When the time for which the medium is kept began: when it was last handed over, else sealed."""
        since = self.last("handed_over") or self.last("sealed")
        return None if since is None else since.at_us

    def check(self, entry: Entry) -> None:
        """Refuse what may not be done now; the node itself erases what nobody has handed over.

        Raises:
            WireError: `conflict`, saying why.
        """
        what = entry.what
        if self.last("erased") is not None:
            raise WireError(CONFLICT, "this medium was erased; its custody record is all that is left of it")
        if what == "erased" and entry.by is not None and self.last("handed_over") is None:
            raise WireError(
                CONFLICT,
                "this medium was not handed over: hand it over first, or leave it to "
                "screening.sealed_kept_days",
            )
        if (most := _MOST.get(what)) is not None and self.count(what) >= most:
            raise WireError(CONFLICT, f"its custody record has {most} entries of this sort: it takes no more")
        # How it ends is written down whatever else stands there.
        if what == "opened" and len(self.entries) + self.damaged >= bounds.SEALED_LINES:
            raise WireError(CONFLICT, "its custody record is full: hand the medium over, and erase it")


def is_due(kept_since_us: int | None, kept_days: float, now_us: int) -> bool:
    """Whether a sealed medium has been kept for long enough.

    Args:
        kept_since_us: see `Custody`; of what has no such time nobody can say so.
        kept_days: for how long; 0 for ever.
        now_us: microseconds since 1970.
    """
    return bool(kept_days) and kept_since_us is not None and now_us - kept_since_us >= kept_days * DAY_US


def check_words(words: str, what: str) -> str:
    """Somebody's words, without blanks around them.

    Args:
        words: theirs.
        what: they are, as the sentence names it.

    Raises:
        WireError: `bad_request`, when there are none.
    """
    if not (said := words.strip()):
        raise WireError(BAD_REQUEST, f"{what} is asked for, and is empty: it stands in the custody record")
    return said


def _entry_of(line: bytes) -> Entry | None:
    told, _, body = line.partition(b" ")
    if told != b"%08x" % zlib.crc32(body):
        return None
    try:
        return msgspec.json.decode(body, type=Entry)
    except (msgspec.DecodeError, ValueError):
        return None
