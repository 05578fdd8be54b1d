"""The settings of the gate; see `settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from folkmoot.node.configuration.setting import Section, setting


class GateSection(Section, frozen=True, kw_only=True):
    """The filters before a record is accepted. Operators' own writes have no quota."""

    policy: Annotated[
        Path | None,
        setting(
            "The policy file; also reloaded when it changes.",
            why="Unset: nothing but the quota.",
            applies="reload",
        ),
    ] = None
    signals_kept: Annotated[
        int,
        setting(
            "Posts of which is kept what was known when they were judged, for previews of policies.",
            why="Enough to see what is rare; about 300 bytes each.",
            unit="posts",
            ge=0,
            le=1_000_000,
        ),
    ] = 100_000
    account_rate: Annotated[
        float,
        setting(
            "Records one account may put, on average.",
            why="A fast writer stays far below; a flood does not.",
            unit="records a minute",
            applies="reload",
            gt=0,
        ),
    ] = 120.0
    account_burst: Annotated[
        int,
        setting(
            "Records one account may put at once.",
            why="A device that was offline catches up in one go.",
            unit="records",
            applies="reload",
            ge=1,
        ),
    ] = 600
    address_rate: Annotated[
        float,
        setting(
            "Records one address may put, on average.",
            why="A household or an office behind one address.",
            unit="records a minute",
            applies="reload",
            gt=0,
        ),
    ] = 6_000.0
    address_burst: Annotated[
        int,
        setting(
            "Records one address may put at once.",
            why="Several devices catching up together.",
            unit="records",
            applies="reload",
            ge=1,
        ),
    ] = 6_000
    sample: Annotated[
        float,
        setting(
            "The share of posts that is drawn at random for a blind review, once each; 0 for none at all.",
            why="Decisions are made where somebody looked; these say what there is where nobody did.",
            ge=0,
            le=1,
        ),
    ] = 0.02
    sample_actioned: Annotated[
        float,
        setting(
            "The same share of the posts that the policy labelled or put aside; no less than of the others.",
            why="They are few, and how often the policy is wrong is asked of them.",
            ge=0,
            le=1,
        ),
    ] = 0.1
    change_rate: Annotated[
        float,
        setting(
            "Changes of accounts (keys, handles), and questions to the seats about them, of one address.",
            why="Every account with a change is kept by all seats, for ever.",
            unit="requests a minute",
            applies="reload",
            gt=0,
        ),
    ] = 12.0
    change_burst: Annotated[
        int,
        setting(
            "The same, at once.",
            why="A person who sets up a few devices; several people behind one address.",
            unit="requests",
            applies="reload",
            ge=1,
        ),
    ] = 120
    cut_off_hours: Annotated[
        float,
        setting(
            "For how long records are taken while most seats cannot be asked whether keys were revoked.",
            why="A partition over a day is rare, and a stolen key must not serve for ever.",
            unit="hours",
            gt=0,
        ),
    ] = 24.0
