"""What a request claims and how it is judged."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.protocol.errors import BAD_REQUEST, STALE_TOPOLOGY, WireError
from folkmoot.protocol.ring import epochs
from folkmoot.protocol.ring.epochs import Claim

from tests.ring.samples import descriptor, thirds

RANGES = thirds().replace(descriptor(1, 3, b"\x40", b"\x80"))


def test_a_claim_of_the_same_epoch_is_the_descriptor() -> None:
    found = RANGES.lookup(b"\x41")
    claim = Claim.from_params({"key": b"\x41", **Claim.of(found).to_params()})
    assert epochs.check(RANGES, claim) is found


@pytest.mark.parametrize(
    ("claim", "epoch", "behind"),
    [
        (Claim(1, 2), 3, "the sender is behind"),
        (Claim(1, 4), 3, "this node is behind"),
        (Claim(9, 1), 0, "this node is behind"),
    ],
)
def test_another_epoch_is_stale_and_says_who_must_fetch(claim: Claim, epoch: int, behind: str) -> None:
    with pytest.raises(WireError, match=behind) as caught:
        epochs.check(RANGES, claim)
    assert caught.value.kind is STALE_TOPOLOGY
    assert caught.value.details == {"range": claim.range, "epoch": epoch}


@pytest.mark.parametrize(
    "params",
    [None, {}, {"range": 1}, {"range": -1, "epoch": 1}, {"range": 1, "epoch": 0}, {"range": "1", "epoch": 1}],
)
def test_a_request_without_a_claim_is_refused(params: Any) -> None:
    with pytest.raises(WireError) as caught:
        Claim.from_params(params)
    assert caught.value.kind is BAD_REQUEST
