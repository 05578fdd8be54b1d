"""What a policy looks for, compiled: one Aho-Corasick automaton for all words, one RE2 set for all patterns.

Both take time linear in the text, whatever the text and the policy say: the automaton by construction
(Aho and Corasick 1975), the set because RE2 has no backtracking (Cox 2010) and refuses what would need it.
The set also holds expressions of our own: one that matches every text, whose absence betrays a match that
was given up, and some that notice spacing, spelling and leet tricks, so that the views which undo those are
only made for texts that need them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import ahocorasick
import re2
from folkmoot.node.moderation import normalise
from folkmoot.node.moderation.marks import is_usual
from folkmoot.node.moderation.normalise import View
from folkmoot.protocol.moderation.policy import Dialect, PolicyDocument
from folkmoot.protocol.moderation.verdict import Span

_SET_MEMORY_BYTES: Final = 32 << 20
_PATTERN_MEMORY_BYTES: Final = 1 << 20

_ALWAYS: Final = r""
_SPACING: Final = r"[\t-\r\x{1c}-\x{1f}\x{85}\x{1680}\x{2028}\x{2029}]|  "
_FLAG: Final = r"\x{1f1e6}-\x{1f1ff}"
_SPELLED: Final = (
    rf"(?:^|[^\pL\pN\pM{_FLAG}])[\pL\pN{_FLAG}]"
    rf"(?:(?:[\t-\r\x{{1c}}-\x{{1f}}\x{{85}}\pZ]+|[^\pL\pN\pM\pZ{_FLAG}]){{1,3}}[\pL\pN{_FLAG}]){{3}}"
    rf"(?:$|[^\pL\pN\pM{_FLAG}])"
)
_LEET: Final = rf"\pL[0134578@$!|{_FLAG}]|[0134578@$!|{_FLAG}]\pL|[{_FLAG}]{{2}}"
_OWN: Final = (_ALWAYS, _SPACING, _SPELLED, _LEET)
_ALWAYS_AT, _SPACING_AT, _SPELLED_AT, _LEET_AT = range(len(_OWN))

# Holds an edge of every sort (word, line, text), where an expression that needs no text would match.
_SAMPLE: Final = "a 1.\n"

# How far a view has been undressed; each stage only leads to later ones.
_FOLDED, _JOINED, _LEET_READ = range(3)

_NOBODY: Final[frozenset[int]] = frozenset()

_Word = tuple[int, int, bool]  # index among the finders, length of the folded word, whole words only


class MatchError(Exception):
    """A text could not be matched; nothing is known about it."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A list or a pattern of the policy, as rules name it."""

    id: str
    severity: int


class Matchers:
    """The lists and patterns of one policy, ready to run.

    Args:
        document: a valid policy.

    Attributes:
        finders: the lists, then the patterns, in the document's order; hits name them by their index.
    """

    def __init__(self, document: PolicyDocument) -> None:
        self.finders = tuple(Finder(entry.id, entry.severity) for entry in document.finders)
        self._words = _automaton(document)
        self._patterns_from = len(document.lists)
        self._patterns = [_compile(pattern.regex) for pattern in document.patterns]
        normalise.prepare()
        self._set = _set([*_OWN, *(pattern.regex for pattern in document.patterns)])

    def find(
        self, text: str, counted: Collection[int] = (), counts: Counter[int] | None = None
    ) -> dict[int, Span]:
        """Everything found in `text`: finder → the span of its first hit in the original text.

        Args:
            text: any.
            counted: finders whose hits are to be counted.
            counts: to which are added how often they were found side by side, in the view that shows most.

        Raises:
            MatchError: the matching was given up, so that an empty answer would be a guess.
        """
        hits: dict[int, Span] = {}
        tally = _Tally(frozenset(counted)) if counted else None
        if text.isascii():
            folded = normalise.folded(text)
            usual = len(folded.text) == len(text)
        else:
            usual = is_usual(text)
            folded = normalise.folded(text, usual=usual)
            plain = normalise.plain(text, usual=usual)
            if plain.text != folded.text:
                self._scan(plain, hits, tally)
        self._scan_undressed(folded, hits, tally)
        if not usual and (blanks := normalise.with_blanks(text)) is not None:
            self._scan(normalise.plain(blanks), hits, tally)
            self._scan_undressed(normalise.folded(blanks), hits, tally)
        if counts is not None and tally is not None:
            counts.update(tally.most)
        return hits

    def _scan_undressed(self, folded: View, hits: dict[int, Span], tally: _Tally | None) -> None:
        """Add what a folded view shows, and what the views do that undo more of its disguises."""
        views = [(_FOLDED, folded)]
        for stage, view in views:
            seen = self._scan(view, hits, tally)
            if len(seen) == 1:
                continue  # every text shows that one
            if stage < _JOINED:
                views.extend((_JOINED, joined) for joined in _joined(view, seen))
            if stage < _LEET_READ and _LEET_AT in seen:
                views.extend((_LEET_READ, read) for read in normalise.leet(view))

    def _scan(self, view: View, hits: dict[int, Span], tally: _Tally | None) -> list[int]:
        """Add what one view shows to `hits` and `tally`; returns which members of the set were seen."""
        if self._words is not None:
            self._locate_words(view, hits, tally)
        seen: list[int] = self._set.Match(view.text)
        if not seen:
            raise MatchError("the pattern set ran out of memory on this text")
        if len(seen) > 1:
            self._locate_patterns(view, seen, hits, tally)
        if tally is not None:
            tally.end()
        return seen

    def _locate_words(self, view: View, hits: dict[int, Span], tally: _Tally | None) -> None:
        text, counted = view.text, _NOBODY if tally is None else tally.wanted
        for last, words in self._words.iter(text):
            end = last + 1
            for finder, length, whole in words:
                start = end - length
                if finder in hits and finder not in counted:
                    continue
                if (whole and not _stands_alone(text, start, end)) or not view.shows(start, end):
                    continue
                hits.setdefault(finder, view.original(start, end))
                if tally is not None:
                    tally.add(finder, start, end)

    def _locate_patterns(
        self, view: View, seen: list[int], hits: dict[int, Span], tally: _Tally | None
    ) -> None:
        for member in sorted(seen):
            index = member - len(_OWN)
            finder = self._patterns_from + index
            counts = tally is not None and finder in tally.wanted
            if index < 0 or (finder in hits and not counts):
                continue
            for found in self._patterns[index].finditer(view.text):
                start, end = found.span()
                if start < end and view.shows(start, end):
                    hits.setdefault(finder, view.original(start, end))
                    if tally is None or not counts:
                        break
                    tally.add(finder, start, end)


class _Tally:
    """Counts hits of some finders in one text: those side by side, in the view that shows most of them.

    Args:
        wanted: the finders that are counted.
    """

    def __init__(self, wanted: frozenset[int]) -> None:
        self.wanted = wanted
        self.most: Counter[int] = Counter()
        self._here: Counter[int] = Counter()
        self._ends: dict[int, int] = {}

    def add(self, finder: int, start: int, end: int) -> None:
        """Something was found at a place of this view; places come in the order of their ends."""
        if finder in self.wanted and start >= self._ends.get(finder, 0):
            self._here[finder] += 1
            self._ends[finder] = end

    def end(self) -> None:
        """This was all of the view; another may follow."""
        self.most |= self._here
        self._here.clear()
        self._ends.clear()


def pattern_flaw(regex: str) -> str | None:
    """Why `regex` cannot be a pattern, or None: RE2 must accept it, and it must need some text to match."""
    try:
        compiled = _compile(regex)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        return f"RE2 does not accept this expression: {reason}"
    if any(found.start() == found.end() for found in compiled.finditer(_SAMPLE)):
        return "this expression matches without any text, and so everywhere"
    return None


DIALECT: Final = Dialect(fold=normalise.fold, flaw=pattern_flaw)
"""How these matchers read a document's words and patterns."""


def _joined(view: View, seen: list[int]) -> list[View]:
    """The views that undo the tricks with spaces and letters that were seen in a folded one."""
    if _SPELLED_AT in seen:
        tight, loose = normalise.tight(view), normalise.loose(view)
        return [tight] if tight.text == loose.text else [tight, loose]
    return [normalise.tight(view, spelled=False)] if _SPACING_AT in seen else []


def _automaton(document: PolicyDocument) -> Any:
    words: dict[str, list[_Word]] = {}
    for finder, entry in enumerate(document.lists):
        for folded in dict.fromkeys(map(normalise.fold, entry.words)):
            words.setdefault(folded, []).append((finder, len(folded), entry.whole_words))
    if not words:
        return None
    automaton = ahocorasick.Automaton()
    for folded, entries in words.items():
        automaton.add_word(folded, tuple(entries))
    automaton.make_automaton()
    return automaton


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no word runs on over either edge; a word that begins with a sign may follow anything."""
    before = start == 0 or not _runs_on(text[start - 1], text[start])
    return before and (end == len(text) or not _runs_on(text[end - 1], text[end]))


def _runs_on(left: str, right: str) -> bool:
    return normalise.is_word_character(left) and normalise.is_word_character(right)


def _options(memory_bytes: int) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = memory_bytes
    return options


def _compile(regex: str) -> Any:
    return re2.compile(regex, _options(_PATTERN_MEMORY_BYTES))


def _set(expressions: list[str]) -> Any:
    matching = re2.Set.SearchSet(_options(_SET_MEMORY_BYTES))
    for expression in expressions:
        matching.Add(expression)
    matching.Compile()
    return matching
