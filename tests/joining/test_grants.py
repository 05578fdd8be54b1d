"""What the cluster keeps of its join tokens: each lets in whom it was made for, once each."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from folkmoot.node.joining.grant_register import GrantRegister
from folkmoot.protocol import grants, limits
from folkmoot.protocol.consensus.value import Make, Value
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, FORBIDDEN, NOT_FOUND, UNCERTAIN, WireError
from folkmoot.protocol.grants import Admission, Grant, Grants
from folkmoot.protocol.join_token import digest_of

NOW = 1_767_225_600_000
HOUR = 3_600_000
SECRET = b"s" * 32


def grant(number: int = 1, **changes: Any) -> Grant:
    made = Grant(
        id=bytes([number]) * 8,
        digest=digest_of(SECRET),
        uses=1,
        expires_ms=NOW + HOUR,
        capacity=2_000,
    )
    return msgspec.structs.replace(made, **changes)


def newcomer(number: int = 1, name: str = "eu-4", region: str = "eu") -> Admission:
    service = b"\xed\x01" + bytes([number]) * 32
    return Admission(bytes([number]) * 16, bytes([number]) * 32, name, region, service)


def come(
    present: Grants, who: Admission, number: int = 1, now: int = NOW, names: tuple[str, ...] = ()
) -> Grants:
    return grants.admitted(present, bytes([number]) * 8, SECRET, who, names, now)


def refusal(present: Grants, who: Admission, number: int = 1, now: int = NOW) -> tuple[object, object]:
    with pytest.raises(WireError) as refused:
        come(present, who, number, now)
    return refused.value.kind, (refused.value.details or {}).get("token")


def test_a_token_is_used_once_and_by_the_same_key_again() -> None:
    present = come((grant(),), newcomer(1))
    assert grants.waiting(present, newcomer(1).node, NOW) is not None
    assert present[0].state(NOW) == "used"
    again = newcomer(1)
    assert come(present, msgspec.structs.replace(again, node=b"x" * 16)) == present, "no second use"
    assert refusal(present, newcomer(2, name="other")) == (FORBIDDEN, "used")


def test_it_is_used_as_often_as_it_says() -> None:
    present: Grants = (grant(uses=3),)
    for number in range(3):
        present = come(present, newcomer(number + 1, name=f"eu-{number}"))
    assert refusal(present, newcomer(9, name="eu-9")) == (FORBIDDEN, "used")


@pytest.mark.parametrize(
    ("change", "now", "state"),
    [
        ({}, NOW + HOUR, "expired"),
        ({}, NOW + HOUR - 1, None),
        ({"revoked": True}, NOW, "revoked"),
        ({"revoked": True}, NOW + HOUR, "revoked"),
        ({"id": b"another!"}, NOW, "unknown"),
        ({"digest": digest_of(b"other")}, NOW, "unknown"),
    ],
)
def test_what_a_token_is_worth(change: dict[str, Any], now: int, state: str | None) -> None:
    present = (grant(**change),)
    if state is None:
        assert come(present, newcomer(), now=now)[0].admitted
    else:
        assert refusal(present, newcomer(), now=now) == (FORBIDDEN, state)


def test_who_does_not_know_the_secret_is_told_nothing() -> None:
    told = set()
    for present in ((grant(revoked=True),), (grant(expires_ms=NOW),), ()):
        with pytest.raises(WireError) as refused:
            grants.found(present, grant().id, b"x" * 32)
        told.add(refused.value.message)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"name": "eu-5"}, "for the name eu-5, not eu-4"), ({"region": "us"}, "for the region us, not eu")],
)
def test_a_token_with_a_name_or_region_is_for_that_one(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint) as refused:
        come((grant(**change),), newcomer())
    assert refused.value.kind is CONFLICT


def test_a_name_belongs_to_one_node() -> None:
    with pytest.raises(WireError, match="the name eu-4 belongs to another node"):
        come((grant(),), newcomer(), names=("eu-4",))
    shared = come((grant(uses=2),), newcomer(1))
    with pytest.raises(WireError, match="this token let in and that is no member yet"):
        come(shared, newcomer(2))


def test_a_name_that_only_waits_goes_over_to_who_comes_with_another_token() -> None:
    present = come((grant(1), grant(2)), newcomer(1))
    present = come(present, newcomer(2), number=2)
    assert grants.waiting(present, newcomer(1).node, NOW) is None, "that attempt is over"
    assert grants.waiting(present, newcomer(2).node, NOW) is not None
    assert refusal(present, newcomer(3, name="eu-9")) == (FORBIDDEN, "used"), "and its use is spent"


def test_who_was_admitted_becomes_a_member_once() -> None:
    present = come((grant(),), newcomer())
    waiting = grants.waiting(present, newcomer().node, NOW)
    assert waiting is not None
    assert (waiting.name, waiting.region, waiting.capacity) == ("eu-4", "eu", 2.0)
    present = grants.become(present, newcomer().node, NOW)
    assert grants.waiting(present, newcomer().node, NOW) is None
    assert present[0].state(NOW) == "used"
    assert grants.become(present, newcomer().node, NOW) == present


def test_who_was_admitted_by_a_token_that_was_revoked_does_not_become_a_member() -> None:
    present = grants.revoked(come((grant(),), newcomer()), grant().id, NOW)
    assert grants.waiting(present, newcomer().node, NOW) is None
    assert refusal(present, newcomer()) == (FORBIDDEN, "revoked"), "nor is it given its certificate again"
    with pytest.raises(WireError) as unknown:
        grants.revoked(present, b"another!", NOW)
    assert unknown.value.kind is NOT_FOUND


def test_what_has_expired_leaves_and_who_still_waits_has_a_day() -> None:
    present = (*come((grant(1), grant(2)), newcomer(1)), grant(3, expires_ms=NOW + 9 * HOUR))
    later = grants.created(present, grant(4, expires_ms=NOW + 9 * HOUR), NOW + HOUR)
    assert [each.id[0] for each in later] == [1, 3, 4]
    ends = NOW + HOUR + limits.JOIN_WAIT_MS
    assert grants.waiting(later, newcomer(1).node, ends - 1) is not None
    assert grants.waiting(later, newcomer(1).node, ends) is None
    assert grants.become(later, newcomer(1).node, NOW + HOUR)[0].id[0] == 1
    done = grants.become(grants.become(later, newcomer(1).node, NOW + HOUR), newcomer(1).node, NOW + HOUR)
    assert [each.id[0] for each in done] == [3, 4]


def test_they_are_written_and_read_and_there_is_room_for_so_many() -> None:
    present = come((grant(1, name="eu-4", region="eu"), grant(2)), newcomer())
    assert grants.read_grants(grants.write_grants(present)) == present
    assert grants.read_grants(None) == ()
    with pytest.raises(WireError) as damaged:
        grants.read_grants(b"\x93\x01\x02\x03")
    assert damaged.value.kind is BAD_REQUEST
    with pytest.raises(WireError, match="no room for more") as full:
        grants.write_grants(tuple(grant(1) for _ in range(limits.JOIN_GRANTS + 1)))
    assert full.value.kind is CONFLICT
    crowd = [newcomer(1, name="n" * 63) for _ in range(limits.JOIN_USES)]
    with pytest.raises(WireError, match="no room for more"):
        grants.write_grants(tuple(grant(1, uses=64, admitted=crowd) for _ in range(limits.JOIN_GRANTS)))


async def test_an_unknown_outcome_is_told_in_words_that_an_operator_can_follow() -> None:
    class Uncertain:
        async def change(self, name: str, make: Make) -> Value | None:
            raise WireError(UNCERTAIN, "ask again with the same request id", details={"register": name})

        async def read(self, name: str) -> Value | None:
            return None

    with pytest.raises(WireError, match="folkmoot join-token ls") as refused:
        await GrantRegister(Uncertain()).change(lambda present: present)
    assert refused.value.kind is UNCERTAIN and "request id" not in refused.value.message
