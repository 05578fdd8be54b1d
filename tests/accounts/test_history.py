"""What a chain makes of an account: who may do what, and what can never be done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import (
    Action,
    AddKey,
    Close,
    Create,
    Recover,
    Restore,
    RevokeKey,
    RotateKey,
    SetHandle,
    SetRecovery,
    Suspend,
)
from folkmoot.protocol.accounts.history import Account, fold
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, ErrorKind, WireError
from folkmoot.protocol.identity import KeyPair
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accounts.story import FIRST, NEW, NEXT_RECOVERY, RECOVERY, REVOKED, SECOND, STRANGER, Story, story

SIGNERS = (FIRST, SECOND, REVOKED, RECOVERY, STRANGER)
ACTIONS: dict[str, Action] = {
    "create": Create(RECOVERY.account),
    "add_key": AddKey(NEW.account),
    "revoke_key": RevokeKey(SECOND.account),
    "rotate_key": RotateKey(SECOND.account, NEW.account),
    "set_handle": SetHandle("alice"),
    "close": Close("goodbye"),
    "recover": Recover((NEW.account,), NEXT_RECOVERY.account),
    "set_recovery": SetRecovery(NEXT_RECOVERY.account),
    "suspend": Suspend("spam"),
    "restore": Restore(),
}
# What comes of it, signed by the first key, another, a revoked one, the recovery key, and a stranger's:
# done, or refused as forbidden, revoked_key, conflict or bad_request.
TABLE = """
                plain   usual   without recovery   suspended   closed
create          dffff   cfrff   cfrff              ffrff       ccccc
add_key         bffff   ddrff   ddrff              ffrff       ccccc
revoke_key      bffff   ddrdf   ddrff              ffrdf       ccccc
rotate_key      bffff   ddrff   ddrff              ffrff       ccccc
set_handle      bffff   ddrff   ddrff              ffrff       ccccc
close           bffff   ddrdf   ddrff              ffrdf       ccccc
recover         fffff   ffrdf   ffrff              ffrdf       ccccc
set_recovery    fffff   ffrdf   ffrff              ffrdf       ccccc
suspend         ddddd   ddddd   ddddd              ccccc       ccccc
restore         ccccc   ccccc   ccccc              ddddd       ccccc
"""
STATES = ("plain", "usual", "without recovery", "suspended", "closed")
OUTCOMES = {"d": None, "f": "forbidden", "r": "revoked_key", "c": "conflict", "b": "bad_request"}
CASES = [
    (line.split()[0], state, signer, OUTCOMES[outcome])
    for line in TABLE.strip().splitlines()[1:]
    for state, outcomes in zip(STATES, line.split()[1:], strict=True)
    for signer, outcome in zip(SIGNERS, outcomes, strict=True)
]


@pytest.mark.parametrize(("action", "state", "signer", "outcome"), CASES)
def test_who_may_do_what(action: str, state: str, signer: KeyPair, outcome: str | None) -> None:
    told = story(state)
    before = told.account
    try:
        told.do(signer, ACTIONS[action])
    except WireError as error:
        assert error.kind.name == outcome, error
        assert told.account == before
    else:
        assert outcome is None
        assert told.account.number == before.number + 1


def refused(kind: ErrorKind, attempt: Callable[[], object], why: str) -> None:
    with pytest.raises(WireError) as refusal:
        attempt()
    assert refusal.value.kind == kind and why in refusal.value.message, refusal.value


def test_a_recovery_replaces_every_key_and_can_replace_its_own() -> None:
    told = story("suspended")
    told.do(RECOVERY, Recover((NEW.account,), NEXT_RECOVERY.account))
    assert told.account.signing_keys() == (NEW.account,)
    assert told.account.suspended, "which is for operators to end"
    refused(FORBIDDEN, lambda: told.do(RECOVERY, Recover((STRANGER.account,))), "may not")
    told.do(STRANGER, Restore())
    assert told.account.may_sign(NEW.account) and not told.account.may_sign(FIRST.account)
    told.do(NEXT_RECOVERY, Recover((STRANGER.account,)))
    assert told.account.recovery == NEXT_RECOVERY.account


@pytest.mark.parametrize(
    ("action", "kind", "why"),
    [
        (AddKey(SECOND.account), CONFLICT, "already"),
        (AddKey(REVOKED.account), CONFLICT, "for ever"),
        (AddKey(RECOVERY.account), BAD_REQUEST, "recovery key"),
        (RevokeKey(NEW.account), CONFLICT, "none of the account's"),
        (RevokeKey(REVOKED.account), CONFLICT, "revoked before"),
        (RotateKey(NEW.account, STRANGER.account), CONFLICT, "none of the account's"),
        (RotateKey(SECOND.account, SECOND.account), CONFLICT, "for ever"),
        (RotateKey(SECOND.account, FIRST.account), CONFLICT, "already"),
    ],
)
def test_keys_that_cannot_come_or_go(action: Action, kind: ErrorKind, why: str) -> None:
    refused(kind, lambda: story("usual").do(FIRST, action), why)


@pytest.mark.parametrize(
    ("action", "kind", "why"),
    [
        (Recover((FIRST.account,)), CONFLICT, "for ever"),
        (Recover((REVOKED.account,)), CONFLICT, "for ever"),
        (Recover((NEW.account, NEW.account)), CONFLICT, "already"),
        (Recover((RECOVERY.account,)), BAD_REQUEST, "recovery key"),
        (Recover((NEW.account,), NEW.account), BAD_REQUEST, "key of its own"),
        (Recover((NEW.account,), REVOKED.account), BAD_REQUEST, "key of its own"),
        (SetRecovery(SECOND.account), BAD_REQUEST, "key of its own"),
    ],
)
def test_recoveries_that_would_not_be_one(action: Action, kind: ErrorKind, why: str) -> None:
    refused(kind, lambda: story("usual").do(RECOVERY, action), why)


def test_the_last_key_goes_only_if_there_is_a_way_back() -> None:
    told = story("without recovery")
    told.do(SECOND, RevokeKey(FIRST.account))
    refused(BAD_REQUEST, lambda: told.do(SECOND, RevokeKey(SECOND.account)), "no key that can sign")
    told = story("usual")
    told.do(SECOND, RevokeKey(FIRST.account))
    told.do(SECOND, RevokeKey(SECOND.account))
    assert told.account.signing_keys() == ()
    told.do(RECOVERY, Recover((NEW.account,)))
    assert told.account.may_sign(NEW.account)


def test_an_account_has_as_many_keys_as_cells_have_room_for() -> None:
    told = Story((FIRST, Create()))
    for number in range(1, limits.CELL_DEVICES):
        told.do(FIRST, AddKey(KeyPair(bytes([100 + number]) * 32).account))
    refused(BAD_REQUEST, lambda: told.do(FIRST, AddKey(NEW.account)), "at most 16 keys")
    told.do(FIRST, RotateKey(FIRST.account, NEW.account))
    assert len(told.account.signing_keys()) == limits.CELL_DEVICES


def test_an_account_that_was_suspended_before_it_was_created_can_still_be() -> None:
    told = Story((STRANGER, Suspend()), (STRANGER, Restore()))
    refused(BAD_REQUEST, lambda: told.do(FIRST, AddKey(SECOND.account)), "create")
    told.do(FIRST, Create(RECOVERY.account))
    assert told.account.recovery == RECOVERY.account
    refused(CONFLICT, lambda: told.do(FIRST, Create()), "already")


def test_closing_gives_up_the_handle_and_every_key() -> None:
    told = story("usual")
    told.do(FIRST, SetHandle("alice"))
    told.do(SECOND, Close())
    assert (told.account.handle, told.account.signing_keys()) == (None, ())
    assert not any(told.account.may_sign(key.account) for key in SIGNERS)


def until_refused(told: Story, *steps: tuple[KeyPair, Action]) -> None:
    """Do all of them over and over, until there is no room for one."""
    with pytest.raises(WireError) as refusal:
        while True:
            for key, action in steps:
                told.do(key, action)
    assert "what is left is for" in refusal.value.message, refusal.value


def test_a_thief_of_a_device_cannot_use_up_what_it_takes_to_recover() -> None:
    told = story("usual")
    for number in range(limits.CELL_DEVICES - 2):
        told.do(SECOND, AddKey(KeyPair(bytes([100 + number]) * 32).account))
    until_refused(told, (SECOND, SetHandle("mine")))
    for key in told.account.signing_keys():
        if key != SECOND.account:
            told.do(SECOND, RevokeKey(key))
    told.do(SECOND, RevokeKey(SECOND.account))
    until_refused(told, (STRANGER, Suspend()), (STRANGER, Restore()))
    assert not told.account.suspended, "there was room to restore what could be suspended"
    told.do(RECOVERY, Recover((NEW.account,), NEXT_RECOVERY.account))
    assert told.account.may_sign(NEW.account)
    others = iter(KeyPair(bytes([200 + number]) * 32) for number in range(40))
    with pytest.raises(WireError):
        while True:
            told.do(NEXT_RECOVERY, Recover((next(others).account,)))
    assert told.account.number == limits.ACCOUNT_OPERATIONS - 1
    told.do(NEXT_RECOVERY, Close())
    assert told.account.closed


KEYS = (FIRST, SECOND, REVOKED, RECOVERY, STRANGER, NEW, NEXT_RECOVERY)
KEY_IDS = st.sampled_from([key.account for key in KEYS])
STEPS = st.one_of(
    st.builds(Create, st.none() | KEY_IDS),
    st.builds(AddKey, KEY_IDS, st.sampled_from(["", "phone"])),
    st.builds(RevokeKey, KEY_IDS),
    st.builds(RotateKey, KEY_IDS, KEY_IDS),
    st.builds(Recover, st.lists(KEY_IDS, min_size=1, max_size=3).map(tuple), st.none() | KEY_IDS),
    st.builds(SetRecovery, KEY_IDS),
    st.builds(SetHandle, st.none() | st.sampled_from(["alice", "bob"])),
    st.builds(Suspend),
    st.builds(Restore),
)


@st.composite
def chains(draw: st.DrawFn) -> Story:
    """A chain of whatever was allowed of what was tried."""
    told = story(draw(st.sampled_from(["plain", "usual", "without recovery", "suspended"])))
    tried = draw(st.lists(st.tuples(st.sampled_from(KEYS), STEPS), max_size=12))
    if draw(st.booleans()):
        tried.append((draw(st.sampled_from(KEYS)), Close()))
    for key, action in tried:
        try:
            told.do(key, action)
        except WireError:
            continue
    return told


@settings(max_examples=150, deadline=None)
@given(told=chains())
def test_a_chain_folded_whole_is_what_it_was_step_by_step(told: Story) -> None:
    again = [Operation.from_wire(operation.to_wire()) for operation in told.operations]
    assert fold(FIRST.account, again) == told.account


@settings(max_examples=150, deadline=None)
@given(told=chains())
def test_a_revoked_key_never_signs_again_and_no_more_keys_sign_than_there_are(told: Story) -> None:
    revoked: set[bytes] = set()
    state = Account.plain(FIRST.account)
    for operation in told.operations:
        by_device = not isinstance(operation.action, Suspend | Restore)
        assert not (by_device and operation.signer in revoked)
        state = state.after(operation)
        assert not any(state.may_sign(key) for key in revoked)
        revoked |= {key for key, held in state.keys.items() if held.revoked is not None}
        assert set(state.signing_keys()).isdisjoint(revoked)
        assert state.recovery not in state.keys
        assert state.closed or state.recovery or state.signing_keys()


@settings(max_examples=150, deadline=None)
@given(told=chains())
def test_what_has_a_recovery_key_can_be_recovered_until_it_is_closed(told: Story) -> None:
    keys = {key.account: key for key in KEYS}
    fresh = KeyPair(bytes([99]) * 32)
    if told.account.recovery is None or told.account.closed:
        return
    told.do(keys[told.account.recovery], Recover((fresh.account,)))
    assert told.account.signing_keys() == (fresh.account,)


@settings(max_examples=100, deadline=None)
@given(told=chains(), data=st.data())
def test_nothing_can_be_left_out_put_in_reordered_or_exchanged(told: Story, data: st.DataObject) -> None:
    chain = told.operations
    if len(chain) < 2:
        return
    at = data.draw(st.integers(0, len(chain) - 2))
    other = data.draw(st.integers(0, len(chain) - 1).filter(lambda place: place != at))
    swapped = list(chain)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    forked = Operation.sign(STRANGER, FIRST.account, Suspend("fork"), previous=chain[at], stamp=0)
    for hostile in (
        chain[:at] + chain[at + 1 :],
        swapped,
        chain[: at + 1] + chain[at:],
        [*chain[: at + 2], forked, *chain[at + 2 :]],
    ):
        with pytest.raises(WireError) as refusal:
            fold(FIRST.account, hostile)
        assert refusal.value.kind == CONFLICT
    with pytest.raises(WireError):
        fold(SECOND.account, chain)


@settings(max_examples=200, deadline=None)
@given(told=chains(), data=st.data())
def test_no_bit_of_a_chain_can_be_flipped(told: Story, data: st.DataObject) -> None:
    if not told.operations:
        return
    at = data.draw(st.integers(0, len(told.operations) - 1))
    chain = [operation.to_wire() for operation in told.operations]
    half = data.draw(st.sampled_from([0, 1]))
    bit = data.draw(st.integers(0, 8 * len(chain[at][half]) - 1))
    flipped = bytearray(chain[at][half])
    flipped[bit // 8] ^= 1 << bit % 8
    chain[at][half] = bytes(flipped)
    with pytest.raises(WireError):
        fold(FIRST.account, [Operation.from_wire(wire) for wire in chain])
