"""What a text looks like once the disguises are off, and where each part of that stands in the original.

A text is looked at in several *views*, because every way of undressing a text also hides something: reading
`1` as a letter finds `v1agra` and loses `5 for 1`. A hit in any view counts.

- *plain*: NFKC and case folding, invisible characters dropped. What patterns usually want.
- *folded*: every code point on its own decomposed (NFKD), case folded, stripped of marks above, below
  and through letters, and look-alikes from other scripts read as Latin. What word lists want. For ASCII both
  views are the lowercase text.
- *tight*: folded, with runs of white space made one space and words that are s p e l l e d out joined.
- *leet*: folded or tight, with digits and signs read as letters, `1` as i and as l. A hit in it counts only
  if it has a letter that was written as one: `455` is a number.

Words of a list are folded by the same function, so that both sides always agree. Two texts are equal under
NFKC exactly when they are equal under NFKD; folding decomposes, because that needs no context but for the
order of several marks on one letter, which is left as written (UAX #15). So the original place of each
folded code point is known by counting. Views are made fast and without places; places are traced only for a
view that had a hit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Final

from folkmoot.node.moderation.lookalikes import LATIN_OF
from folkmoot.protocol.invisible import INVISIBLE
from folkmoot.protocol.moderation.verdict import Span

Trace = Callable[[], list[Span]]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

# Combining classes of marks through (1), above and below (200 on) letters: é, zalgo. Those in between are
# vowels, viramas and voicing marks, without which words of Indic, Thai, Hebrew or Japanese would change.
_DIACRITIC_CLASSES: Final = frozenset({1, *range(200, 256)})

_FOLDING_ENTRIES: Final = 32_768

_BLANKS: Final = re.compile(r"\s+")
# Four or more single letters or digits with the same thing between them.
_SPELLED_OUT: Final = re.compile(
    r"(?<![^\W_])[^\W_](?P<gap>[ ._*|/~-]{1,3})[^\W_](?:(?P=gap)[^\W_]){2,}(?![^\W_])"
)

# A bar between letters or digits is a 1; at the end of a word it is punctuation.
_INNER_BAR: Final = re.compile(r"(?<=\w)[!|](?=\w)")
_LEET: Final = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s"}
_LEET_TABLES: Final = tuple(str.maketrans(_LEET | {"1": letter}) for letter in "il")


class View:
    """One way of looking at a text.

    Args:
        text: what is looked at.
        trace: computes, for every code point of `text`, the span of the original it came from; None when
            each stands where it stood.
        written: for a view that reads digits as letters, the same text before that.
    """

    __slots__ = ("_spans", "_trace", "_written", "text")

    def __init__(self, text: str, trace: Trace | None = None, written: str | None = None) -> None:
        self.text = text
        self._trace = trace
        self._written = written
        self._spans: list[Span] | None = None

    def shows(self, start: int, end: int) -> bool:
        """Whether a hit at `text[start:end]` counts: a number that only reads like a word is none."""
        return self._written is None or any(map(str.isalpha, self._written[start:end]))

    def original(self, start: int, end: int) -> Span:
        """The span of the original behind `text[start:end]`, which is not empty."""
        if self._trace is None:
            return start, end
        spans = self.spans()
        return spans[start][0], spans[end - 1][1]

    def spans(self) -> list[Span]:
        """For every code point of `text`, the span of the original behind it."""
        if self._spans is None:
            self._spans = self._trace() if self._trace else [(at, at + 1) for at in range(len(self.text))]
            assert len(self._spans) == len(self.text), "a view and its trace tell the same story"
        return self._spans


def folded(text: str) -> View:
    """The folded view."""
    if text.isascii():
        return View(text.lower())
    return View(text.translate(_FOLDING), partial(_trace_folded, text))


def plain(text: str) -> View:
    """The plain view."""
    if text.isascii():
        return View(text.lower())
    visible = INVISIBLE.sub("", _SURROGATE.sub("\ufffd", text))
    composed = unicodedata.normalize("NFKC", visible).casefold()
    return View(composed, partial(_trace_plain, text))


def tight(view: View) -> View:
    """The tight view of a folded one."""
    joined = _SPELLED_OUT.sub(lambda run: "".join(filter(str.isalnum, run.group())), view.text)
    return View(_BLANKS.sub(" ", joined), partial(_trace_tight, view))


def leet(view: View) -> list[View]:
    """The leet views of a folded or tight one; each code point stays where it is."""
    written = view.text
    marked = _INNER_BAR.sub("1", written) if "!" in written or "|" in written else written
    texts = dict.fromkeys(marked.translate(table) for table in _LEET_TABLES)
    return [View(text, view.spans, written) for text in texts]


def fold(word: str) -> str:
    """The form in which a list's word is looked for: folded, white space made single."""
    return _BLANKS.sub(" ", word.strip().translate(_FOLDING)).strip()


def is_word_character(character: str) -> bool:
    """Whether a word goes on with this: letters, digits, and the marks that belong to them."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


class _Folding(dict[int, str]):
    """Code point → its folded form, worked out when met; forgets all when a text has met too many."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _FOLDING_ENTRIES:
            self.clear()
        self[code] = form = _fold_code_point(chr(code))
        return form


_FOLDING: Final = _Folding()


def _fold_code_point(character: str) -> str:
    if INVISIBLE.match(character):
        return ""
    if _SURROGATE.match(character):
        return "\ufffd"
    form = LATIN_OF.get(character, character)
    form = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", form).casefold())
    return "".join(
        LATIN_OF.get(part, part) for part in form if unicodedata.combining(part) not in _DIACRITIC_CLASSES
    )


def _trace_folded(text: str) -> list[Span]:
    spans: list[Span] = []
    for index, character in enumerate(text):
        spans.extend([(index, index + 1)] * len(_FOLDING[ord(character)]))
    return spans


def _trace_plain(text: str) -> list[Span]:
    """Cluster by cluster: a code point and whatever may compose with it."""
    spans: list[Span] = []
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or not _joins_previous(text[end]):
            spans.extend([(start, end)] * len(plain(text[start:end]).text))
            start = end
    return spans


def _joins_previous(character: str) -> bool:
    """Whether normalising may merge or reorder `character` with what stands before it (UAX #15, section 9).

    That needs a first code point that is a mark, a Hangul vowel or final consonant, or a Kirat Rai vowel.
    Invisible characters stay with what they follow, since they are dropped before anything is composed.
    """
    if character.isascii():
        return False
    if INVISIBLE.match(character):
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return (
        unicodedata.category(first).startswith("M")
        or "\u1161" <= first <= "\u11ff"
        or "\U00016d63" <= first <= "\U00016d6a"
    )


def _trace_tight(view: View) -> list[Span]:
    """What stays: the first of each run of white space, and of a word spelled out the letters."""
    dropped: set[int] = set()
    for blank in _BLANKS.finditer(view.text):
        dropped.update(range(blank.start() + 1, blank.end()))
    for run in _SPELLED_OUT.finditer(view.text):
        dropped.update(at for at in range(*run.span()) if not view.text[at].isalnum())
    return [span for at, span in enumerate(view.spans()) if at not in dropped]
