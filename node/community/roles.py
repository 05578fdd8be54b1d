"""Who has which role at this node: by the community's register, or by the node's own configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from folkmoot.node.actors.session import Asker
from folkmoot.node.community.register import Known
from folkmoot.protocol.community.roles import Member
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, WireError


class Roles:
    """See the module.

    Args:
        configured: accounts (34 bytes) that the configuration names as operators.
        known: what the community's register held last, as far as this node knows.
    """

    def __init__(self, configured: Iterable[bytes], known: Callable[[], Known]) -> None:
        self._configured = frozenset(configured)
        self._known = known

    def reconfigure(self, configured: Iterable[bytes]) -> None:
        """Have other accounts be operators by configuration."""
        self._configured = frozenset(configured)

    def of(self, account: bytes) -> frozenset[str]:
        """The roles of an account."""
        return frozenset[str](self._member(account).roles(self._known().community))

    def count(self, role: str) -> int:
        """How many accounts the register gives a role, as far as this node knows."""
        return sum(role in each.roles for each in self._known().community.holders)

    def member(self, asker: Asker, wanted: Iterable[str], what: str) -> Member:
        """Who asks for a change, if they have one of the roles for it here; the register decides.

        Raises:
            WireError: `unauthenticated` or `forbidden`.
        """
        roles = sorted(wanted)
        *first, last = (f"{role}s" for role in roles)
        whom = " and ".join([", ".join(first), last]) if first else last
        if asker.account is None:
            raise WireError(UNAUTHENTICATED, f"{what} are for {whom}: send auth first")
        if not asker.roles.intersection(roles):
            raise WireError(FORBIDDEN, f"{what} are for {whom}, and this account is none of them")
        return self._member(asker.account)

    def _member(self, account: bytes) -> Member:
        return Member(account, account in self._configured)
