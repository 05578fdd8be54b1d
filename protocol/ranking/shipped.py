"""The feed algorithms that come with every node, as documents of the same kind as everybody's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_HOUR: Final = 3_600
_DAY: Final = 24 * _HOUR

_LATEST: Final[dict[str, Any]] = {
    "title": "Latest",
    "about": "What those whom you follow post and repost, the newest first.",
    "sources": [{"from": "following", "limit": 500}],
    "terms": [{"name": "newest", "value": "-age_s", "weight": 1_000}],
}

_BEST: Final[dict[str, Any]] = {
    "title": "Best",
    "about": "What those whom you follow post and repost; first what is new and what others answer and like.",
    "sources": [{"from": "following", "limit": 500}],
    "terms": [
        {"name": "new", "value": "1.0", "weight": 3_000, "half_life_s": 6 * _HOUR},
        {"name": "answers", "value": "replies / (replies + 3.0)", "weight": 4_000, "half_life_s": _DAY},
        {"name": "likes", "value": "likes / (likes + 10.0)", "weight": 3_000, "half_life_s": _DAY},
        {"name": "reposts", "value": "reposts / (reposts + 5.0)", "weight": 2_000, "half_life_s": _DAY},
        {"name": "first post of a thread", "value": "!is_reply", "weight": 500, "half_life_s": _DAY},
    ],
    "per_author": 10,
}

_DISCOVER: Final[dict[str, Any]] = {
    "title": "Discover",
    "about": "What people post whom you do not follow: friends of friends, and who writes of what you do.",
    "sources": [{"from": "friends"}, {"from": "tags"}, {"from": "similar", "optional": True}],
    "filters": ["!own", "!followed", "!has_warning"],
    "terms": [
        {"name": "followed by your friends", "value": "friends / (friends + 2.0)", "weight": 4_000},
        {"name": "your tags", "value": "tag_hits / (tag_hits + 1.0)", "weight": 4_000},
        {"name": "like what you write", "value": "similarity", "weight": 4_000},
        {"name": "new", "value": "1.0", "weight": 3_000, "half_life_s": _DAY},
        {
            "name": "answers and likes",
            "value": "(likes + 2.0 * replies) / (likes + 2.0 * replies + 10.0)",
            "weight": 3_000,
            "half_life_s": 3 * _DAY,
        },
    ],
    "per_author": 3,
}

LATEST: Final = "latest"
SHIPPED: Final[Mapping[str, Mapping[str, Any]]] = {LATEST: _LATEST, "best": _BEST, "discover": _DISCOVER}
"""Documents by the names that they are asked for with."""
