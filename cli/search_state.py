"""How the search index of a running node is, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def search_state(figures: Mapping[str, Any]) -> tuple[str, str, str]:
    """Whether it is `well` or to be watched (`watch`), what is to be said of it, and what to do about it.

    Args:
        figures: of the node, as `cluster.status` tells them; one of an earlier edition has no index.
    """
    search = figures.get("projections", {}).get("search", {"enabled": False})
    if not search["enabled"]:
        return "well", "this node makes no index (search.enabled)", ""
    if search["full"]:
        return "watch", "there is no room for the index", "raise store.disk_cap, or make room on the disk"
    if search["damaged"]:
        return "watch", f"the index was damaged {search['damaged']} times, and made anew", "look at the disk"
    if search["lag_ms"] is None:
        return "watch", "the index is being made; other replicas are asked", "folkmoot projection ls"
    return "well", f"the index is at most {search['lag_ms'] / 1000:.1f} s behind", ""
