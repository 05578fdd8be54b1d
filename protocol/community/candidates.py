"""Which policy document gives way to another: nobody pushes out what others are about to use.

A document that somebody put or sent, and that is not in force, is a candidate. Of one operator, and of one
other node, a node keeps so many; what comes beyond that pushes out the oldest of the same origin. Candidates
that operators put at this node never give way to what other nodes send, or to what is fetched from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from folkmoot.protocol.community.bounds import (
    DOCUMENTS_OF_NODE,
    DOCUMENTS_OF_OPERATOR,
    DOCUMENTS_PUT,
)
from folkmoot.protocol.limits import ACCOUNT_BYTES

Origin = bytes
"""Who brought a document: the account of an operator, or the id of a node."""

FETCHED: Final[Origin] = b""
"""The origin of what this node looked for itself, and of what it has had since before it was started."""


def gives_way(
    origin: Origin, free: Sequence[bytes], brought: Mapping[bytes, Origin], full: bool
) -> bytes | None:
    """Which document goes when another is kept; None when none does, or, where it is full, none may.

    Args:
        origin: who brings it.
        free: those that are kept and not in use, by their hashes, the first kept first.
        brought: by whom.
        full: whether there is no room for one more.
    """
    origins = {each: brought.get(each, FETCHED) for each in free}
    own = [each for each in free if origins[each] == origin and origin != FETCHED]
    put = [each for each in free if len(origins[each]) == ACCOUNT_BYTES]
    sent = [each for each in free if len(origins[each]) != ACCOUNT_BYTES]
    if len(origin) != ACCOUNT_BYTES:
        if len(own) >= DOCUMENTS_OF_NODE:
            return own[0]
        return next(iter(own or sent), None) if full else None
    if len(own) >= DOCUMENTS_OF_OPERATOR:
        return own[0]
    if len(put) >= DOCUMENTS_PUT:
        return (own or put)[0]
    return next(iter(sent or own or put), None) if full else None
