"""What every test may use: Hypothesis settings, and the corpora that lie beside a checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

# A shared machine may stall any single example, so only the test's own deadline (pytest-timeout) counts.
settings.register_profile(
    "folkmoot", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("folkmoot")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The path of a corpus file, named relative to `shared/data`; skips when this machine has none."""

    def path_of(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.exists():
            pytest.skip(
                f"the corpus {name} is not on this machine; it belongs in shared/data beside the checkout"
            )
        return path

    return path_of
