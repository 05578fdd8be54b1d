"""Who may give and take which role: pure functions from the community as it is to one change later.

    role        may give and take                       needs
    operator    operator, moderator, expert             nothing more
    moderator   expert                                  to be an expert
    expert      nothing

Everybody may give up a role of their own. The last operator that the register names stays one, whoever asks:
a community in which nobody is an operator could never change again. Operators whom a node's configuration
names are operators wherever that node is asked; that is how the first roles come about, and the way back in
for whoever runs the machines.
"""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

import msgspec
from folkmoot.protocol.community.lapses import lost, regained
from folkmoot.protocol.community.value import (
    EXPERT,
    MODERATOR,
    OPERATOR,
    Change,
    Community,
    Holder,
    Lapse,
    Role,
)
from folkmoot.protocol.errors import CONFLICT, FORBIDDEN, WireError

ROLES: Final[tuple[Role, ...]] = get_args(Role)
_MAY_GRANT: Final[dict[Role, frozenset[Role]]] = {
    OPERATOR: frozenset(ROLES),
    MODERATOR: frozenset({EXPERT}),
    EXPERT: frozenset(),
}


SECOND: Final = frozenset({OPERATOR, MODERATOR})
"""Those who can be the second person that a change of policy takes."""


class Member(NamedTuple):
    """Who asks for a change.

    Attributes:
        account: proven by `auth`.
        configured: whether the configuration of the node that is asked names it as an operator.
    """

    account: bytes
    configured: bool

    def roles(self, community: Community) -> frozenset[Role]:
        """The roles they have, as things stand."""
        return community.roles_of(self.account) | ({OPERATOR} if self.configured else frozenset())


def granted(
    present: Community, account: bytes, role: Role, by: Member, now_ms: int, reason: str
) -> Community:
    """With a role given to an account; the same when it has it.

    Raises:
        WireError: `forbidden`.
    """
    _check(present, role, by)
    roles = present.roles_of(account)
    if role in roles:
        return present
    change = Change(now_ms, by.account, "granted", reason, account=account, role=role)
    lapses = regained(present.lapses, account, role, now_ms)
    return _with_roles(present, account, roles | {role}, now_ms, lapses).noting(change)


def revoked(
    present: Community, account: bytes, role: Role, by: Member, now_ms: int, reason: str
) -> Community:
    """With a role taken from an account; the same when it has it not.

    Raises:
        WireError: `forbidden`; `conflict`, when it is the last operator.
    """
    roles = present.roles_of(account)
    if account != by.account or role not in roles:
        _check(present, role, by)
    if role not in roles:
        return present
    if role == OPERATOR and sum(OPERATOR in each.roles for each in present.holders) == 1:
        raise WireError(
            CONFLICT, "this is the last operator that the community has: make another account one first"
        )
    change = Change(now_ms, by.account, "revoked", reason, account=account, role=role)
    lapses = lost(present.lapses, account, role, now_ms)
    return _with_roles(present, account, roles - {role}, now_ms, lapses).noting(change)


def _check(present: Community, role: Role, by: Member) -> None:
    """Raise `forbidden` unless somebody may give and take a role."""
    roles = by.roles(present)
    if not any(role in _MAY_GRANT[each] for each in roles):
        also = " or moderators who are experts" if role in _MAY_GRANT[MODERATOR] else ""
        raise WireError(FORBIDDEN, f"the role {role} is given and taken by operators{also}")
    if OPERATOR not in roles and role not in roles:
        raise WireError(FORBIDDEN, f"nobody gives or takes what they lack, and this account is no {role}")


def _with_roles(
    present: Community, account: bytes, roles: frozenset[Role], now_ms: int, lapses: tuple[Lapse, ...]
) -> Community:
    others = [each for each in present.holders if each.account != account]
    ordered = tuple(each for each in ROLES if each in roles)
    before = present.holder(account)
    could = before is not None and not SECOND.isdisjoint(before.roles)
    since_ms = before.since_ms if before is not None and could else now_ms
    holders = [*others, Holder(account, ordered, since_ms)] if ordered else others
    ordered_holders = tuple(sorted(holders, key=lambda each: each.account))
    return msgspec.structs.replace(present, holders=ordered_holders, lapses=lapses)
