"""The settings of looking at pictures; see `settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from folkmoot.node.configuration.setting import SLUG, Section, setting

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
            "Whether what matches is refused, served to nobody, and told of to operators alone.",
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
