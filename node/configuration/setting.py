"""What a setting is: the types of its values, its metadata, and the base of the sections they stand in."""

from __future__ import annotations

from typing import Any, Final, Literal, NewType

import msgspec
from folkmoot.node.transport.interface import Address

AccountId = NewType("AccountId", bytes)
"""The 34 bytes of an account; written as `did:key:z…`."""

ByteSize = NewType("ByteSize", int)
"""Bytes; written as a number or as `512MiB`, `10GiB`."""

HostName = NewType("HostName", str)
"""A host name or a literal IP address."""

Applies = Literal["reload", "restart"]

SLUG: Final = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
NODE_ID: Final = "^[0-9a-f]{32}$"
LOOPBACK_ANY: Final = Address("127.0.0.1", 0)


def setting(sentence: str, *, why: str, unit: str = "", applies: Applies = "restart", **bounds: Any) -> Any:
    """The metadata of one setting.

    Args:
        sentence: what it means.
        why: the reason for its default, or for its being required.
        unit: what it counts, empty when it does not.
        applies: what makes a change take effect.
        bounds: constraints in msgspec's words (`ge`, `pattern`, …).
    """
    return msgspec.Meta(description=sentence, extra={"why": why, "unit": unit, "applies": applies}, **bounds)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all sections: immutable, fields by name only."""
