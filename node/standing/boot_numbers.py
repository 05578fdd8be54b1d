"""The two numbers by which a node's peers tell its new words from its old ones."""

from __future__ import annotations

from dataclasses import dataclass

from folkmoot.protocol.gossip.seal import BOOT_MAX
from folkmoot.protocol.limits import INCARNATION_MAX


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a node must remember across boots so that nobody mistakes its new words for old ones.

    Args:
        incarnation: the greatest ever used.
        boot: the number of the latest boot.
    """

    incarnation: int
    boot: int


def next_numbers(earlier: Numbers | None, wall_us: int) -> Numbers:
    """The numbers of this boot.

    Both have an end, and a node that reached it still starts: with the last incarnation it can refute no
    more, and is told from its earlier boots by the boot number.

    The boot number follows the clock in milliseconds where it can: a node whose disk was lost or restored
    would otherwise count from a number its peers have seen, and they would drop its datagrams as repeats.

    Args:
        earlier: of the boot before, or None.
        wall_us: microseconds since 1970.
    """
    if earlier is None:
        earlier = Numbers(0, 0)
    return Numbers(
        min(earlier.incarnation + 1, INCARNATION_MAX), min(max(earlier.boot + 1, wall_us // 1_000), BOOT_MAX)
    )
