"""The bytes of datagrams and push-pull payloads, good ones and others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.gossip import messages, push_pull
from folkmoot.protocol.gossip.members import Member
from folkmoot.protocol.gossip.messages import Ack, Alive, Dead, Left, Nack, Ping, PingRequest, Suspect
from folkmoot.protocol.limits import GOSSIP_MEMBERS, INCARNATION_MAX
from hypothesis import given
from hypothesis import strategies as st

from tests.gossip.strategies import descriptions, incarnations, members, node_ids
from tests.gossip.world import description, node_id

sequences = st.integers(0, 2**16 - 1)
spoken = st.one_of(
    st.builds(Ping, sequences, node_ids),
    st.builds(PingRequest, sequences, node_ids),
    st.builds(Ack, sequences),
    st.builds(Nack, sequences),
    st.builds(Suspect, node_ids, incarnations, node_ids),
    st.builds(Dead, node_ids, incarnations, node_ids),
    st.builds(Left, node_ids, incarnations),
    st.builds(Alive, node_ids, incarnations, descriptions),
)


@pytest.mark.parametrize(
    ("message", "layout"),
    [
        (Ping(0x0102, b"t" * 16), "01 0102" + "74" * 16),
        (PingRequest(1, b"t" * 16), "02 0001" + "74" * 16),
        (Ack(65_535), "03 ffff"),
        (Nack(0), "04 0000"),
        (Suspect(b"s" * 16, 3, b"a" * 16), "05" + "73" * 16 + "0000000000000003" + "61" * 16),
        (Dead(b"s" * 16, 4, b"a" * 16), "06" + "73" * 16 + "0000000000000004" + "61" * 16),
        (Left(b"s" * 16, 5), "07" + "73" * 16 + "0000000000000005"),
    ],
)
def test_layout(message: messages.Message, layout: str) -> None:
    assert messages.encode(message) == bytes.fromhex(layout.replace(" ", ""))


@given(st.lists(spoken, max_size=6))
def test_messages_survive_the_wire_one_after_another(said: list[messages.Message]) -> None:
    assert messages.decode(b"".join(map(messages.encode, said))) == tuple(said)


@given(spoken)
def test_a_message_cut_anywhere_is_refused(message: messages.Message) -> None:
    encoded = messages.encode(message)
    for end in range(1, len(encoded)):
        with pytest.raises(WireError):
            messages.decode(encoded[:end])


DECODERS: list[Callable[[bytes], object]] = [
    messages.decode,
    push_pull.decode_request,
    push_pull.decode_answer,
]


@given(st.sampled_from(DECODERS), st.binary(max_size=200))
def test_hostile_bytes_raise_nothing_but_the_typed_error(
    decode: Callable[[bytes], object], data: bytes
) -> None:
    try:
        decode(data)
    except WireError as error:
        assert error.kind.code < 200, "the fault is the sender's"


@given(st.sampled_from(DECODERS), st.lists(members, max_size=2), st.integers(0, 400), st.integers(1, 255))
def test_a_flipped_byte_raises_nothing_but_the_typed_error(
    decode: Callable[[bytes], object], view: list[Member], position: int, flip: int
) -> None:
    alive = messages.encode(Alive(node_id("x"), 1, description("x")))
    for payload in (push_pull.encode(push_pull.Exchange(node_id("x"), tuple(view))), alive):
        damaged = bytearray(payload)
        damaged[position % len(damaged)] ^= flip
        try:
            decode(bytes(damaged))
        except WireError as error:
            assert error.kind.code < 200


@given(st.lists(members, max_size=3))
def test_push_pull_survives_the_wire(view: list[Member]) -> None:
    requests: list[push_pull.Request] = [
        push_pull.Compare(node_id("x"), b"d" * 16),
        push_pull.Exchange(node_id("x"), tuple(view)),
    ]
    assert [push_pull.decode_request(push_pull.encode(request)) for request in requests] == requests
    answers: list[push_pull.Answer] = [
        push_pull.Equal(node_id("x")),
        push_pull.Whole(node_id("x"), tuple(view)),
    ]
    assert [push_pull.decode_answer(push_pull.encode(answer)) for answer in answers] == answers


def test_a_comparison_of_equal_views_is_small() -> None:
    assert len(push_pull.encode(push_pull.Compare(node_id("x"), b"d" * 16))) < 40
    assert len(push_pull.encode(push_pull.Equal(node_id("x")))) < 24


@pytest.mark.parametrize(
    "value",
    [
        [1, b"short", b"d" * 16],
        [1, b"i" * 16, b"short"],
        [2, b"i" * 16, [[b"i" * 16, 9, 1, 1, b""]]],
        [2, b"i" * 16, [[b"i" * 16, 0, INCARNATION_MAX + 1, 1, b""]]],
        [2, b"i" * 16, [[b"i" * 16, 0, 1, 1, b"\xc1"]]],
        [2, b"i" * 16, [[b"i" * 16, True, 1, 1, description("i").encode()]]],
        [2, b"i" * 16, [[b"i" * 16, 0, True, 1, description("i").encode()]]],
        [2, b"i" * 16, [[b"i" * 16, 0, 1, True, description("i").encode()]]],
        [2, b"i" * 16, [0] * (GOSSIP_MEMBERS + 1)],
        [3, b"i" * 16],
        [],
    ],
)
def test_what_is_not_a_request_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        push_pull.decode_request(codec.pack(value))


def test_an_incarnation_beyond_the_greatest_is_refused() -> None:
    encoded = messages.encode(Left(b"s" * 16, INCARNATION_MAX + 1))
    with pytest.raises(WireError, match="incarnation"):
        messages.decode(encoded)
