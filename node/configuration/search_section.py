"""The settings of search; see `settings`."""

from __future__ import annotations

from typing import Annotated

from folkmoot.node.configuration.setting import Section, setting


class SearchSection(Section, frozen=True, kw_only=True):
    """Finding posts by their words."""

    enabled: Annotated[
        bool,
        setting(
            "Whether this node indexes the words of the posts it keeps. Off: an index that was there is "
            "removed, and searches ask the other replicas.",
            why="People look for things; the index takes about as much room as the posts.",
        ),
    ] = True
    trend_hours: Annotated[
        float,
        setting(
            "After how long the use of a tag counts half among what trends.",
            why="What people speak of in the evening is another thing than in the morning.",
            unit="hours",
            ge=0.1,
            le=24,
        ),
    ] = 2.0
    trend_authors: Annotated[
        int,
        setting(
            "How many people at least use a tag that trends.",
            why="One person, or two who agree, are no trend.",
            unit="accounts",
            ge=1,
        ),
    ] = 3
