"""Which policy is in force: epochs, canaries, second persons, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from folkmoot.protocol.community.activation import Named, activated, confirmed, rolled_back
from folkmoot.protocol.community.bounds import COMMUNITY_LOG, COMMUNITY_RULES, PROPOSAL_LIFETIME_MS
from folkmoot.protocol.community.canary import is_judged_by
from folkmoot.protocol.community.roles import granted, revoked
from folkmoot.protocol.community.value import Community, Policy
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, ErrorKind, WireError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.community.people import NOW, community, document, somebody, to

TOWN = community(_1=("operator",), _2=("operator",), _3=("moderator",), _4=("expert",))
ONE, TWO, MODERATOR, EXPERT = (somebody(number) for number in range(1, 5))
REFUSES = ("no-slurs",)


def refused(kind: ErrorKind, change: Callable[[], object]) -> WireError:
    with pytest.raises(WireError) as error:
        change()
    assert error.value.kind is kind
    return error.value


def in_force(present: Community, name: str, percent: int = 100) -> Community:
    return activated(present, to(present, name, percent=percent), ONE, NOW, "")


def waiting(present: Community, name: str) -> Named:
    """A proposal of a document, as whoever looks at the community sees it."""
    proposal = present.proposal
    percent, replaces = (100, 0) if proposal is None else (proposal.percent, proposal.replaces)
    return Named(document(name), percent, replaces)


def test_an_activation_is_in_force_at_once_and_the_former_is_remembered() -> None:
    first = in_force(TOWN, "a")
    assert first.policy == Policy(1, document("a"), 100, None)
    second = in_force(first, "b")
    assert second.policy == Policy(2, document("b"), 100, document("a"))
    assert in_force(second, "b") is second, "what is so already makes no epoch"
    newest = second.log[0]
    assert (newest.what, newest.epoch, newest.hash) == ("activated", 2, document("b"))


def test_only_operators_change_the_policy() -> None:
    for by in (MODERATOR, EXPERT, somebody(9)):
        refused(FORBIDDEN, partial(activated, TOWN, to(TOWN, "a"), by, NOW, ""))
        refused(FORBIDDEN, partial(rolled_back, TOWN, to(TOWN, None), by, NOW, ""))
    assert activated(TOWN, to(TOWN, "a"), somebody(9, configured=True), NOW, "").policy.epoch == 1


def test_a_change_made_for_another_epoch_is_a_conflict_that_says_what_there_is() -> None:
    present = in_force(TOWN, "a")
    error = refused(CONFLICT, lambda: activated(present, to(present, "b", replaces=0), ONE, NOW, ""))
    assert error.details == {"epoch": 1, "hash": document("a"), "percent": 100}
    compared = to(present, "b")._replace(settled=document("c"))
    refused(CONFLICT, lambda: activated(present, compared, ONE, NOW, ""))
    refused(CONFLICT, lambda: rolled_back(present, to(present, None, replaces=0), ONE, NOW, ""))


def test_a_canary_grows_or_goes_and_nothing_comes_between() -> None:
    present = in_force(in_force(TOWN, "a"), "b", 10)
    assert present.policy == Policy(2, document("b"), 10, document("a"))
    assert present.policy.settled == document("a")
    assert present.policy.judging == {document("a"), document("b")}
    refused(CONFLICT, lambda: in_force(present, "c"))
    refused(BAD_REQUEST, lambda: in_force(present, "b", 5))
    grown = in_force(present, "b", 50)
    assert in_force(grown, "b").policy == Policy(4, document("b"), 100, document("a"))
    back = rolled_back(grown, to(grown, "a"), ONE, NOW, "").policy
    assert back == Policy(4, document("a"), 100, document("a")), "there is nothing more to go back to"


def test_the_first_policy_is_rolled_back_to_what_the_nodes_have() -> None:
    refused(CONFLICT, lambda: rolled_back(TOWN, to(TOWN, None), ONE, NOW, ""))
    present = in_force(TOWN, "a")
    back = rolled_back(present, to(present, None), ONE, NOW, "too strict")
    assert back.policy == Policy(2, None, 100, None)
    refused(CONFLICT, lambda: rolled_back(back, to(back, None), ONE, NOW, ""))
    assert in_force(back, "b").policy == Policy(3, document("b"), 100, None)
    assert (back.log[0].what, back.log[0].reason) == ("rolled back", "too strict")


def test_a_rule_that_refuses_takes_two() -> None:
    proposed = activated(TOWN, to(TOWN, "a", adds=REFUSES), ONE, NOW, "slurs")
    assert proposed.policy == TOWN.policy and proposed.proposal is not None
    assert proposed.proposal.rules == REFUSES and proposed.log[0].what == "proposed"
    again = activated(proposed, to(proposed, "a", adds=REFUSES), ONE, NOW + 5, "slurs")
    assert again is proposed, "asking twice does not make two"
    refused(FORBIDDEN, lambda: confirmed(proposed, waiting(proposed, "a"), ONE, NOW, ""))
    refused(FORBIDDEN, lambda: confirmed(proposed, waiting(proposed, "a"), EXPERT, NOW, ""))
    refused(CONFLICT, lambda: confirmed(proposed, waiting(proposed, "b"), TWO, NOW, ""))
    for by in (TWO, MODERATOR):
        done = confirmed(proposed, waiting(proposed, "a"), by, NOW, "")
        assert done.policy == Policy(1, document("a")) and done.proposal is None
        assert (done.log[0].by, done.log[0].proposer) == (by.account, ONE.account)
    assert activated(proposed, to(proposed, "a", adds=REFUSES), TWO, NOW, "").policy.epoch == 1


def test_a_proposal_ends_with_its_day_and_with_its_epoch() -> None:
    proposed = activated(TOWN, to(TOWN, "a", adds=REFUSES), ONE, NOW, "")
    late = NOW + PROPOSAL_LIFETIME_MS
    assert confirmed(proposed, waiting(proposed, "a"), TWO, late - 1, "").policy.epoch == 1
    refused(CONFLICT, lambda: confirmed(proposed, waiting(proposed, "a"), TWO, late, ""))
    anew = activated(proposed, to(proposed, "a", adds=REFUSES), TWO, late, "")
    assert anew.proposal is not None and anew.proposal.by == TWO.account, "it is another one then"
    moved = in_force(proposed, "b")
    refused(CONFLICT, lambda: confirmed(moved, waiting(moved, "a"), TWO, NOW, ""))


def test_a_rollback_that_makes_rules_refuse_again_takes_two() -> None:
    present = in_force(in_force(TOWN, "strict"), "mild")
    back = rolled_back(present, to(present, "strict", adds=REFUSES), ONE, NOW, "")
    assert back.policy == present.policy and back.proposal is not None
    assert confirmed(back, waiting(back, "strict"), MODERATOR, NOW, "").policy.hash == document("strict")


def test_who_confirms_names_what_they_saw() -> None:
    """Whoever proposes may propose something else while the second person looks."""
    canary = activated(TOWN, to(TOWN, "a", percent=10, adds=REFUSES), ONE, NOW, "")
    seen = waiting(canary, "a")
    whole = activated(canary, to(canary, "a", adds=REFUSES), ONE, NOW + 1, "")
    refused(CONFLICT, lambda: confirmed(whole, seen, TWO, NOW + 2, ""))
    refused(CONFLICT, lambda: confirmed(whole, waiting(whole, "a")._replace(replaces=7), TWO, NOW + 2, ""))
    assert confirmed(whole, waiting(whole, "a"), TWO, NOW + 2, "").policy.percent == 100


def test_nobody_is_made_the_second_person_after_the_proposal() -> None:
    made = granted(TOWN, somebody(9).account, "moderator", ONE, NOW - 1, "")
    proposed = activated(made, to(made, "a", adds=REFUSES), ONE, NOW, "")
    assert confirmed(proposed, waiting(proposed, "a"), somebody(9), NOW, "").policy.epoch == 1
    late = granted(proposed, somebody(8).account, "moderator", ONE, NOW + 1, "")
    refused(FORBIDDEN, lambda: confirmed(late, waiting(late, "a"), somebody(8), NOW + 2, ""))
    again = granted(late, somebody(9).account, "operator", ONE, NOW + 1, "")
    assert confirmed(again, waiting(again, "a"), somebody(9), NOW + 2, "").policy.epoch == 1
    configured = somebody(8, configured=True)
    assert confirmed(late, waiting(late, "a"), configured, NOW + 2, "").policy.epoch == 1


def test_changes_of_roles_push_no_policy_out_of_the_log() -> None:
    present = in_force(TOWN, "a")
    for number in range(COMMUNITY_LOG):
        change = (revoked, granted)[number % 2]
        present = change(present, MODERATOR.account, "moderator", ONE, NOW + number, "")
    assert [each.what for each in present.log if each.role is None] == ["activated"]
    assert len(present.log) == COMMUNITY_LOG // 2 + 1
    assert [each.at_ms for each in present.log][:3] == [NOW + COMMUNITY_LOG - at for at in (1, 2, 3)]


def test_a_promoted_canary_takes_two_again() -> None:
    proposed = activated(TOWN, to(TOWN, "a", percent=10, adds=REFUSES), ONE, NOW, "")
    canary = confirmed(proposed, waiting(proposed, "a"), TWO, NOW, "")
    assert canary.policy.percent == 10 and canary.policy.settled is None
    more = activated(canary, to(canary, "a", adds=REFUSES), TWO, NOW, "")
    assert more.policy.percent == 10 and more.proposal is not None


def test_ids_of_rules_never_make_a_register_that_cannot_be_read() -> None:
    adds = tuple("r" * 500 + str(number) for number in range(COMMUNITY_RULES + 3))
    proposed = activated(TOWN, to(TOWN, "a", adds=adds), ONE, NOW, "")
    assert Community.decode(proposed.encode()) == proposed


def test_a_share_of_the_accounts_is_judged_and_others_by_another_document() -> None:
    accounts = [bytes([0xED, 1, number % 256, number // 256]) + bytes(30) for number in range(4_000)]
    for percent in (1, 10, 50):
        share = sum(is_judged_by(document("a"), each, percent) for each in accounts) / len(accounts)
        assert abs(share - percent / 100) < 0.03
    first, other = (
        {each for each in accounts if is_judged_by(document(name), each, 10)} for name in ("a", "b")
    )
    assert len(first & other) < 0.3 * len(first)
    assert first <= {each for each in accounts if is_judged_by(document("a"), each, 20)}, "it only grows"
    assert all(is_judged_by(document("a"), each, 100) for each in accounts)


_steps = st.tuples(
    st.sampled_from(["activate", "confirm", "rollback"]),
    st.integers(1, 4),
    st.sampled_from(["a", "b", "strict"]),
    st.sampled_from([10, 100]),
    st.integers(0, 1),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_steps, max_size=20))
def test_epochs_go_up_by_one_and_nobody_alone_makes_rules_refuse(
    steps: list[tuple[str, int, str, int, int]],
) -> None:
    """With one document that refuses: whenever more are judged by it, two persons have asked for it, or it is
    what a canary took some accounts from."""
    present = TOWN
    strict = document("strict")

    def refusing(policy: Policy) -> int:
        if policy.hash == strict:
            return policy.percent
        return 100 - policy.percent if policy.previous == strict else 0

    for what, who, name, percent, behind in steps:
        by, policy = somebody(who), present.policy
        try:
            if what == "confirm":
                after = confirmed(present, waiting(present, name), by, NOW, "")
            else:
                back = what == "rollback"
                hash = policy.previous if back else document(name)
                adds = REFUSES if hash == strict and policy.settled != strict else ()
                wanted = to(present, name, percent=100 if back else percent, adds=adds)
                wanted = wanted._replace(hash=hash, replaces=policy.epoch - behind)
                after = (rolled_back if back else activated)(present, wanted, by, NOW, "")
        except WireError:
            continue
        assert after.policy.epoch in (policy.epoch, policy.epoch + 1)
        assert (after.policy == policy) == (after.policy.epoch == policy.epoch)
        if refusing(after.policy) > refusing(policy) and policy.settled != strict:
            proposal = present.proposal
            assert proposal is not None and proposal.by != by.account and proposal.hash == strict
        assert Community.decode(after.encode()) == after
        present = after
