"""Writes a table of handles: `python -m tests.accounts.handle_table FILE`, where PyICU is installed, too.

The table that folkmoot has is frozen, since it names registers and decides which chains are valid: it is not
written again. This is how it came about, and how a table for another version of the chain would.

A character is in the alphabet when
- RFC 8264 lets it stand in identifiers (its derived property is PVALID; or CONTEXTO, of digits),
- it is a small or caseless letter, a mark or a decimal digit, and NFKC leaves it as it is,
- UTS 39 recommends it, or its script is one that people write today (UAX 31, limited use).

What a character looks like is its UTS 39 prototype, case folded, with `ALIKE` on top, and again until nothing
changes.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import icu
from precis_i18n.derived import derived_property
from precis_i18n.unicode import UnicodeData

# Python 3.11's: what is assigned there keeps its normal forms in every later version (UAX 15, section 3).
UNICODE: Final = "14.0.0"
SECURITY_DATA: Final = "15.0"
SEPARATORS: Final = "-._"
ASCII: Final = "abcdefghijklmnopqrstuvwxyz0123456789"

# Who types a handle may do so in capitals: I looks like l, so i does. UTS 39 keeps the others apart.
ALIKE: Final = {"i": "l", "w": "vv", "-": ".", "_": "."}

KIND_OF: Final = {"Ll": "L", "Lo": "L", "Lm": "L", "Mn": "M", "Mc": "M", "Nd": "D"}
LEFT, RIGHT, ARABIC_RIGHT, ARABIC_NUMBER = 0, 1, 13, 5
DOT_ABOVE: Final = "\u0307"  # of use over letters that have one already, where nobody sees it
ACCENTED: Final = ("Cyrl", "Grek", "Latn")

NOTICE: Final = """\
# Which characters may stand in a handle, and what they look like; read by alphabet.py, and frozen: see
# docs/decisions/0028-handles-have-a-table-of-their-own.md.
#
# [alphabet] first and last code point, kind, scripts (ISO 15924). Kinds: L a letter, R a letter of a script
# that runs from right to left, M a mark, D a digit (ten in a row, from zero), N a digit that stands in text
# from right to left.
# [looks] a code point, and those that stand for it in the skeleton.
#
# Derived from, and not the same as, data of the Unicode Standard 14.0 and the Unicode Security Mechanisms
# 15.0. Copyright (c) 1991-2022 Unicode, Inc. All rights reserved. Permission is hereby granted, free of
# charge, to any person obtaining a copy of the Unicode data files and any associated documentation (the
# "Data Files") to deal in the Data Files without restriction, including without limitation the rights to
# use, copy, modify, merge, publish, distribute, and/or sell copies of the Data Files, and to permit
# persons to whom the Data Files are furnished to do so, provided that either (a) this copyright and
# permission notice appear with all copies of the Data Files, or (b) this copyright and permission notice
# appear in associated Documentation. THE DATA FILES ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND,
# EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A
# PARTICULAR PURPOSE AND NONINFRINGEMENT OF THIRD PARTY RIGHTS. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
# HOLDERS INCLUDED IN THIS NOTICE BE LIABLE FOR ANY CLAIM, OR ANY SPECIAL INDIRECT OR CONSEQUENTIAL
# DAMAGES, OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF
# CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
# PERFORMANCE OF THE DATA FILES. Except as contained in this notice, the name of a copyright holder shall
# not be used in advertising or otherwise to promote the sale, use or other dealings in these Data Files
# without prior written authorization of the copyright holder.
"""

_spoofing = icu.SpoofChecker()
_recommended = _spoofing.getRecommendedUnicodeSet()
_precis = UnicodeData()


class Member(NamedTuple):
    """What the table says of a character."""

    kind: str
    scripts: tuple[str, ...]


def member(character: str) -> Member | None:
    """Its line in the alphabet, if it has one."""
    kind = KIND_OF.get(unicodedata.category(character))
    if kind is None or character == DOT_ABOVE:
        return None
    derived = derived_property(ord(character), _precis)[0]
    if derived != "PVALID" and (derived, kind) != ("CONTEXTO", "D"):
        return None
    if unicodedata.normalize("NFKC", character) != character or character.lower() != character:
        return None
    script = icu.Script.getScript(character)
    if not _recommended.contains(character) and script.getUsage() != icu.UScriptUsage.LIMITED_USE:
        return None
    direction = icu.Char.charDirection(character)
    if kind == "L" and direction not in (LEFT, RIGHT, ARABIC_RIGHT):
        return None
    scripts = sorted(icu.Script(code).getShortName() for code in icu.Script.getScriptExtensions(character))
    if scripts == ["Zyyy"] and kind == "L" and character not in "\u02bb\u02bc":
        return None
    if scripts == ["Zinh"] or character in "\u02bb\u02bc":
        scripts = list(ACCENTED)
    kind = {("L", RIGHT): "R", ("L", ARABIC_RIGHT): "R", ("D", ARABIC_NUMBER): "N"}.get(
        (kind, direction), kind
    )
    return Member(kind, tuple(scripts))


def look(text: str) -> str:
    """What `text` is told apart by."""
    while (next_look := _look_once(text)) != text:
        text = next_look
    return text


def _look_once(text: str) -> str:
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    alike = "".join(ALIKE.get(character, character) for character in folded)
    return unicodedata.normalize("NFD", _spoofing.getSkeleton(0, alike))


def lines() -> Iterator[str]:
    """The table."""
    assert (unicodedata.unidata_version, icu.UNICODE_VERSION) == (UNICODE, SECURITY_DATA)
    members = {point: found for point in range(0x30000) if (found := member(chr(point)))}
    assert set(map(ord, ASCII)) <= set(members)
    yield from NOTICE.splitlines()
    yield "[alphabet]"
    numbered = enumerate(members.items())
    for (_, found), run in groupby(numbered, lambda each: (each[1][0] - each[0], each[1][1])):
        points = [point for _, (point, _) in run]
        yield f"{points[0]:04X} {points[-1]:04X} {found.kind} {' '.join(found.scripts)}"
    yield "[looks]"
    text = SEPARATORS + "".join(map(chr, members))
    for character in sorted(set(unicodedata.normalize("NFD", text))):
        looks = look(character)
        assert all(unicodedata.category(part) != "Cn" for part in looks)
        if looks != character:
            yield " ".join(f"{ord(part):04X}" for part in character + looks)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("".join(f"{line}\n" for line in lines()), encoding="ascii")
