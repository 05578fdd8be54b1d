"""What a text looks like once the disguises are off, and where each part of that stands in the original.

A text is looked at in several *views*, because every way of undressing a text also hides something: reading
`1` as a letter finds `v1agra` and loses `5 for 1`. A hit in any view counts.

- *plain*: NFKC and case folding, invisible characters dropped. What patterns usually want.
- *folded*: every code point on its own decomposed (NFKD), case folded, stripped of marks above, below,
  through and around letters, and look-alikes from other scripts read as Latin; then stripped of marks that
  are not of the script of what they stand on. What word lists want. For ASCII both views are the lowercase
  text.
- *tight*: folded, with runs of white space made one space and words that are s p e l l e d out joined.
- *loose*: the same, where what stands between the letters v.a-r_i/e s.
- *leet*: folded, tight or loose, with digits, signs and regional indicators read as letters, `1` as i and as
  l. A hit in it counts only if it has a letter that was written as one: `455` is a number.

Words of a list are folded by the same function, so that both sides always agree. Two texts are equal under
NFKC exactly when they are equal under NFKD; folding decomposes, because that needs no context but for marks:
several on one letter stay in the order in which they are written (UAX #15), and those of another script are
dropped last. So the original place of each folded code point is known by counting. Views are made fast and
without places; places are traced only for a view that had a hit.

Fillers are blank, or an empty frame, or nothing, by what shows them. They are dropped like what is invisible,
and a text that has some is looked at once more with spaces in their place (see `with_blanks`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence, Set
from functools import lru_cache, partial
from typing import Final, NamedTuple, TypeVar

from folkmoot.node.moderation.lookalikes import LATIN_OF
from folkmoot.node.moderation.marks import is_diacritic, is_mark, mark_class, strangers
from folkmoot.protocol.invisible import FILLERS, HIDDEN, JOINERS, lower_ascii
from folkmoot.protocol.moderation.verdict import Span

T = TypeVar("T")
Trace = Callable[[], list[Span]]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ZWNJ, _ZWJ, _EMOJI = JOINERS
_NONE: Final = frozenset[int]()

# A stroke that draws Arabic words out.
_TATWEEL: Final = "\u0640"

_FOLDING_ENTRIES: Final = 32_768

_BLANKS: Final = re.compile(r"\s+")

# Runs of white space that are not one space yet, which few are.
_UNEVEN: Final = re.compile(r"\s(?:(?<! )\s*|\s+)")

# A bar between letters or digits is a 1; at the end of a word it is punctuation.
_INNER_BAR: Final = re.compile(r"(?<=\w)[!|](?=\w)")
_LEET: Final = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s"}
# Regional indicators: two are a flag, more in a row are read letter by letter.
_REGIONAL: Final = {chr(0x1F1E6 + place): chr(ord("a") + place) for place in range(26)}
_LEET_TABLES: Final = tuple(str.maketrans(_LEET | _REGIONAL | {"1": letter}) for letter in "il")


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
        """Whether a hit at `text[start:end]` counts: not where a number or a flag only reads like a word."""
        if self._written is None:
            return True
        written = self._written[start:end]
        return any(map(str.isalpha, written)) or (len(written) > 2 and any(map(_REGIONAL.get, written)))

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


def folded(text: str, *, usual: bool = False) -> View:
    """The folded view.

    Args:
        usual: whether it is known that the text is (see `marks`).
    """
    if text.isascii():
        return _lowered(text)
    form = text.translate(_FOLDING)
    return View(form, partial(_trace_folded, text)) if usual else _settled(text, form)


def plain(text: str, *, usual: bool = False) -> View:
    """The plain view.

    Args:
        usual: whether it is known that the text is (see `marks`).
    """
    if text.isascii():
        return _lowered(text)
    if usual:
        visible = text.replace(_ZWNJ, "").replace(_ZWJ, "").replace(_EMOJI, "")
    else:
        visible = HIDDEN.sub("", _SURROGATE.sub("\ufffd", text))
    composed = unicodedata.normalize("NFKC", visible).casefold()
    return View(composed, partial(_trace_plain, text))


def prepare() -> None:
    """Compile what needs tens of milliseconds, so that no text has to wait for it."""
    _spelled_out()
    _single_letters()


def tight(view: View, *, spelled: bool = True) -> View:
    """The tight view of a folded one.

    Args:
        spelled: whether words may be spelled out in it.
    """
    return _joined(view, _spelled_out().evenly if spelled else None)


def loose(view: View) -> View:
    """The loose view of a folded one."""
    return _joined(view, _spelled_out().anyhow)


def with_blanks(text: str) -> str | None:
    """The text with spaces in the place of fillers; None where it has none."""
    return FILLERS.sub(" ", text) if FILLERS.search(text) else None


def leet(view: View) -> list[View]:
    """The leet views of a folded or tight one; each code point stays where it is."""
    written = view.text
    marked = _INNER_BAR.sub("1", written) if "!" in written or "|" in written else written
    texts = dict.fromkeys(marked.translate(table) for table in _LEET_TABLES)
    return [View(text, view.spans, written) for text in texts]


def fold(word: str) -> str:
    """The form in which a list's word is looked for: folded, white space made single."""
    return _BLANKS.sub(" ", folded(word).text).strip()


def is_word_character(character: str) -> bool:
    """Whether a word goes on with this: letters, digits, and the marks that belong to them."""
    return character.isalnum() or is_mark(character)


def _lowered(text: str) -> View:
    """Both the folded and the plain view of an ASCII text."""
    visible = lower_ascii(text)
    return View(visible) if len(visible) == len(text) else _settled(text, text.translate(_FOLDING))


def _settled(text: str, form: str) -> View:
    """The folded view, once all code points are."""
    dropped = _NONE if form.isascii() else strangers(form)
    if dropped:
        form = "".join(_kept(form, dropped))
    return View(form, partial(_trace_folded, text, dropped))


def _kept(parts: Sequence[T], dropped: Set[int]) -> list[T]:
    """The parts, less those at some places."""
    return [part for at, part in enumerate(parts) if at not in dropped]


class _Folding(dict[int, str]):
    """Code point → its folded form, worked out when met; forgets all when a text has met too many."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _FOLDING_ENTRIES:
            self.clear()
        self[code] = form = _fold_code_point(chr(code))
        return form


_FOLDING: Final = _Folding()


def _fold_code_point(character: str) -> str:
    if character == _TATWEEL or HIDDEN.match(character):
        return ""
    if _SURROGATE.match(character):
        return "\ufffd"
    form = LATIN_OF.get(character, character)
    form = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", form).casefold())
    return "".join(LATIN_OF.get(part, part) for part in form if not is_diacritic(part))


def _trace_folded(text: str, dropped: Set[int] = _NONE) -> list[Span]:
    spans: list[Span] = []
    for index, character in enumerate(text):
        spans.extend([(index, index + 1)] * len(_FOLDING[ord(character)]))
    return _kept(spans, dropped)


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
    if HIDDEN.match(character):
        return True
    if character.isascii():
        return False
    first = unicodedata.normalize("NFKD", character)[0]
    return is_mark(first) or "\u1161" <= first <= "\u11ff" or "\U00016d63" <= first <= "\U00016d6a"


class _SpelledOut(NamedTuple):
    """Four or more single letters or digits, with the same thing between them, and with anything."""

    evenly: re.Pattern[str]
    anyhow: re.Pattern[str]


@lru_cache(maxsize=1)
def _spelled_out() -> _SpelledOut:
    flags, marks = "".join(_REGIONAL), mark_class()
    letter = rf"(?:[^\W_]|[{flags}])"
    # At most three signs, blanks in a row counting as one.
    gap = rf"(?:\s++|_|[^\w\s{flags}{marks}]){{1,3}}+"
    before, after = rf"(?<![^\W_])(?<![{flags}{marks}])", rf"(?![^\W_]|[{flags}{marks}])"
    return _SpelledOut(
        re.compile(rf"{before}{letter}(?P<gap>{gap}){letter}(?:(?P=gap){letter}){{2,}}{after}"),
        re.compile(rf"{before}{letter}(?:{gap}{letter}){{3,}}{after}"),
    )


@lru_cache(maxsize=1)
def _single_letters() -> re.Pattern[str]:
    """Finds two single letters with something between them, as all that is spelled out has; see there."""
    letter = rf"(?:[^\W_]|[{''.join(_REGIONAL)}])"
    return re.compile(rf"[\W_]{letter}[\W_]+{letter}[\W_]")


def _joined(view: View, spelled: re.Pattern[str] | None) -> View:
    text = view.text
    if spelled is not None and _single_letters().search(text):
        text = spelled.sub(_letters_of, text)
    return View(_UNEVEN.sub(" ", text), partial(_trace_joined, view, spelled))


def _letters_of(run: re.Match[str]) -> str:
    return "".join(filter(_is_letter, run[0]))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character in _REGIONAL


def _trace_joined(view: View, spelled: re.Pattern[str] | None) -> list[Span]:
    """What stays: the first of each run of white space, and of a word spelled out the letters."""
    dropped: set[int] = set()
    for blank in _BLANKS.finditer(view.text):
        dropped.update(range(blank.start() + 1, blank.end()))
    for run in spelled.finditer(view.text) if spelled else ():
        dropped.update(at for at in range(*run.span()) if not _is_letter(view.text[at]))
    return _kept(view.spans(), dropped)
