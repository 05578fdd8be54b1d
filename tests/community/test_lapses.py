"""Which decisions a lost role voids, and that who lost which role is remembered."""

from __future__ import annotations

import msgspec
import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.lapses import NONE, VOID_BEFORE_MS, Lapses, decode, encode, lost, regained
from folkmoot.protocol.community.roles import granted, revoked
from folkmoot.protocol.community.value import Community, Lapse
from folkmoot.protocol.moderation.decision import Action, Decision, Role, Subject

from tests.community.people import NOW, account, community, somebody

MO = account(2)
FROM_MS, UNTIL_MS = NOW, NOW + 3_600_000
LAPSED = Lapses([Lapse(MO, "moderator", FROM_MS, UNTIL_MS)])
LOST = Lapses([Lapse(MO, "moderator", FROM_MS)])


def decided(at_ms: int, *, by: bytes = MO, role: Role = Role.MODERATOR, us: int = 0) -> Decision:
    subject = Subject("post", bytes(16))
    return Decision(subject, bytes(32), Action.REMOVE, role, by, at_ms * 1000 + us, "So.")


@pytest.mark.parametrize(
    ("at_ms", "us", "passed_over", "for_good"),
    [
        (FROM_MS - VOID_BEFORE_MS - 1, 999, False, False),
        (FROM_MS - VOID_BEFORE_MS, 0, True, True),
        (FROM_MS, 0, True, True),
        (UNTIL_MS - 1, 999, True, True),
        (UNTIL_MS, 0, False, True),
        (UNTIL_MS + 10**9, 0, False, True),
    ],
)
def test_what_is_dated_from_a_little_before_on_is_passed_over(
    at_ms: int, us: int, passed_over: bool, for_good: bool
) -> None:
    one = decided(at_ms, us=us)
    assert LAPSED.pass_over(one) is passed_over and LOST.pass_over(one) is for_good
    assert list(LAPSED.counted([one])) == ([] if passed_over else [one])
    assert not NONE.pass_over(one) and list(NONE.counted([one])) == [one]


def test_another_role_or_account_or_a_policy_is_not_concerned() -> None:
    assert not LOST.pass_over(decided(FROM_MS, role=Role.EXPERT))
    assert not LOST.pass_over(decided(FROM_MS, by=account(3)))
    automatic = decided(0, role=Role.AUTOMATIC)
    assert not LOST.pass_over(automatic)


def test_losing_and_getting_a_role_is_noted_with_the_times() -> None:
    present = community(_1=("operator",), _2=("moderator",))
    gone = revoked(present, MO, "moderator", somebody(1), FROM_MS, "")
    assert gone.lapses == (Lapse(MO, "moderator", FROM_MS),)
    assert revoked(gone, MO, "moderator", somebody(1), FROM_MS + 9, "") is gone
    back = granted(gone, MO, "moderator", somebody(1), UNTIL_MS, "")
    assert back.lapses == (Lapse(MO, "moderator", FROM_MS, UNTIL_MS),)
    again = revoked(back, MO, "moderator", somebody(2), UNTIL_MS + 5, "they gave it up")
    assert again.lapses == (*back.lapses, Lapse(MO, "moderator", UNTIL_MS + 5))
    assert Community.decode(again.encode()) == again
    other = granted(gone, MO, "expert", somebody(1), UNTIL_MS, "")
    assert other.lapses == gone.lapses, "another role than the one that was lost"


def test_a_clock_that_went_back_ends_no_lapse_before_it_began() -> None:
    [lapse] = regained([Lapse(MO, "moderator", FROM_MS)], MO, "moderator", FROM_MS - 100)
    assert lapse.until_ms == FROM_MS


def test_what_was_kept_before_there_were_lapses_is_read() -> None:
    plain = community(_1=("operator",)).to_wire()
    del plain["lapses"]
    assert Community.decode(codec.pack(plain)) == community(_1=("operator",))


def test_of_each_role_the_latest_are_remembered_and_those_that_go_on_the_longest() -> None:
    lapses: tuple[Lapse, ...] = (Lapse(MO, "moderator", 1),)
    for number in range(2 * bounds.COMMUNITY_LAPSES):
        lapses = lost(lapses, account(9), "expert", 10 + number)
        lapses = regained(lapses, account(9), "expert", 10 + number)
    assert Lapse(MO, "moderator", 1) in lapses, "others' roles push out none of this one"
    experts = [each for each in lapses if each.role == "expert"]
    assert len(experts) == bounds.COMMUNITY_LAPSES and experts[-1].from_ms == 9 + 2 * bounds.COMMUNITY_LAPSES
    full = lost((Lapse(MO, "expert", 1), *experts), account(8), "expert", 10**6)
    assert Lapse(MO, "expert", 1) in full, "what goes on is kept before what has ended"
    assert sum(each.role == "expert" for each in full) == bounds.COMMUNITY_LAPSES


def test_as_many_as_there_may_be_have_room_in_the_register() -> None:
    lapses = tuple(
        Lapse(account(number), role, 2**47, 2**47 + 1)
        for role in ("operator", "moderator", "expert")
        for number in range(1, bounds.COMMUNITY_LAPSES + 1)
    )
    whole = msgspec.structs.replace(community(_1=("operator",)), lapses=lapses)
    assert Community.decode(whole.encode()) == whole
    assert decode(encode(lapses)).pass_over(decided(2**47))
