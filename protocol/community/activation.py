"""Which policy is in force: pure functions from the community as it is to one change later.

    present ──activated──▶ in force (for some accounts: a canary; once more: for all)
       │                        ▲    │
       └──activated, but it adds rules that refuse──▶ proposed ──confirmed by another──▶ in force
                                     │
    previous ◀──rolled back──────────┘

Every change names the epoch it replaces, so that nobody undoes what they have not seen; each makes the epoch
one more, a rollback too. A change that makes rules refuse where they did not takes two persons: an operator
proposes it, another operator or a moderator confirms it within a day. Which rules those are is told by
whoever has both documents (`protocol.moderation.comparison`).

The second person confirms the proposal as they saw it, for so many of the accounts and after that epoch, and
must have been somebody before it was made: else whoever proposes makes another account of theirs the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from folkmoot.protocol import limits
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.roles import SECOND, Member
from folkmoot.protocol.community.value import (
    ALL_PERCENT,
    OPERATOR,
    Change,
    Community,
    Policy,
    Proposal,
)
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, WireError


class Activation(NamedTuple):
    """What is to be in force.

    Attributes:
        hash: of the document; None for what each node's configuration says.
        percent: of the accounts that are to be judged by it.
        replaces: the epoch that this is decided upon.
        settled: of the document that it was compared with, see `Policy.settled`.
        adds: ids of rules that would refuse and did not; see `protocol.moderation.comparison`.
        preview: the hash of the preview that it is decided after; a rollback needs none.
        back: whether it goes back to the policy before.
    """

    hash: bytes | None
    percent: int
    replaces: int
    settled: bytes | None
    adds: Sequence[str]
    preview: bytes | None = None
    back: bool = False


class Named(NamedTuple):
    """A proposal, as whoever confirms it has seen it; see `Activation`."""

    hash: bytes
    percent: int
    replaces: int


def activated(present: Community, wanted: Activation, by: Member, now_ms: int, reason: str) -> Community:
    """With a policy in force, or proposed where that takes two; the same when it is already.

    Whoever activates what another has proposed confirms it.

    Raises:
        WireError: `forbidden`; `conflict`, with the epoch and hash there are, when that is another one than
            the change was made for; `bad_request`, when the percentage of a canary would fall.
    """
    _require_operator(present, by)
    policy = present.policy
    _check_epoch(policy, wanted)
    if (wanted.hash, wanted.percent) == (policy.hash, policy.percent):
        return present
    _check_canary(policy, wanted)
    return _changed(present, wanted, by, now_ms, reason, "activated")


def rolled_back(present: Community, wanted: Activation, by: Member, now_ms: int, reason: str) -> Community:
    """With the previous policy in force for everybody, under a new epoch; or proposed, as for `activated`.

    Args:
        wanted: the previous policy, as whoever compared it has found it.

    Raises:
        WireError: `forbidden`; `conflict`, when there is nothing to go back to, or as for `activated`.
    """
    _require_operator(present, by)
    policy = present.policy
    _check_epoch(policy, wanted)
    if policy.epoch == 0:
        raise WireError(CONFLICT, "no policy was ever activated, so there is none to roll back")
    if policy.previous == policy.hash:
        raise WireError(
            CONFLICT,
            "what is in force came of a rollback already: activate by its document what is to judge instead "
            "(folkmoot policy log)",
            details=_details(policy),
        )
    assert (wanted.hash, wanted.percent) == (policy.previous, ALL_PERCENT), "an epoch has one previous policy"
    return _changed(present, wanted._replace(back=True), by, now_ms, reason, "rolled back")


def confirmed(present: Community, named: Named, by: Member, now_ms: int, reason: str) -> Community:
    """With what somebody else has proposed in force.

    Raises:
        WireError: `forbidden`: by this person it cannot be; `conflict`: nothing of the kind waits.
    """
    if SECOND.isdisjoint(by.roles(present)):
        raise WireError(FORBIDDEN, "a proposal is confirmed by an operator or a moderator")
    proposal = present.proposal
    if (
        proposal is None
        or (proposal.hash, proposal.percent, proposal.replaces) != named
        or not proposal.waits(present.policy, now_ms)
    ):
        raise WireError(
            CONFLICT,
            f"no proposal of policy {named.hash.hex()[:12]} for {named.percent} % of the accounts after "
            f"epoch {named.replaces} waits: there is another, it has expired, or another policy has come "
            "into force since (folkmoot policy status)",
            details=_details(present.policy),
        )
    if proposal.by == by.account:
        raise WireError(FORBIDDEN, "whoever made a proposal cannot confirm it: that takes a second person")
    holder = present.holder(by.account)
    if holder is not None and holder.since_ms > proposal.made_ms and not by.configured:
        raise WireError(FORBIDDEN, "who confirms a proposal has to have had a role before it was made")
    wanted = Activation(*named, present.policy.settled, proposal.rules, proposal.preview, back=proposal.back)
    return _in_force(present, wanted, by, now_ms, reason, "confirmed")


def _check_epoch(policy: Policy, wanted: Activation) -> None:
    """Raise `conflict` unless a change was made for the policy there is, and compared with it."""
    if wanted.replaces != policy.epoch or wanted.settled != policy.settled:
        raise WireError(
            CONFLICT,
            f"the policy is at epoch {policy.epoch}, and the change was made for {wanted.replaces}: look at "
            "what is in force now (folkmoot policy status)",
            details=_details(policy),
        )


def _check_canary(policy: Policy, wanted: Activation) -> None:
    if wanted.hash == policy.hash:
        if wanted.percent < policy.percent:
            raise WireError(
                BAD_REQUEST,
                f"this policy judges {policy.percent} % of the accounts, and that only grows: roll back to "
                "judge fewer by it",
            )
    elif policy.percent < ALL_PERCENT:
        raise WireError(
            CONFLICT,
            f"a canary is under way, of {policy.percent} %: activate it for all, or roll it back, before "
            "another policy",
            details=_details(policy),
        )


def _changed(
    present: Community, wanted: Activation, by: Member, now_ms: int, reason: str, what: str
) -> Community:
    """In force, if one person is enough or another has proposed the same; else proposed."""
    if wanted.hash is None or not wanted.adds:
        return _in_force(present, wanted, by, now_ms, reason, what)
    waiting = present.proposal
    if waiting is not None and waiting.waits(present.policy, now_ms):
        same = (waiting.hash, waiting.percent) == (wanted.hash, wanted.percent)
        if same and waiting.by == by.account:
            return present
        if same:
            named = Named(wanted.hash, wanted.percent, wanted.replaces)
            return confirmed(present, named, by, now_ms, reason)
    proposal = Proposal(
        wanted.hash,
        wanted.percent,
        wanted.replaces,
        by.account,
        now_ms + bounds.PROPOSAL_LIFETIME_MS,
        tuple(each[: limits.LABEL_VALUE_BYTES] for each in wanted.adds[: bounds.COMMUNITY_RULES]),
        reason,
        wanted.preview,
        wanted.back,
    )
    change = Change(
        now_ms,
        by.account,
        "proposed",
        reason,
        epoch=wanted.replaces + 1,
        hash=wanted.hash,
        percent=wanted.percent,
        preview=wanted.preview,
    )
    return msgspec.structs.replace(present, proposal=proposal).noting(change)


def _in_force(
    present: Community, wanted: Activation, by: Member, now_ms: int, reason: str, what: str
) -> Community:
    policy, hash, percent = present.policy, wanted.hash, wanted.percent
    previous = policy.previous if hash == policy.hash else policy.hash
    if wanted.back:
        previous = hash
    following = Policy(policy.epoch + 1, hash, percent, previous)
    proposer = None if what != "confirmed" or present.proposal is None else present.proposal.by
    change = Change(
        now_ms,
        by.account,
        what,
        reason,
        epoch=following.epoch,
        hash=hash,
        percent=percent,
        proposer=proposer,
        preview=wanted.preview,
    )
    return msgspec.structs.replace(present, policy=following, proposal=None).noting(change)


def _require_operator(present: Community, by: Member) -> None:
    if OPERATOR not in by.roles(present):
        raise WireError(FORBIDDEN, "the policy is changed by operators, and this account is none")


def _details(policy: Policy) -> dict[str, object]:
    return {"epoch": policy.epoch, "hash": policy.hash, "percent": policy.percent}
