"""The characters of handles, each with its kind, its scripts and its look; read when first asked for.

The table is frozen and the same for every node, whatever Python or Unicode library it runs with; see
docs/decisions/0028-handles-have-a-table-of-their-own.md. It costs about 6 ms and half a megabyte.
"""

from __future__ import annotations

import pkgutil
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

ANY_SCRIPT: Final = "Zyyy"
EAST_ASIAN: Final = frozenset({"Hanb", "Jpan", "Kore"})

# Scripts that are written together count as one (UTS 39, section 5.1, augmented script sets).
_WRITTEN_WITH: Final[Mapping[str, frozenset[str]]] = {
    "Bopo": frozenset({"Hanb"}),
    "Hang": frozenset({"Kore"}),
    "Hani": EAST_ASIAN,
    "Hira": frozenset({"Jpan"}),
    "Kana": frozenset({"Jpan"}),
}


class Letters(NamedTuple):
    """Neighbouring characters that are alike.

    Args:
        first, last: code points, both included.
        kind: `L`, `R`, `M`, `D` or `N`, as the table explains.
        scripts: those it is written in; None for any.
    """

    first: int
    last: int
    kind: str
    scripts: frozenset[str] | None


class Alphabet(NamedTuple):
    """The table.

    Args:
        letters: in order.
        firsts: of each of them, to be searched.
        looks: code point → what stands for it in a skeleton, where that is not itself.
    """

    letters: Sequence[Letters]
    firsts: Sequence[int]
    looks: Mapping[int, str]

    def find(self, character: str) -> Letters | None:
        """The entry of a character; None when it may not stand in a handle."""
        point = ord(character)
        at = bisect_right(self.firsts, point) - 1
        found = self.letters[at] if at >= 0 else None
        return found if found is not None and point <= found.last else None


@cache
def alphabet() -> Alphabet:
    """The one there is."""
    data = pkgutil.get_data("folkmoot.protocol.accounts", "handles.txt")
    assert data is not None, "handles.txt is installed beside this module"
    lines = [line for line in data.decode("ascii").splitlines() if not line.startswith("#")]
    border = lines.index("[looks]")
    scripts: dict[str, frozenset[str] | None] = {ANY_SCRIPT: None}
    letters = [_letters(line, scripts) for line in lines[1:border]]
    looks = [[int(point, 16) for point in line.split()] for line in lines[border + 1 :]]
    return Alphabet(
        letters,
        [each.first for each in letters],
        {point: "".join(map(chr, look)) for point, *look in looks},
    )


def _letters(line: str, known: dict[str, frozenset[str] | None]) -> Letters:
    first, last, kind, scripts = line.split(" ", 3)
    if scripts not in known:
        names = frozenset(scripts.split())
        known[scripts] = names.union(*(_WRITTEN_WITH.get(name, ()) for name in names))
    return Letters(int(first, 16), int(last, 16), kind, known[scripts])
