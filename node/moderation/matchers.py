"""What a policy looks for, compiled: Aho-Corasick automata for all words, RE2 sets for all patterns.

Both take time linear in the text, whatever the text and the policy say: automata by construction
(Aho and Corasick 1975), sets because RE2 has no backtracking (Cox 2010) and refuses what would need it. How
much time for a character is another question, see `budget` and `trial`. Most policies are one automaton and
one set; large ones are several, because compiling one stops the whole process until it is done.
The sets also hold expressions of our own, that notice spacing, spelling and leet tricks, so that the views
which undo those are only made for texts that need them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import ahocorasick
import re2
from folkmoot.node.moderation import normalise
from folkmoot.node.moderation.budget import ENDLESS, Budget
from folkmoot.node.moderation.marks import is_usual
from folkmoot.node.moderation.normalise import View
from folkmoot.node.moderation.pattern_sets import PatternSets
from folkmoot.protocol.moderation.bounds import (
    AUTOMATON_CODE_POINTS,
    PATTERN_INSTRUCTIONS,
    POLICY_INSTRUCTIONS,
)
from folkmoot.protocol.moderation.policy import Dialect, PolicyDocument, PolicyError
from folkmoot.protocol.moderation.verdict import Span

_PATTERN_MEMORY_BYTES: Final = 1 << 20

_SPACING: Final = r"[\t-\r\x{1c}-\x{1f}\x{85}\x{1680}\x{2028}\x{2029}]|  "
_FLAG: Final = r"\x{1f1e6}-\x{1f1ff}"
_SPELLED: Final = (
    rf"(?:^|[^\pL\pN\pM{_FLAG}])[\pL\pN{_FLAG}]"
    rf"(?:(?:[\t-\r\x{{1c}}-\x{{1f}}\x{{85}}\pZ]+|[^\pL\pN\pM\pZ{_FLAG}]){{1,3}}[\pL\pN{_FLAG}]){{3}}"
    rf"(?:$|[^\pL\pN\pM{_FLAG}])"
)
_LEET: Final = rf"\pL[0134578@$!|{_FLAG}]|[0134578@$!|{_FLAG}]\pL|[{_FLAG}]{{2}}"
_OWN: Final = (_SPACING, _SPELLED, _LEET)
_SPACING_AT, _SPELLED_AT, _LEET_AT = range(len(_OWN))

# Holds an edge of every sort (word, line, text), where an expression that needs no text would match.
_SAMPLE: Final = "a 1.\n"

# How far a view has been undressed; each stage only leads to later ones.
_FOLDED, _JOINED, _LEET_READ = range(3)

_NOBODY: Final[frozenset[int]] = frozenset()

_Word = tuple[int, int, bool]  # index among the finders, length of the folded word, whole words only


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

    Raises:
        PolicyError: its patterns are fine one by one and too much together.
    """

    def __init__(self, document: PolicyDocument) -> None:
        self.finders = tuple(Finder(entry.id, entry.severity) for entry in document.finders)
        self._words = _automata(document)
        self._patterns_from = len(document.lists)
        self._patterns = [_compile(pattern.regex) for pattern in document.patterns]
        sized = [
            (pattern.regex, each.programsize)
            for pattern, each in zip(document.patterns, self._patterns, strict=True)
        ]
        if (together := sum(size for _regex, size in sized)) > POLICY_INSTRUCTIONS:
            raise PolicyError([
                f"the patterns together take {together} instructions, and the most is {POLICY_INSTRUCTIONS}"
            ])  # fmt: skip
        normalise.prepare()
        self._sets = PatternSets([(each, _compile(each).programsize) for each in _OWN], sized, options)

    def find(
        self,
        text: str,
        budget: Budget = ENDLESS,
        counted: Collection[int] = (),
        counts: Counter[int] | None = None,
    ) -> dict[int, Span]:
        """Everything found in `text`: finder → the span of its first hit in the original text.

        Args:
            text: any.
            counted: finders whose hits are to be counted.
            counts: to which are added how often they were found side by side, in the view that shows most.

        Raises:
            MatchError: the matching was given up, so that an empty answer would be a guess.
            OverBudget: it takes too long.
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
                self._scan(plain, hits, tally, budget)
        self._scan_undressed(folded, hits, tally, budget)
        if not usual and (blanks := normalise.with_blanks(text)) is not None:
            self._scan(normalise.plain(blanks), hits, tally, budget)
            self._scan_undressed(normalise.folded(blanks), hits, tally, budget)
        if counts is not None and tally is not None:
            counts.update(tally.most)
        return hits

    def _scan_undressed(
        self, folded: View, hits: dict[int, Span], tally: _Tally | None, budget: Budget
    ) -> None:
        """Add what a folded view shows, and what the views do that undo more of its disguises."""
        views = [(_FOLDED, folded)]
        for stage, view in views:
            seen = self._scan(view, hits, tally, budget)
            if not seen:
                continue
            if stage < _JOINED:
                views.extend((_JOINED, joined) for joined in _joined(view, seen))
            if stage < _LEET_READ and _LEET_AT in seen:
                views.extend((_LEET_READ, read) for read in normalise.leet(view))

    def _scan(self, view: View, hits: dict[int, Span], tally: _Tally | None, budget: Budget) -> list[int]:
        """Add what one view shows to `hits` and `tally`; returns which members of the sets were seen."""
        self._locate_words(view, hits, tally, budget)
        seen = self._sets.match(view.text, budget)
        if seen:
            self._locate_patterns(view, seen, hits, tally, budget)
        if tally is not None:
            tally.end()
        return seen

    def _locate_words(self, view: View, hits: dict[int, Span], tally: _Tally | None, budget: Budget) -> None:
        counted = _NOBODY if tally is None else tally.wanted
        for finder, start, end in self._words_in(view.text, budget):
            if (finder not in hits or finder in counted) and view.shows(start, end):
                hits.setdefault(finder, view.original(start, end))
                if tally is not None:
                    tally.add(finder, start, end)

    def _words_in(self, text: str, budget: Budget) -> Iterator[tuple[int, int, int]]:
        for automaton in self._words:
            for last, words in automaton.iter(text):
                end = last + 1
                budget.take(len(words))
                for finder, length, whole in words:
                    start = end - length
                    if not whole or _stands_alone(text, start, end):
                        yield finder, start, end

    def _locate_patterns(
        self, view: View, seen: list[int], hits: dict[int, Span], tally: _Tally | None, budget: Budget
    ) -> None:
        for member in sorted(seen):
            index = member - len(_OWN)
            finder = self._patterns_from + index
            counts = tally is not None and finder in tally.wanted
            if index < 0 or (finder in hits and not counts):
                continue
            for found in self._patterns[index].finditer(view.text):
                start, end = found.span()
                budget.take(len(view.text))
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
    if compiled.programsize > PATTERN_INSTRUCTIONS:
        return (
            f"this expression takes {compiled.programsize} instructions, and the most is "
            f"{PATTERN_INSTRUCTIONS}: repeat less, or something smaller than \\pL"
        )
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


def _automata(document: PolicyDocument) -> list[Any]:
    words: dict[str, list[_Word]] = {}
    for finder, entry in enumerate(document.lists):
        for folded in dict.fromkeys(map(normalise.fold, entry.words)):
            words.setdefault(folded, []).append((finder, len(folded), entry.whole_words))
    return [_automaton(some) for some in _in_parts(words)]


def _in_parts(words: dict[str, list[_Word]]) -> Iterator[dict[str, list[_Word]]]:
    """Words in their order, as many at once as can be compiled in one go."""
    part: dict[str, list[_Word]] = {}
    size = 0
    for folded, entries in words.items():
        if part and size + len(folded) > AUTOMATON_CODE_POINTS:
            yield part
            part, size = {}, 0
        part[folded] = entries
        size += len(folded)
    if part:
        yield part


def _automaton(words: Mapping[str, list[_Word]]) -> Any:
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


def options(memory_bytes: int) -> Any:
    """How RE2 reads expressions here, given how many bytes it may take for one."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = memory_bytes
    return options


def _compile(regex: str) -> Any:
    return re2.compile(regex, options(_PATTERN_MEMORY_BYTES))
