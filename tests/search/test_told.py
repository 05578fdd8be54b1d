"""What `folkmoot doctor` says of a search index."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.cli.service_states import search_state

WELL = {"enabled": True, "full": False, "damaged": 0, "lag_ms": 1200}


@pytest.mark.parametrize(
    ("more", "state", "said"),
    [
        ({}, "well", "at most 1.2 s behind"),
        ({"enabled": False}, "well", "makes no index"),
        ({"full": True}, "watch", "no room"),
        ({"damaged": 2}, "watch", "damaged 2 times"),
        ({"lag_ms": None}, "watch", "being made"),
    ],
)
def test_a_state_is_told_in_words(more: dict[str, Any], state: str, said: str) -> None:
    told = search_state({"projections": {"search": {**WELL, **more}}})
    assert told[0] == state
    assert said in told[1]
    assert (state == "watch") == bool(told[2])


def test_a_node_of_an_earlier_edition_has_none() -> None:
    assert search_state({})[0] == "well"
