"""What tests of the simulation share."""

from __future__ import annotations

import pytest
from folkmoot.node.simulation.determinism import VirtualClock


@pytest.fixture
def autojump_clock() -> VirtualClock:
    """The clock that simulated networks deliver by, in the place of pytest-trio's."""
    return VirtualClock()
