"""What the gate sent back, as it is counted."""

from __future__ import annotations

import pytest
from folkmoot.storage import refusals
from folkmoot.storage.refusals import Refusal
from folkmoot.storage.store import Store

from tests.storage.making import NOW_US, run


def refusal(at_us: int = NOW_US, rule: str = "no-scams") -> Refusal:
    return Refusal(
        at_us, "post", rule, "ab" * 32, "So.", "text", (1, 4), {"scores.toxic": "1"}, "de", ["image"]
    )


def kept(store: Store, after: bytes = b"", since_us: int = 0, most: int = 100) -> list[Refusal]:
    return [each for _, each in refusals.page(store.engine, after, since_us, most)]


def test_refusals_are_told_in_order_page_by_page_since_a_time(store: Store) -> None:
    made = [refusal(NOW_US + at // 2, f"r{at}") for at in range(6)]  # two at each moment
    run(store, lambda tx: refusals.keep(tx, made[:3]))
    run(store, lambda tx: refusals.keep(tx, made[3:]))
    assert kept(store) == made and kept(store, since_us=NOW_US + 1) == made[2:]
    first = refusals.page(store.engine, b"", 0, 4)
    assert [each for _, each in first] == made[:4]
    assert kept(store, first[-1][0]) == made[4:] and kept(store, first[0][0], NOW_US + 2) == made[4:]


def test_the_oldest_give_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "REFUSALS_KEPT", 3)
    made = [refusal(NOW_US + at) for at in range(5)]
    run(store, lambda tx: refusals.keep(tx, made))
    assert kept(store) == made[2:]
