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
