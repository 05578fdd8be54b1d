"""Small pages, so that small stores are read in many of them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("folkmoot.storage.backup.create._PAGE_ROWS", 5)
