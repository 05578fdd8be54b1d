"""Who may give and take which role."""

from __future__ import annotations

import pytest
from folkmoot.protocol.community.bounds import COMMUNITY_LOG
from folkmoot.protocol.community.roles import Member, granted, revoked
from folkmoot.protocol.community.value import Change, Community, Role
from folkmoot.protocol.errors import CONFLICT, FORBIDDEN, WireError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.community.people import NOW, account, community, somebody

ROLES: tuple[Role, ...] = ("operator", "moderator", "expert")
BOTH: tuple[Role, ...] = ("moderator", "expert")


def test_operators_by_configuration_make_the_first_roles() -> None:
    present = granted(Community(), account(2), "operator", somebody(1, configured=True), NOW, "to begin with")
    assert present.roles_of(account(2)) == {"operator"} and present.roles_of(account(1)) == frozenset()
    assert present.log == (
        Change(NOW, account(1), "granted", "to begin with", account=account(2), role="operator"),
    )
    with pytest.raises(WireError) as refused:
        granted(Community(), account(2), "operator", somebody(1), NOW, "")
    assert refused.value.kind is FORBIDDEN


@pytest.mark.parametrize(
    ("held", "may"),
    [
        ((), set()),
        (("operator",), set(ROLES)),
        (("moderator",), set()),
        (("expert",), set()),
        (BOTH, {"expert"}),
    ],
)
@pytest.mark.parametrize("role", ROLES)
def test_who_may_give_and_take_what(held: tuple[Role, ...], may: set[Role], role: Role) -> None:
    holders = {"_1": held, "_2": ("operator",), "_3": ROLES}
    present = community(**{name: roles for name, roles in holders.items() if roles})
    for change, whom in ((granted, 4), (revoked, 3)):
        if role in may:
            assert change(present, account(whom), role, somebody(1), NOW, "") != present
        else:
            with pytest.raises(WireError) as refused:
                change(present, account(whom), role, somebody(1), NOW, "")
            assert refused.value.kind is FORBIDDEN


def test_what_is_so_already_is_not_noted_again() -> None:
    present = community(_1=("operator",), _2=("expert",))
    assert granted(present, account(2), "expert", somebody(1), NOW, "") is present
    assert revoked(present, account(2), "moderator", somebody(1), NOW, "") is present


def test_the_last_operator_stays() -> None:
    present = community(_1=("operator",), _2=("operator",))
    present = revoked(present, account(2), "operator", somebody(1), NOW, "")
    for by in (somebody(1), somebody(9, configured=True)):
        with pytest.raises(WireError) as refused:
            revoked(present, account(1), "operator", by, NOW, "")
        assert refused.value.kind is CONFLICT
    with pytest.raises(WireError):  # whoever was demoted first demotes nobody
        revoked(present, account(1), "operator", somebody(2), NOW, "")


def test_everybody_may_give_up_their_own() -> None:
    present = community(_1=("operator",), _2=BOTH)
    assert revoked(present, account(2), "moderator", somebody(2), NOW, "").roles_of(account(2)) == {"expert"}


def test_the_log_is_bounded_and_a_full_register_is_read_again() -> None:
    operator, present = somebody(1, configured=True), Community()
    for number in range(COMMUNITY_LOG + 8):
        present = granted(present, account(number + 2), "expert", operator, NOW + number, "\U0001f642" * 200)
    assert len(present.log) == COMMUNITY_LOG // 2 and present.log[0].at_ms == NOW + COMMUNITY_LOG + 7
    assert Community.decode(present.encode()) == present


def test_there_is_room_for_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.protocol.community.bounds.COMMUNITY_HOLDERS", 2)
    present = community(_1=("operator",), _2=("expert",))
    present.encode()
    with pytest.raises(WireError) as full:
        granted(present, account(3), "expert", somebody(1), NOW, "").encode()
    assert full.value.kind is CONFLICT


_changes = st.tuples(
    st.sampled_from([granted, revoked]),
    st.integers(1, 4),
    st.sampled_from(ROLES),
    st.builds(somebody, st.integers(1, 4)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_changes, max_size=25))
def test_whatever_is_asked_there_is_an_operator_and_nobody_gained_what_nobody_could_give(
    changes: list[tuple[object, int, Role, Member]],
) -> None:
    present = community(_1=("operator",))
    for change, whom, role, by in changes:
        held = by.roles(present)
        try:
            after = change(present, account(whom), role, by, NOW, "")  # type: ignore[operator]
        except WireError as error:
            assert error.kind in (FORBIDDEN, CONFLICT)
            continue
        assert any("operator" in each.roles for each in after.holders)
        assert [each.account for each in after.holders] == sorted({each.account for each in after.holders})
        if after != present:
            allowed = "operator" in held or (role == "expert" and {"moderator", "expert"} <= held)
            assert allowed or (change is revoked and account(whom) == by.account)
            assert len(after.log) == len(present.log) + 1
        assert Community.decode(after.encode()) == after
        present = after
