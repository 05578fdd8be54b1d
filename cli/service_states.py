"""How the search index of a running node is, and what it can look at, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def service_states(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What is to be said of either, each by its name.

    Args:
        figures: of the node, as `cluster.status` tells them.
    """
    yield "media", *media_state(figures)
    yield "search", *search_state(figures)


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


def media_state(figures: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a node can look at before it shows it, told as `search_state` tells of search.

    Args:
        figures: of the node; one of an earlier edition does not say what it can decode.
    """
    screening = (figures.get("media") or {}).get("screening")
    if screening is None:
        return "well", "this node does not look at pictures (screening.enabled)", ""
    decoders = screening.get("decoders", ["pictures"])
    if not decoders:
        return "watch", "nothing can be decoded, so all is unknown", "pip install 'folkmoot[media]'"
    if "films" not in decoders:
        return "well", "pictures are looked at; films are unknown without the extra [video]", ""
    return "well", "pictures and films are looked at", ""
