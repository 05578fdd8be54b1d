"""Who may answer a post and who may quote it: what its author said, and what is known of who follows whom.

A post says so in its body (`reply_from`, `quote_from`), and the first post of a thread says it for the whole
thread. Nodes keep what others write all the same, since only its author can take a record back: a control is
applied when a page is built, and it is applied with what is so *then*. Somebody who is followed no more is
not heard any more, and an author who relaxes a control lets show again what it hid.

What is allowed is a question about edges (who follows, who blocks), and those are cells. So first it is said
which edges matter, and then decided with those of them that are on; one that could not be found is off.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import StrEnum
from typing import Any, Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.limits import POST_MENTIONS

Body = Mapping[str, Any]

REPLY_FROM: Final = "reply_from"
QUOTE_FROM: Final = "quote_from"


class Control(StrEnum):
    """Whom an author allows; the author, always."""

    EVERYONE = "everyone"
    FOLLOWING = "following"  # whom the author follows or the post mentions
    FOLLOWERS = "followers"  # who follows the author or is mentioned
    MENTIONED = "mentioned"
    NOBODY = "nobody"


class Edge(NamedTuple):
    """A flag of one account about another; as a key: `cell_key(edge.author, edge.kind, edge.other)`.

    Args:
        kind: `follow` or `block`.
        author: who says it (34 bytes).
        other: about whom (34 bytes).
    """

    kind: str
    author: bytes
    other: bytes


_VALUES: Final = frozenset(Control)
_NAMES: Final = ", ".join(Control)


def check_controls(body: Body) -> None:
    """Check what a post's body says about this.

    Raises:
        WireError: `bad_request`, when it is not one of the words, or mentions are no accounts.
    """
    for name in (REPLY_FROM, QUOTE_FROM):
        if name in body and (type(body[name]) is not str or body[name] not in _VALUES):
            raise WireError(BAD_REQUEST, f"{name} is one of {_NAMES}")
    mentions = body.get("mentions", [])
    if type(mentions) is not list or len(mentions) > POST_MENTIONS or not all(map(is_account, mentions)):
        raise WireError(BAD_REQUEST, f"mentions is a list of at most {POST_MENTIONS} accounts of 34 bytes")


def edges_asked(name: str, body: Body, owner: bytes, writer: bytes) -> list[Edge]:
    """Which edges decide whether `writer` may answer (or quote) a post.

    Args:
        name: `reply_from` or `quote_from`.
        body: the post's.
        owner: its author (34 bytes).
        writer: who answered or quoted it (34 bytes).
    """
    if writer == owner:
        return []
    asked = [Edge("block", owner, writer)]
    control = body.get(name)
    if control == Control.FOLLOWING:
        asked.append(Edge("follow", owner, writer))
    elif control == Control.FOLLOWERS:
        asked.append(Edge("follow", writer, owner))
    return asked


def allows(name: str, body: Body, owner: bytes, writer: bytes, edges: Set[Edge]) -> bool:
    """Whether `writer` may answer (or quote) a post; nobody may whom its author blocks.

    Args:
        name, body, owner, writer: as in `edges_asked`.
        edges: those that are on, of the ones it named.
    """
    if writer == owner:
        return True
    if edges and Edge("block", owner, writer) in edges:
        return False
    control = body.get(name)
    if control is None or control == Control.EVERYONE:
        return True
    if control == Control.NOBODY:
        return False
    if writer in body.get("mentions", ()):
        return True
    if control == Control.FOLLOWING:
        return Edge("follow", owner, writer) in edges
    return control == Control.FOLLOWERS and Edge("follow", writer, owner) in edges
