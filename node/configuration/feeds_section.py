"""The settings of feeds; see `settings`."""

from __future__ import annotations

from typing import Annotated

from folkmoot.node.configuration.setting import Section, setting
from folkmoot.protocol import limits


class FeedsSection(Section, frozen=True, kw_only=True):
    """Feeds that are ready before they are asked for."""

    followers_max: Annotated[
        int,
        setting(
            "Of authors with more followers, posts are merged into home feeds when these are read.",
            why="A post costs a write for each follower's inbox, and a page little for each author merged.",
            unit="followers",
            ge=1,
            le=100_000,
        ),
    ] = 2_000
    inbox_rows: Annotated[
        int,
        setting(
            "What a home feed keeps at least, the newest.",
            why="Further back than that people look at authors' own feeds.",
            unit="posts",
            ge=limits.PAGE_ITEMS,
            le=limits.PROJECTED_LATEST,
        ),
    ] = 1_000
    notice_rows: Annotated[
        int,
        setting(
            "Of each sort, what an account's notifications keep at least, the newest.",
            why="A flood of one sort must not grow for ever; each sort is kept apart.",
            unit="notices",
            ge=limits.PAGE_ITEMS,
            le=limits.PROJECTED_LATEST,
        ),
    ] = 1_000
    lag_max_s: Annotated[
        float,
        setting(
            "How old what feeds or search do not show yet may be before clients are slowed down; 0: any age.",
            why="Posts that come faster than feeds are made would put these behind without end.",
            unit="seconds",
            ge=0,
            le=86_400,
        ),
    ] = 30.0
