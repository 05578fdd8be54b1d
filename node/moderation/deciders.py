"""Who may decide: the one place in which roles become the right to review what others wrote.

A decision says in which role it was made. Whether its author has that role is asked where it comes in, at the
gate, as it is asked whether a key may sign; nothing that was let in is judged by it again. What policies
decide is said by the accounts of the cluster's own nodes, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from folkmoot.node.actors.session import Asker
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.moderation.decision import KIND, Role, parse_decision
from folkmoot.protocol.moderation.sampling import KIND as VOTE
from folkmoot.protocol.moderation.sampling import Answer, Draw, parse_sampling
from folkmoot.protocol.record import Record


class Deciders:
    """See the module.

    Args:
        roles_of: the roles that an account (34 bytes) has now.
        services: the accounts of the cluster's nodes.
    """

    def __init__(
        self, roles_of: Callable[[bytes], Collection[str]], services: Callable[[], Collection[bytes]]
    ) -> None:
        self._roles_of = roles_of
        self._services = services

    def roles_of(self, account: bytes) -> frozenset[Role]:
        """In which roles an account (34 bytes) may decide."""
        given = self._roles_of(account)
        is_ours = account in self._services()
        return frozenset(role for role in Role if (is_ours if role is Role.AUTOMATIC else role.word in given))

    def reviews(self, account: bytes) -> bool:
        """Whether an account (34 bytes) is somebody's who may decide."""
        return any(role is not Role.AUTOMATIC for role in self.roles_of(account))

    def refusal(self, record: Record) -> WireError | None:
        """Why a record is not let in: it is a decision of somebody who may not make it, or says something of
        what was drawn for a blind review."""
        what, role = "a decision", None
        if record.kind == KIND:
            role = parse_decision(record.item, record.body).role
        elif record.kind == VOTE:
            said = parse_sampling(record.item, record.body)
            what = "a draw" if isinstance(said, Draw) else "an answer"
            role = said.role if isinstance(said, Answer) else None if said is None else Role.AUTOMATIC
        if role is None or role in self.roles_of(record.author):
            return None
        return WireError(FORBIDDEN, f"{what} as {role.word}: this account does not have that role here")

    def reviewers_only(self, asker: Asker, what: str) -> bytes:
        """Let those pass who may decide; who it is.

        Args:
            asker: who asks.
            what: what is asked for, in the plural, as the sentence begins.

        Raises:
            WireError: `unauthenticated` or `forbidden`, for everybody else.
        """
        if asker.account is None:
            raise WireError(UNAUTHENTICATED, f"{what} are for moderators: send auth first")
        if not self.reviews(asker.account):
            raise WireError(FORBIDDEN, f"{what} are for moderators; this account has no role here")
        return asker.account
