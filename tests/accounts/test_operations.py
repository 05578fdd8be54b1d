"""Operations as bytes: read as they were written, and nothing else read as one."""

from __future__ import annotations

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
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import BAD_REQUEST, NOT_CANONICAL, TOO_LARGE, WireError
from folkmoot.protocol.identity import KeyPair
from hypothesis import given
from hypothesis import strategies as st

from tests.accounts.story import FIRST, NEW, RECOVERY, SECOND, STAMP, Story

MANY = tuple(KeyPair(bytes([100 + number]) * 32).account for number in range(limits.CELL_DEVICES))
ACTIONS: list[Action] = [
    Create(),
    Create(RECOVERY.account),
    AddKey(NEW.account),
    AddKey(NEW.account, "x" * limits.KEY_NAME_CHARACTERS),
    RevokeKey(SECOND.account, "x" * limits.ACCOUNT_REASON_CHARACTERS),
    RotateKey(SECOND.account, NEW.account, "phone"),
    Recover(MANY, RECOVERY.account),
    SetRecovery(NEW.account),
    SetHandle("x" * limits.HANDLE_CHARACTERS_MAX),
    SetHandle("東" * limits.HANDLE_CHARACTERS_MAX),
    SetHandle(None),
    Close("bye"),
    Suspend(),
    Restore("sorry"),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
@pytest.mark.parametrize("key", [FIRST, SECOND], ids=["first key", "another"])
def test_an_operation_is_read_as_it_was_signed(action: Action, key: KeyPair) -> None:
    before = Story((FIRST, Create())).operations[0]
    signed = Operation.sign(key, FIRST.account, action, previous=before, stamp=limits.STAMP_MAX)
    read = Operation.from_wire(signed.to_wire())
    read.verify()
    assert read == signed and hash(read) == hash(signed)
    assert (read.account, read.signer, read.action) == (FIRST.account, key.account, action)
    assert (read.number, read.previous, read.stamp) == (2, before.hash, limits.STAMP_MAX)


def test_an_operation_cut_short_or_with_a_tail_is_none() -> None:
    operation = Story().signed(FIRST, Create(RECOVERY.account))
    for hostile in (
        *(operation.payload[:end] for end in range(len(operation.payload))),
        operation.payload + b"\x00",
    ):
        with pytest.raises(WireError) as refusal:
            Operation(hostile, operation.signature)
        assert refusal.value.kind == NOT_CANONICAL


def test_an_operation_that_is_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(WireError) as refusal:
        Operation(b"\xff" * (limits.ACCOUNT_OPERATION_BYTES + 1), bytes(64))
    assert refusal.value.kind == TOO_LARGE


@pytest.mark.parametrize(
    "wire", [None, 7, [], [b"x"], [b"x", "y"], ["x", b"y"], [b"x", b"y", b"z"], {"a": b""}]
)
def test_what_is_no_pair_of_binaries_is_no_operation(wire: object) -> None:
    with pytest.raises(WireError) as refusal:
        Operation.from_wire(wire)
    assert refusal.value.kind == BAD_REQUEST


def test_what_would_not_be_valid_is_not_signed() -> None:
    with pytest.raises(WireError) as refusal:
        Story().signed(FIRST, SetHandle("Alice"))
    assert "it is 'alice'" in refusal.value.message


@given(payload=st.binary(max_size=200), signature=st.binary(min_size=64, max_size=64))
def test_hostile_bytes_are_refused_by_name(payload: bytes, signature: bytes) -> None:
    with pytest.raises(WireError):
        Operation(payload, signature)


def test_stamps_are_told_and_decide_nothing() -> None:
    late, early = (
        Operation.sign(FIRST, FIRST.account, Create(), previous=None, stamp=stamp) for stamp in (STAMP, 0)
    )
    one, other = Story().account.after(late), Story().account.after(early)
    assert (one.keys, one.number) == (other.keys, other.number)
