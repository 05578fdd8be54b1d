"""The settings of looking at pictures; see `settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from folkmoot.node.configuration.setting import SLUG, ByteSize, Section, setting

Withheld = Literal["unchecked", "matched", "explicit", "unknown"]


class ScreenedList(Section, frozen=True, kw_only=True):
    """A list of hashes of known pictures."""

    name: Annotated[
        str, setting("By which it is told of.", why="Whoever is refused hears which it was.", pattern=SLUG)
    ]
    file: Annotated[Path, setting("PDQ hashes, one a line.", why="Others' lists come so.", applies="reload")]
    sealed: Annotated[
        bool,
        setting(
            "Whether what matches is refused, sealed, and told of to experts and operators alone.",
            why="For what nobody may have; all else should be said openly.",
        ),
    ] = False
    distance: Annotated[
        int,
        setting(
            "In how many of 256 bits a picture may differ.",
            why="The published threshold; unrelated pictures differ in more than 70.",
            unit="bits",
            ge=0,
            le=31,
        ),
    ] = 31


class ScreeningSection(Section, frozen=True, kw_only=True):
    """What is made of media before they are shown. Needs the extra `[media]`, and `[video]` for films."""

    enabled: Annotated[
        bool,
        setting(
            "Whether pictures and films are looked at: compared with lists, and by a model.",
            why="Off: it takes an extra to be installed, and lists that somebody chose.",
        ),
    ] = False
    lists: Annotated[
        tuple[ScreenedList, ...],
        setting("Lists of known pictures.", why="None comes with folkmoot.", applies="reload"),
    ] = ()
    nsfw: Annotated[
        float,
        setting(
            "From which score on a picture is not for everybody, by the extra `[nsfw]`; 0 for never.",
            why="Never: no model is asked. 0.8 is what its makers call likely.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    withhold: Annotated[
        tuple[Withheld, ...],
        setting(
            "Which media only who may decide about them and their own account are served: what was not "
            "looked at yet, what a list knows, what the model finds not for everybody, what cannot be "
            "judged.",
            why="Whatever is not known to be harmless waits for a person.",
            applies="reload",
        ),
    ] = ("unchecked", "matched", "explicit", "unknown")
    processes: Annotated[
        int,
        setting(
            "How many pictures or films are looked at at once, each by a process of its own.",
            why="One looks at some dozens of pictures a second, and leaves the other processors alone.",
            unit="processes",
            ge=1,
            le=16,
        ),
    ] = 1
    sealed_cap: Annotated[
        ByteSize,
        setting(
            "The most that uploads may take that were refused and sealed; what comes then is refused and "
            "erased. What was kept before a list came to know it has room in any case.",
            why="Some thousands of pictures: whoever uploads them again and again fills no disk.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(1 << 30)
    sealed_kept_days: Annotated[
        float,
        setting(
            "For how long a sealed medium is kept after it was handed over or, if it never was, sealed; then "
            "the node erases it and keeps its custody record. 0 for ever.",
            why="A year: so long United States law has what was reported preserved (18 U.S.C. 2258A(h)), and "
            "no longer may it be kept by the European Union's Regulation 2021/1232.",
            unit="days",
            ge=0,
            applies="reload",
        ),
    ] = 365.0
