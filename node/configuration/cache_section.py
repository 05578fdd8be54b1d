"""The settings of caches; see `settings`."""

from __future__ import annotations

from typing import Annotated

from folkmoot.node.configuration.setting import ByteSize, Section, setting
from folkmoot.protocol.limits import MIB


class CacheSection(Section, frozen=True, kw_only=True):
    """What a node remembers so as not to work it out again; 0 remembers nothing of a sort. The figures of
    each are in `folkmoot metrics`."""

    posts: Annotated[
        ByteSize,
        setting(
            "Posts as pages show them, read and put together.",
            why="Some ten thousand posts: what is on most people's first pages at one time.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(16 * MIB)
    pages: Annotated[
        ByteSize,
        setting(
            "First pages of authors' posts, as they are sent.",
            why="The thousand authors that most look at.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(16 * MIB)
    seen_pages: Annotated[
        ByteSize,
        setting(
            "The same pages taken apart again, for those who look with mutes and blocks of their own.",
            why="Each takes about three times as much as the page; few authors are looked at by so many.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(16 * MIB)
    homes: Annotated[
        ByteSize,
        setting(
            "Which posts home feeds begin with, as long as these do not change.",
            why="Six hundred people who read at one time; a page of 50 takes 26 kB.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(16 * MIB)
    profiles: Annotated[
        ByteSize,
        setting(
            "Accounts' profiles.",
            why="Some thousand accounts; a profile is a few hundred bytes.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(4 * MIB)
    viewers: Annotated[
        ByteSize,
        setting(
            "What those who look block and mute.",
            why="Of most people little; of one who blocks ten thousand accounts a megabyte.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(16 * MIB)
    rankings: Annotated[
        ByteSize,
        setting(
            "Feeds that were ranked, so that their next page goes on where the last one ended.",
            why="A ranking takes 30 kB and is kept for two minutes.",
            unit="bytes",
            ge=0,
        ),
    ] = ByteSize(16 * MIB)
