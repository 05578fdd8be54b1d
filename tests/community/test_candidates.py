"""Which document gives way: one's own first, and never what an operator is about to activate."""

from __future__ import annotations

import hashlib

import pytest
from folkmoot.protocol.community.bounds import (
    DOCUMENTS_KEPT,
    DOCUMENTS_NAMED,
    DOCUMENTS_OF_NODE,
    DOCUMENTS_OF_OPERATOR,
    DOCUMENTS_PUT,
)
from folkmoot.protocol.community.candidates import FETCHED, Origin, gives_way
from hypothesis import given
from hypothesis import strategies as st

from tests.community.people import account

EVA, MAX, LEO = account(1), account(2), account(3)
ONE, TWO, SIX = (bytes([number]) * 16 for number in (1, 2, 6))
WHO = {"e": EVA, "m": MAX, "l": LEO, "1": ONE, "2": TWO, "6": SIX, ".": FETCHED}


def kept(origins: str) -> dict[bytes, Origin]:
    """Documents that these brought, the first kept first."""
    return {hashlib.sha256(b"%d" % at).digest(): WHO[each] for at, each in enumerate(origins)}


@pytest.mark.parametrize(
    ("origins", "who", "full", "goes"),
    [
        ("", "1", False, None),
        ("1", "1", False, None),
        ("e1m1", "1", False, 1),  # its oldest, though there is room
        ("e2.1", "1", True, 3),  # its own, though others are older
        ("e2.", "1", True, 1),  # none of its own: what no operator put
        ("em", "1", True, None),
        ("e.1", ".", False, None),
        ("e.1", ".", True, 1),
        ("em", ".", True, None),
        ("ee", "e", False, None),
        ("m1eee", "e", False, 2),
        ("m2e1", "e", True, 1),
        ("mme", "e", True, 2),
        ("mm", "e", True, 0),
        ("mmmlll", "e", False, 0),
        ("mmmlle", "e", False, 5),
    ],
)
def test_who_gives_way_to_whom(origins: str, who: str, full: bool, goes: int | None) -> None:
    brought = kept(origins)
    free = list(brought)
    assert gives_way(WHO[who], free, brought, full) == (None if goes is None else free[goes])


@given(st.lists(st.sampled_from("eml126."), max_size=80), st.integers(0, DOCUMENTS_NAMED))
def test_there_is_always_room_and_operators_lose_nothing_to_nodes(who: list[str], in_use: int) -> None:
    free: dict[bytes, Origin] = {}
    for at, each in enumerate(who):
        origin = WHO[each]
        full = len(free) + in_use >= DOCUMENTS_KEPT
        goes = gives_way(origin, list(free), free, full)
        assert goes is not None or not full, "whatever is brought is kept"
        if goes is not None:
            assert len(free[goes]) != 34 or len(origin) == 34, "only an operator takes an operator's place"
            del free[goes]
        free[hashlib.sha256(b"%d" % at).digest()] = origin
        counts = {name: list(free.values()).count(name) for name in WHO.values()}
        assert all(counts[each] <= DOCUMENTS_OF_NODE for each in (ONE, TWO, SIX))
        assert all(counts[each] <= DOCUMENTS_OF_OPERATOR for each in (EVA, MAX, LEO))
        assert sum(counts[each] for each in (EVA, MAX, LEO)) <= DOCUMENTS_PUT
