"""People and policies for tests of the community's rules."""

from __future__ import annotations

import hashlib
from typing import Final

from folkmoot.protocol.community.activation import Activation
from folkmoot.protocol.community.roles import Member
from folkmoot.protocol.community.value import ALL_PERCENT, Community, Holder, Role

NOW: Final = 1_767_225_600_000


def account(number: int) -> bytes:
    return b"\xed\x01" + bytes([number]) * 32


def somebody(number: int, *, configured: bool = False) -> Member:
    return Member(account(number), configured)


def document(name: str) -> bytes:
    """The hash of a document."""
    return hashlib.sha256(name.encode()).digest()


def community(**roles: tuple[Role, ...]) -> Community:
    """A community in which `_1` and so on have these roles."""
    holders = (Holder(account(int(name[1:])), held) for name, held in roles.items())
    return Community(holders=tuple(sorted(holders, key=lambda each: each.account)))


def to(
    present: Community,
    name: str | None,
    *,
    percent: int = ALL_PERCENT,
    replaces: int | None = None,
    adds: tuple[str, ...] = (),
) -> Activation:
    """A change to a document, made for what is in force unless it says otherwise."""
    policy = present.policy
    hash = None if name is None else document(name)
    return Activation(hash, percent, policy.epoch if replaces is None else replaces, policy.settled, adds)
