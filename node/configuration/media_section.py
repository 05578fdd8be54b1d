"""The settings of media; see `settings`."""

from __future__ import annotations

from typing import Annotated

from folkmoot.node.configuration.setting import ByteSize, Section, setting
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.kinds import TYPES


class MediaSection(Section, frozen=True, kw_only=True):
    """Pictures, sound and films that posts show."""

    disk_cap: Annotated[
        ByteSize,
        setting(
            "The most that kept media and uploads under way may take, beside the store.",
            why="As much as the store: pictures are larger than posts, and fewer.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(10 << 30)
    cache: Annotated[
        ByteSize,
        setting(
            "The most that other regions' media may take that were fetched to be served here.",
            why="What was asked for lately is asked for again; the rest costs one fetch.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(1 << 30)
    cache_hours: Annotated[
        float,
        setting(
            "For how long something stays in that cache.",
            why="A day: so soon what was deleted where it is kept is gone from here as well.",
            unit="hours",
            gt=0,
        ),
    ] = 24.0
    max_bytes: Annotated[
        ByteSize,
        setting(
            "The largest file that clients may upload.",
            why="A minute of film, or any picture.",
            unit="bytes",
            ge=1,
            le=bounds.MEDIA_BYTES,
        ),
    ] = ByteSize(50 << 20)
    max_megapixels: Annotated[
        float,
        setting(
            "The largest picture, by what its header says.",
            why="More than cameras make, and not so much that a viewer runs out of memory.",
            unit="millions of pixels",
            gt=0,
        ),
    ] = 64.0
    quota: Annotated[
        ByteSize,
        setting(
            "How much one account may have kept.",
            why="A few hundred pictures; others' disks are not a drive.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(1 << 30)
    types: Annotated[
        tuple[str, ...],
        setting(
            "Which types clients may upload.",
            why="All whose first bytes can be told apart, and that no browser runs.",
        ),
    ] = TYPES
    upload_hours: Annotated[
        float,
        setting(
            "For how long an upload that was begun may go on.",
            why="A phone that was out of reach overnight goes on where it was.",
            unit="hours",
            gt=0,
        ),
    ] = 24.0
    unused_hours: Annotated[
        float,
        setting(
            "For how long something is kept that no post shows yet.",
            why="Between upload and post there may be a day of writing.",
            unit="hours",
            gt=0,
        ),
    ] = 24.0
    grace_hours: Annotated[
        float,
        setting(
            "For how long something is kept that no replica knows a reference to any more.",
            why="A week: whatever was cut off comes back within it, or is known to be gone.",
            unit="hours",
            ge=0,
        ),
    ] = 168.0
    sweep_minutes: Annotated[
        float,
        setting(
            "How often the node looks for media that nothing refers to.",
            why="Days are waited for anyway; looking reads the posts of each account with media.",
            unit="minutes",
            gt=0,
        ),
    ] = 60.0
