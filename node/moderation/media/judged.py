"""What goes between a node and the process that looks at pictures for it.

Either way a message is its length (4 bytes, big-endian) and MessagePack; a question is followed by the file.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final, Literal

from folkmoot.node.moderation.media.bounds import ANSWER_BYTES, HASHES_TOLD
from folkmoot.protocol.media.manifest import Mime, Size
from msgspec import Meta, Struct

LENGTH: Final = struct.Struct(">I")
HASH_BYTES: Final = 32

Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Unjudged = Literal["no_decoder", "unreadable", "too_large", "too_long", "too_slow", "died"]


class Question(Struct, frozen=True):
    """What is asked of a file.

    Args:
        mime: what it is said to be.
        size: how many bytes follow.
        listed: whether the hashes are for a list; else they are to be looked up in lists.
    """

    mime: Mime
    size: Size
    listed: bool = False


class Judged(Struct, frozen=True):
    """What was seen.

    Args:
        hashes: all that the picture is looked up by, or listed by.
        quality: of the best frame, 0 to 100; frames below `bounds.QUALITY_MIN` have no hashes.
        nsfw: how likely it shows what is not for everybody, 0 to 1, of the worst frame; None without a model.
        unjudged: why nothing was seen; None when all is well.
        whole: whether all frames were looked at.
    """

    hashes: Annotated[list[Hash], Meta(max_length=HASHES_TOLD)] = []
    quality: Annotated[int, Meta(ge=0, le=100)] = 0
    nsfw: Annotated[float, Meta(ge=0, le=1)] | None = None
    unjudged: Unjudged | None = None
    whole: bool = True


assert HASHES_TOLD * (HASH_BYTES + 8) < ANSWER_BYTES
