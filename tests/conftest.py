"""What every test may use: Hypothesis settings, and the corpora that lie beside a checkout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
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


@pytest.fixture(autouse=True)
def _the_log_is_left_as_it_was() -> Iterator[None]:
    """Whoever sends the log somewhere takes that down again: captured streams are closed after their test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    left = [handler for handler in root.handlers if handler not in handlers]
    changed_level = root.level != level
    root.handlers[:] = handlers
    root.setLevel(level)
    assert not left, f"handlers were left behind on the root logger: {left}"
    assert not changed_level, "the level of the root logger was left changed"


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
