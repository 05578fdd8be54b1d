"""Who may decide: the one place in which roles become the right to review what others wrote.

A decision says in which role it was made. Whether its author has that role is asked where it comes in, at the
gate, as it is asked whether a key may sign, by what this node last heard of roles, which may not be long ago.
Should they have lost it by then, what they decided is passed over wherever that is known (see
`protocol.community.lapses`): for that a decision must be dated near this node's own clock. What policies
decide is said by the accounts of the cluster's own nodes, and by nobody else.

The gate takes no decision that was not looked at together with what it is about (see `methods`): whoever may
decide could otherwise release what nobody has seen, or bury what others decided under thousands of decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from folkmoot.node.actors.session import Asker
from folkmoot.protocol.community.lapses import Lapses
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.moderation.bounds import DECISION_BEHIND_MS
from folkmoot.protocol.moderation.decision import KIND, Decision, Role, Subject, parse_decision
from folkmoot.protocol.moderation.sampling import KIND as VOTE
from folkmoot.protocol.moderation.sampling import Draw, parse_sampling
from folkmoot.protocol.record import Record


class RolesKnown(Protocol):
    """See `community.roles.Roles`."""

    def of(self, account: bytes) -> Collection[str]: ...

    def lapses(self) -> Lapses: ...

    def check_current(self) -> None: ...


class Deciders:
    """See the module.

    Args:
        roles: who has which role now, and had.
        services: the accounts of the cluster's nodes.
        now_us: this node's wall clock, microseconds since 1970.
    """

    def __init__(
        self, roles: RolesKnown, services: Callable[[], Collection[bytes]], now_us: Callable[[], int]
    ) -> None:
        self._roles = roles
        self._services = services
        self._now_us = now_us
        self._under_way: dict[tuple[bytes, bytes, Subject], bytes] = {}

    def roles_of(self, account: bytes) -> frozenset[Role]:
        """In which roles an account (34 bytes) may decide."""
        given = self._roles.of(account)
        is_ours = account in self._services()
        return frozenset(role for role in Role if (is_ours if role is Role.AUTOMATIC else role.word in given))

    def reviews(self, account: bytes) -> bool:
        """Whether an account (34 bytes) is somebody's who may decide."""
        return any(role is not Role.AUTOMATIC for role in self.roles_of(account))

    def refusal(self, record: Record) -> WireError | None:
        """Why a record is not let in: it is a decision that nobody may make so, or that was not looked at, or
        says something of what was drawn for a blind review."""
        if record.kind == KIND:
            decision = parse_decision(record.item, record.body)
            if self._under_way.get((record.author, record.place, decision.subject)) == record.id:
                return None
            return self.not_theirs(decision) or WireError(
                BAD_REQUEST, "decisions are taken by moderation.decide, which looks at what they are about"
            )
        said = parse_sampling(record.item, record.body) if record.kind == VOTE else None
        if isinstance(said, Draw):
            return self._refusal("a draw", Role.AUTOMATIC, record.author)
        return None if said is None else self._refusal("an answer", said.role, record.author)

    def not_theirs(self, decision: Decision) -> WireError | None:
        """Why an account may not make a decision: it does not have the role."""
        return self._refusal("a decision", decision.role, decision.decider)

    def check_new(self, decision: Decision) -> None:
        """Refuse a person's decision that this node cannot answer for, and that is not kept yet.

        Raises:
            WireError: `no_quorum`, when it is too long that this node heard of roles; `bad_request`, when the
                decision is dated too long ago; `forbidden`, when its decider did not have the role then.
        """
        self._roles.check_current()
        behind_ms = (self._now_us() - decision.number) // 1_000
        if behind_ms > DECISION_BEHIND_MS:
            raise WireError(
                BAD_REQUEST,
                f"the decision is dated {behind_ms // 1_000} s before this node's clock, and at most "
                f"{DECISION_BEHIND_MS // 1_000} s are accepted: set your clock, and decide again",
                details={"node_time_us": self._now_us()},
            )
        if self._roles.lapses().pass_over(decision):
            raise WireError(
                FORBIDDEN,
                f"this account had lost the role of {decision.role.word} when the decision is dated, so "
                "nobody would heed it: decide again, once an operator has given the role (folkmoot role log)",
            )

    def _refusal(self, what: str, role: Role, account: bytes) -> WireError | None:
        if role in self.roles_of(account):
            return None
        return WireError(FORBIDDEN, f"{what} as {role.word}: this account does not have that role here")

    @contextmanager
    def looking_at(self, record: Record, decision: Decision) -> Iterator[None]:
        """While a decision is looked at and let in; one of an account about a subject at a time.

        Raises:
            WireError: `busy`, while there is another.
        """
        about = (record.author, record.place, decision.subject)
        if about in self._under_way:
            sentence = "another decision of this account about the same is under way"
            raise WireError(BUSY, sentence, retry_after_ms=200)
        self._under_way[about] = record.id
        try:
            yield
        finally:
            del self._under_way[about]

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
