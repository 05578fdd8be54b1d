"""Claims on handles: what each register says next, and every way in which two accounts can want one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import Create, SetHandle
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.accounts.claim import Bearing, Claim, check_room, lapse, release, take
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, NOT_CANONICAL, WireError
from folkmoot.protocol.identity import KeyPair
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accounts.claim_model import ACCOUNTS, ALIKE, HANDLE, OTHER, QUARANTINE, SECOND, Move, Rules, World
from tests.accounts.claim_model import play as played

ALICE, BOB, _ = ACCOUNTS
NOW: Final = 1_700_000_000 * SECOND
STALE: Final = int(limits.HANDLE_CLAIM_STALE_S) * SECOND
CLAIM: Final = Claim(ALICE, HANDLE, 3, NOW)
RELEASED: Final = release(CLAIM, ALICE, 4, NOW)
KINDS: Final = ("begin", "step", "end", "break off", "wait")


def refused(attempt: Callable[[], object]) -> WireError:
    with pytest.raises(WireError) as refusal:
        attempt()
    assert refusal.value.kind == CONFLICT
    assert refusal.value.details is not None and refusal.value.details["handle"] == HANDLE
    return refusal.value


def found(claim: Claim = CLAIM, *, names: bool = False, named: bool = False, stale: bool = True) -> Bearing:
    return Bearing(claim, 3, names, named, stale)


@pytest.mark.parametrize("claim", [CLAIM, RELEASED])
def test_a_claim_is_read_as_it_was_written(claim: Claim) -> None:
    assert Claim.from_bytes(claim.to_bytes()) == claim


@pytest.mark.parametrize(
    ("claim", "error"),
    [
        (CLAIM._replace(account=ALICE[:-1]), BAD_REQUEST),
        (CLAIM._replace(handle="Lily"), BAD_REQUEST),
        (CLAIM._replace(number=-1), BAD_REQUEST),
        (CLAIM._replace(number=limits.ACCOUNT_OPERATIONS + 1), BAD_REQUEST),
        (CLAIM._replace(claimed_us=-1), BAD_REQUEST),
        (CLAIM._replace(released_us=2**63), BAD_REQUEST),
        (CLAIM._replace(number=True), BAD_REQUEST),
    ],
)
def test_what_is_no_claim_is_not_read_as_one(claim: Claim, error: object) -> None:
    with pytest.raises(WireError) as refusal:
        Claim.from_bytes(claim.to_bytes())
    assert refusal.value.kind == error


def test_a_claim_cut_short_or_with_a_tail_is_not_read() -> None:
    data = CLAIM.to_bytes()
    for hostile in (*(data[:end] for end in range(len(data))), data + b"\x00"):
        with pytest.raises(WireError) as refusal:
            Claim.from_bytes(hostile)
        assert refusal.value.kind == NOT_CANONICAL


def test_a_free_handle_is_taken() -> None:
    assert take(None, ALICE, HANDLE, 3, NOW) == CLAIM


def test_names_that_are_kept_for_those_who_run_a_community_are_not_taken() -> None:
    with pytest.raises(WireError) as refusal:
        take(None, ALICE, "moderat0r", 3, NOW)
    assert refusal.value.kind == BAD_REQUEST
    kept = Claim(ALICE, "moderat0r", 3, NOW)
    assert take(kept, ALICE, "moderator", 4, NOW).handle == "moderator", "but who has one keeps it"


def test_an_account_may_claim_again_what_it_claimed_in_any_form() -> None:
    again = take(CLAIM, ALICE, ALIKE, 3, NOW + 5)
    assert again == Claim(ALICE, ALIKE, 3, NOW + 5)
    assert again.is_timely(NOW + 6)


def test_a_late_claim_does_not_undo_what_came_after() -> None:
    refused(lambda: take(CLAIM, ALICE, HANDLE, 2, NOW + 5))
    refused(lambda: take(RELEASED, ALICE, HANDLE, 4, NOW + 5))
    refused(lambda: take(RELEASED, ALICE, HANDLE, 3, NOW + 5))


def test_who_gave_a_handle_up_may_have_it_back_at_once_and_others_after_the_quarantine() -> None:
    assert RELEASED is not None
    assert take(RELEASED, ALICE, HANDLE, 5, NOW + 1) == Claim(ALICE, HANDLE, 5, NOW + 1)
    error = refused(lambda: take(RELEASED, BOB, HANDLE, 1, NOW + QUARANTINE - 1))
    assert error.details == {"handle": HANDLE, "free_at_us": NOW + QUARANTINE}
    assert take(RELEASED, BOB, HANDLE, 1, NOW + QUARANTINE).account == BOB


def called(*handles: str | None, every_us: int = SECOND) -> Chain:
    """The chain of an account that was called so, one after the other from NOW on."""
    key = KeyPair(b"k" * 32)
    entries = [Entry(Operation.sign(key, key.account, Create(), previous=None, stamp=NOW), NOW)]
    for number, handle in enumerate(handles):
        previous, stamp = entries[-1].operation, NOW + number * every_us
        operation = Operation.sign(key, key.account, SetHandle(handle), previous=previous, stamp=stamp)
        entries.append(Entry(operation, stamp))
    return Chain(key.account, entries)


MANY: Final = ("aaron", "bertha", "caesar", "dora", "emil")
NONE_BETWEEN: Final = tuple(each for handle in MANY for each in (handle, None))


@pytest.mark.parametrize("handles", [MANY, (*MANY, None), NONE_BETWEEN])
def test_an_account_that_gave_up_many_handles_takes_no_other_until_one_is_free(
    handles: tuple[str | None, ...],
) -> None:
    chain = called(*handles)
    given_up = NOW + next(at for at, each in enumerate(handles) if at and each != handles[0]) * SECOND
    error = refused(lambda: check_room(chain, HANDLE, NOW + 60 * SECOND))
    assert error.details == {"handle": HANDLE, "given_up": len(MANY), "free_at_us": given_up + QUARANTINE}
    assert "in 30 days" in error.message
    assert "in a day" in refused(lambda: check_room(chain, HANDLE, given_up + QUARANTINE - 1)).message
    check_room(chain, HANDLE, given_up + QUARANTINE)


def test_handles_that_come_back_or_look_alike_or_were_free_for_long_are_none_given_up() -> None:
    check_room(called(*MANY), MANY[1], NOW + 60 * SECOND)
    check_room(called(*MANY[:-1]), HANDLE, NOW + 60 * SECOND)
    check_room(called(HANDLE, *MANY[:2], ALIKE, MANY[0], HANDLE, *MANY[2:4]), ALIKE, NOW + 60 * SECOND)
    check_room(called(*MANY, every_us=QUARANTINE), HANDLE, NOW + 5 * QUARANTINE)


def test_a_claim_that_is_borne_out_is_respected_for_ever() -> None:
    years = NOW + 100 * QUARANTINE
    error = refused(lambda: take(CLAIM, BOB, HANDLE, 1, years, found(names=True, named=True, stale=False)))
    assert error.details == {"handle": HANDLE, "taken": HANDLE}
    with pytest.raises(WireError, match=f"{ALIKE!r} could be taken for {HANDLE!r}") as alike:
        take(CLAIM, BOB, ALIKE, 1, years)
    assert alike.value.details == {"handle": ALIKE, "taken": HANDLE}


@pytest.mark.parametrize(
    "about", [None, found(stale=False), found(CLAIM._replace(claimed_us=NOW - 1))], ids=str
)
def test_a_claim_of_which_nothing_is_known_is_respected(about: Bearing | None) -> None:
    refused(lambda: take(CLAIM, BOB, HANDLE, 1, NOW + 2 * STALE, about))


def test_a_stale_claim_that_was_never_in_force_is_taken_over() -> None:
    assert take(CLAIM, BOB, HANDLE, 1, NOW + STALE, found()) == Claim(BOB, HANDLE, 1, NOW + STALE)
    assert lapse(CLAIM, found(), NOW) == CLAIM


def test_the_quarantine_of_a_stale_claim_that_was_in_force_begins_when_it_is_found() -> None:
    later = NOW + 5 * QUARANTINE
    error = refused(lambda: take(CLAIM, BOB, HANDLE, 1, later, found(named=True)))
    assert error.details == {"handle": HANDLE, "free_at_us": later + QUARANTINE}
    lapsed = lapse(CLAIM, found(named=True), later)
    assert lapsed is not None and lapsed.free_at_us == later + QUARANTINE
    assert lapse(RELEASED, found(named=True), later) == RELEASED, "it is another claim by now"
    assert lapse(CLAIM, found(named=True, stale=False), later) == CLAIM
    assert take(lapsed, ALICE, HANDLE, 4, later + 1).account == ALICE


@pytest.mark.parametrize(
    ("present", "account", "number"),
    [(None, ALICE, 4), (CLAIM, BOB, 4), (CLAIM, ALICE, 3), (RELEASED, ALICE, 9)],
)
def test_only_what_was_given_up_is_released_and_once(present: Claim, account: bytes, number: int) -> None:
    assert release(present, account, number, NOW + 5) == present


def test_a_claim_is_timely_for_a_minute_by_whatever_clock() -> None:
    minute = int(limits.HANDLE_OPERATION_S) * SECOND
    assert CLAIM.is_timely(NOW + minute - 1) and CLAIM.is_timely(NOW - minute + 1)
    assert not CLAIM.is_timely(NOW + minute) and not CLAIM.is_timely(NOW - minute)
    assert RELEASED is not None and not RELEASED.is_timely(NOW)


def do(world: World, account: bytes, handle: str | None, until: str = "") -> Iterator[str]:
    """Begin, and go on to where it is `until`; the rest is left to the caller."""
    steps = world.set_handle(account, handle)
    for step in steps:
        world.check()
        if step == until:
            break
    return steps


def test_a_claim_that_broke_off_is_taken_over_when_it_is_stale() -> None:
    world = World()
    do(world, ALICE, HANDLE, "claimed")
    do(world, BOB, HANDLE)
    assert world.conflicts == 1 and world.chains[BOB].handle is None
    world.now += STALE
    do(world, BOB, ALIKE)
    assert world.chains[BOB].handle == ALIKE


def test_a_claim_is_stale_at_once_when_the_account_has_gone_on() -> None:
    world = World()
    do(world, ALICE, HANDLE, "claimed")
    do(world, ALICE, OTHER)
    do(world, BOB, HANDLE)
    assert world.chains[BOB].handle == HANDLE


def test_who_slept_over_its_claim_has_to_claim_again() -> None:
    world = World()
    slow = do(world, ALICE, HANDLE, "prepared to append")
    world.now += STALE
    do(world, BOB, HANDLE)
    list(slow)
    assert (world.chains[ALICE].handle, world.chains[BOB].handle) == (None, HANDLE)
    world.check()


def test_an_append_that_was_under_way_is_not_let_through_once_its_chain_was_read() -> None:
    world = World()
    slow = do(world, ALICE, HANDLE, "found it timely")
    world.now += STALE
    do(world, BOB, HANDLE)
    list(slow)
    assert (world.chains[ALICE].handle, world.chains[BOB].handle) == (None, HANDLE)


def test_the_quarantine_holds_though_the_release_broke_off() -> None:
    world = World()
    do(world, ALICE, HANDLE)
    do(world, ALICE, OTHER, "appended")
    do(world, BOB, HANDLE)
    assert world.conflicts == 1
    world.now += QUARANTINE - 1
    do(world, BOB, HANDLE)
    assert world.conflicts == 2
    world.now += 1
    do(world, BOB, HANDLE)
    assert world.chains[BOB].handle == HANDLE


def test_a_late_release_does_not_touch_what_was_taken_back() -> None:
    world = World()
    do(world, ALICE, HANDLE)
    late = do(world, ALICE, OTHER, "appended")
    do(world, ALICE, ALIKE)
    list(late)
    world.check()
    do(world, BOB, HANDLE)
    assert world.conflicts == 1


MOVES = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 11)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(moves=MOVES, skews=st.lists(st.integers(-250, 250), min_size=3, max_size=3))
def test_no_two_chains_name_one_handle_and_every_quarantine_is_kept(
    moves: list[Move], skews: list[int]
) -> None:
    world = World()
    world.skew = {account: skew * SECOND for account, skew in zip(ACCOUNTS, skews, strict=True)}
    played(world, moves)


def by_chance(seed: int) -> list[Move]:
    random = Random(seed)
    kinds = random.choices(KINDS, weights=[4, 10, 1, 1, 2], k=80)
    return [(kind, random.randrange(12)) for kind in kinds]


def fails(rules: Rules, seeds: int) -> bool:
    for seed in range(seeds):
        try:
            played(World(rules), by_chance(seed))
        except AssertionError:
            return True
    return False


def test_chance_finds_nothing_wrong_with_the_rules() -> None:
    assert not fails(Rules(), 1_000)


@pytest.mark.parametrize("left_out", list(Rules.__dataclass_fields__))
def test_every_rule_is_missed_when_it_is_left_out(left_out: str) -> None:
    assert fails(replace(Rules(), **{left_out: False}), 20_000)
