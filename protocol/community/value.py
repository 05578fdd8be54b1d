"""What the community register holds: who has which role, which policy is in force, and what led to it.

Roles and policy are one value, so that whoever changes either does so as the roles are at that moment: two
operators who demote each other in a partition are decided one after the other, and the second one's change
is refused because it comes from no operator any more.

A policy is named by the SHA-256 of its document, which is not in here: documents travel by themselves (see
`node.community`). None in place of a hash stands for what each node's own configuration says.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.community import bounds
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.messages import Account
from msgspec import Meta, Struct

REGISTER: Final = "community"
HASH_BYTES: Final = 32
ALL_PERCENT: Final = 100

Role = Literal["operator", "moderator", "expert"]
Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Percent = Annotated[int, Meta(ge=1, le=ALL_PERCENT)]
Epoch = Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)]
Milliseconds = Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
Reason = Annotated[str, Meta(max_length=bounds.COMMUNITY_REASON_CODE_POINTS)]
RuleId = Annotated[str, Meta(max_length=limits.LABEL_VALUE_BYTES)]

OPERATOR: Final[Role] = "operator"
MODERATOR: Final[Role] = "moderator"
EXPERT: Final[Role] = "expert"


class Policy(Struct, frozen=True):
    """By what accounts are judged.

    Args:
        epoch: one more with each change; 0 before the first.
        hash: of the document that is in force; None for what each node's configuration says.
        percent: of the accounts are judged by it, the others by `previous`; less than 100 for a canary.
        previous: of the document that was in force before; the same as `hash` once a change was rolled back,
            as there is nothing more to go back to then.
    """

    epoch: Epoch = 0
    hash: Hash | None = None
    percent: Percent = ALL_PERCENT
    previous: Hash | None = None

    @property
    def settled(self) -> bytes | None:
        """The document that most accounts have been judged by, until a canary becomes the rule."""
        return self.hash if self.percent == ALL_PERCENT else self.previous

    @property
    def judging(self) -> frozenset[bytes]:
        """The documents that somebody is judged by."""
        named = {self.hash} if self.percent == ALL_PERCENT else {self.hash, self.previous}
        return frozenset(each for each in named if each is not None)


class Proposal(Struct, frozen=True):
    """A change of policy that waits for a second person.

    Args:
        hash, percent: what is to be in force.
        replaces: the epoch it was made for; it is void once there is another.
        by: who made it.
        expires_ms: when it is void.
        rules: ids of rules because of which it takes two, the first of them.
        reason: why it was made.
        preview: the hash of the preview that it was made after.
        back: whether it goes back to the policy before.
    """

    hash: Hash
    percent: Percent
    replaces: Epoch
    by: Account
    expires_ms: Milliseconds
    rules: Annotated[tuple[RuleId, ...], Meta(max_length=bounds.COMMUNITY_RULES)] = ()
    reason: Reason = ""
    preview: Hash | None = None
    back: bool = False

    @property
    def made_ms(self) -> int:
        """When it was made."""
        return self.expires_ms - bounds.PROPOSAL_LIFETIME_MS

    def waits(self, policy: Policy, now_ms: int) -> bool:
        """Whether it can still be confirmed."""
        return self.replaces == policy.epoch and now_ms < self.expires_ms


class Change(Struct, frozen=True, omit_defaults=True):
    """One line of the log.

    Args:
        at_ms: when, by the clock of the node that proposed it.
        by: who asked for it.
        what: what was done: `granted`, `revoked`, `proposed`, `activated`, `confirmed` or `rolled back`.
        reason: why, in their words.
        account, role: whose role, and which, of a change of roles.
        epoch, hash, percent: which policy came of it, or is proposed.
        proposer: who had proposed what was confirmed.
        preview: the hash of the preview that it was decided after.
    """

    at_ms: Milliseconds
    by: Account
    what: Annotated[str, Meta(max_length=32)]
    reason: Reason = ""
    account: Account | None = None
    role: Role | None = None
    epoch: Epoch = 0
    hash: Hash | None = None
    percent: Percent = ALL_PERCENT
    proposer: Account | None = None
    preview: Hash | None = None


class Holder(Struct, frozen=True):
    """An account that has roles.

    Args:
        account: whose.
        roles: each once and in order.
        since_ms: from when on it could be a second person, as an operator or a moderator.
    """

    account: Account
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=3)]
    since_ms: Milliseconds = 0


class Lapse(Struct, frozen=True, omit_defaults=True):
    """That an account lost a role.

    Args:
        account, role: whose, and which.
        from_ms: when, by the clock of the node that proposed it.
        until_ms: when it was given again; None while it was not.
    """

    account: Account
    role: Role
    from_ms: Milliseconds
    until_ms: Milliseconds | None = None


class Community(Struct, frozen=True):
    """See the module.

    Args:
        holders: in the order of their accounts.
        policy: in force.
        proposal: the one there is, void or not.
        log: the latest changes, the newest first; changes of roles push out none of policies.
        lapses: who lost which role, of each role the latest (see `lapses`).
    """

    holders: Annotated[tuple[Holder, ...], Meta(max_length=bounds.COMMUNITY_HOLDERS)] = ()
    policy: Policy = Policy()
    proposal: Proposal | None = None
    log: Annotated[tuple[Change, ...], Meta(max_length=bounds.COMMUNITY_LOG)] = ()
    lapses: Annotated[tuple[Lapse, ...], Meta(max_length=3 * bounds.COMMUNITY_LAPSES)] = ()

    def roles_of(self, account: bytes) -> frozenset[Role]:
        """The roles that an account has here."""
        holder = self.holder(account)
        return frozenset() if holder is None else frozenset(holder.roles)

    def holder(self, account: bytes) -> Holder | None:
        """The line of an account that has roles here."""
        return next((each for each in self.holders if each.account == account), None)

    def documents(self) -> frozenset[bytes]:
        """Every document that is in force, was before, or is proposed."""
        named = {self.policy.hash, self.policy.previous}
        if self.proposal is not None:
            named.add(self.proposal.hash)
        return frozenset(each for each in named if each is not None)

    def noting(self, change: Change) -> Community:
        """With a line more in the log, and without the oldest of its sort that is one too many.

        Of roles and of policies there are half of the lines each, or whoever gives and takes a role again and
        again would have it forgotten who put a policy in force.
        """
        alike = [each for each in self.log if (each.role is None) == (change.role is None)]
        gone = alike[bounds.COMMUNITY_LOG // 2 - 1 :]
        kept = tuple(each for each in self.log if not any(each is old for old in gone))
        return msgspec.structs.replace(self, log=(change, *kept))

    @classmethod
    def decode(cls, body: bytes | None) -> Community:
        """What a register's body says; nothing, when it holds nothing yet.

        Raises:
            WireError: `bad_request`, when that is something else.
        """
        return cls() if body is None else codec.shaped(codec.unpack(body), cls, "the community's register")

    def encode(self) -> bytes:
        """The body of the register.

        Raises:
            WireError: `conflict`, when there is no room for it; `bad_request`, when nobody could read it.
        """
        body = codec.pack(self.to_wire())
        if len(body) > limits.REGISTER_BYTES or len(self.holders) > bounds.COMMUNITY_HOLDERS:
            raise WireError(
                CONFLICT,
                f"{len(self.holders)} accounts have roles, and there is room for {bounds.COMMUNITY_HOLDERS}: "
                "revoke some first (folkmoot role ls)",
            )
        self.decode(body)
        return body

    def to_wire(self) -> dict[str, Any]:
        """As a map for messages and the register."""
        plain: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return plain
