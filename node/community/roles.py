"""Who has which role at this node: by the community's register, or by the node's own configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from folkmoot.node.actors.session import Asker
from folkmoot.node.community.register import Known
from folkmoot.protocol.community.bounds import COMMUNITY_DECIDES_S
from folkmoot.protocol.community.lapses import Lapses
from folkmoot.protocol.community.roles import Member
from folkmoot.protocol.errors import FORBIDDEN, NO_QUORUM, UNAUTHENTICATED, WireError

RETRY_MS: Final = 5_000


class Roles:
    """See the module.

    Args:
        configured: accounts (34 bytes) that the configuration names as operators.
        known: what the community's register held last, as far as this node knows.
        looked_ago_s: how long ago this node last read it.
    """

    def __init__(
        self, configured: Iterable[bytes], known: Callable[[], Known], looked_ago_s: Callable[[], float]
    ) -> None:
        self._configured = frozenset(configured)
        self._known = known
        self._looked_ago_s = looked_ago_s
        self._lapses: tuple[Known, Lapses] | None = None

    def reconfigure(self, configured: Iterable[bytes]) -> None:
        """Have other accounts be operators by configuration."""
        self._configured = frozenset(configured)

    def of(self, account: bytes) -> frozenset[str]:
        """The roles of an account."""
        return frozenset[str](self._member(account).roles(self._known().community))

    def count(self, role: str) -> int:
        """How many accounts the register gives a role, as far as this node knows."""
        return sum(role in each.roles for each in self._known().community.holders)

    def lapses(self) -> Lapses:
        """For how long accounts did not have roles that they had before."""
        known = self._known()
        if self._lapses is None or self._lapses[0] is not known:
            self._lapses = known, Lapses(known.community.lapses)
        return self._lapses[1]

    def check_current(self) -> None:
        """Refuse what takes a role when nobody has told this node of roles for too long.

        Raises:
            WireError: `no_quorum`.
        """
        if self._looked_ago_s() > COMMUNITY_DECIDES_S:
            raise WireError(
                NO_QUORUM,
                f"this node has not heard for {self._looked_ago_s():.0f} s from the seats who has which "
                "role, so nobody decides here: ask another node, or again once it reaches them",
                retry_after_ms=RETRY_MS,
            )

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
