"""Policy documents: what a community asks of a record's text, as lists, patterns and rules.

A document is one TOML file and is named by the SHA-256 of its bytes. Lists and patterns *find*; rules *act*:
a rule applies when any of the lists and patterns it names was found. Which rule then decides is settled in
`verdict`. Reading validates the whole document and reports every problem it has, each at its place, because
a policy that half loads is a policy nobody wrote.

How words are folded and what a regular expression may contain is the matchers' affair, so they are told to
the reader as a `Dialect`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from folkmoot.protocol import limits
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.moderation.table import Locate, Table
from folkmoot.protocol.moderation.verdict import Action

FORMAT: Final = 1
SEVERITIES: Final = range(1, 6)
WHOLE_WORDS: Final = "word"
ANYWHERE: Final = "anywhere"

_ACTIONS: Final = {action.word: action for action in Action}
_SENTENCE_CODE_POINTS: Final = limits.LABEL_REASON_CODE_POINTS


class PolicyError(FolkmootError):
    """A policy document cannot be used.

    Args:
        problems: one sentence each, beginning with the place (`file:line:column`) where it has one.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        shown = list(problems[: limits.POLICY_PROBLEMS])
        if len(problems) > len(shown):
            shown.append(f"… and {len(problems) - len(shown)} more problems")
        super().__init__("\n".join(shown))
        self.problems = tuple(shown)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the matchers that will run a document make of its words and patterns.

    Args:
        fold: the form in which a word is looked for; empty when nothing of it is left to look for.
        flaw: why a regular expression cannot be used, or None.
    """

    fold: Callable[[str], str]
    flaw: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class WordList:
    """Words to look for.

    Args:
        id: its name among the document's lists and patterns.
        category: what they are signs of, for example `spam`.
        severity: 1 (a nuisance) to 5 (danger to someone).
        words: words and phrases, as written in the document.
        whole_words: whether a hit inside a longer word does not count.
    """

    id: str
    category: str
    severity: int
    words: tuple[str, ...]
    whole_words: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """One regular expression to look for; `id`, `category` and `severity` as for a list."""

    id: str
    category: str
    severity: int
    regex: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do when something was found.

    Args:
        id: its name among the document's rules.
        when: ids of lists and patterns; any of them is enough.
        then: the action.
        reason: one sentence for the author.
        label: what to label the record with, when `then` is `label` (or, if wished, `hold`).
    """

    id: str
    when: tuple[str, ...]
    then: Action
    reason: str
    label: str | None


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A valid policy.

    Args:
        hash: SHA-256 of the file's bytes, in hex; the policy's name in verdicts and labels.
        name: what people call it.
        unicode: the oldest Unicode version that judges as its author meant.
        appeal: one sentence: whom a refused author may ask for another look.
        lists, patterns, rules: in the document's order.
    """

    hash: str
    name: str
    unicode: str
    appeal: str
    lists: tuple[WordList, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def finders(self) -> tuple[WordList | Pattern, ...]:
        """What rules can name: the lists, then the patterns."""
        return (*self.lists, *self.patterns)


EMPTY: Final = PolicyDocument(hash=hashlib.sha256(b"").hexdigest(), name="none", unicode="", appeal="")
"""The policy of a node that was given none: everything is accepted."""


def policy_hash(data: bytes) -> str:
    """The name of the policy in a file of these bytes."""
    return hashlib.sha256(data).hexdigest()


def read_policy(data: Mapping[str, Any], locate: Locate, *, hash: str, dialect: Dialect) -> PolicyDocument:
    """Validate a parsed TOML document as a whole.

    Args:
        data: what the TOML says.
        locate: gives `file:line:column` for a path of keys and indices in it.
        hash: of the bytes it was read from, see `policy_hash`.
        dialect: of the matchers that will run it.

    Raises:
        PolicyError: with every problem found.
    """
    problems: list[str] = []
    top = Table(data, (), locate, problems)
    version = top.integer("version")
    if version not in (None, FORMAT):
        top.complain("version", f"format version {version}; this node reads {FORMAT}")
    document = PolicyDocument(
        hash=hash,
        name=top.slug("name"),
        unicode=_unicode(top),
        appeal=top.text("appeal", _SENTENCE_CODE_POINTS),
        lists=tuple(_word_list(table, dialect) for table in top.tables("lists")),
        patterns=tuple(_pattern(table, dialect) for table in top.tables("patterns", limits.POLICY_PATTERNS)),
        rules=tuple(_rule(table) for table in top.tables("rules", limits.POLICY_RULES)),
    )
    top.refuse_others()
    _check_references(document, top)
    if problems:
        raise PolicyError(problems)
    return document


def _unicode(top: Table) -> str:
    """Normalisation and case folding of assigned characters never change, so newer data judges the same.

    Source: Unicode Character Encoding Stability Policies.
    """
    wanted = top.text("unicode", 16)
    known = unicodedata.unidata_version
    try:
        newer = _version(wanted) > _version(known)
    except ValueError:
        if wanted:
            top.complain("unicode", f"{wanted!r} is not a Unicode version such as {known!r}")
        return wanted
    if newer:
        top.complain("unicode", f"needs Unicode {wanted}; this node's Python knows {known}: use a newer one")
    return wanted


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _word_list(table: Table, dialect: Dialect) -> WordList:
    words = table.texts("words", limits.POLICY_WORD_CODE_POINTS, limits.POLICY_WORDS)
    for index, word in words:
        if not dialect.fold(word):
            table.complain(("words", index), f"nothing is left of {word!r} to look for once it is normalised")
    read = WordList(
        id=table.slug("id"),
        category=table.slug("category"),
        severity=_severity(table),
        words=tuple(word for _index, word in words),
        whole_words=table.choice("match", (WHOLE_WORDS, ANYWHERE), default=WHOLE_WORDS) == WHOLE_WORDS,
    )
    table.refuse_others()
    return read


def _pattern(table: Table, dialect: Dialect) -> Pattern:
    regex = table.text("regex", limits.POLICY_PATTERN_CODE_POINTS)
    flaw = dialect.flaw(regex) if regex else None
    if flaw is not None:
        table.complain("regex", flaw)
    read = Pattern(
        id=table.slug("id"), category=table.slug("category"), severity=_severity(table), regex=regex
    )
    table.refuse_others()
    return read


def _severity(table: Table) -> int:
    severity = table.integer("severity")
    if severity is not None and severity not in SEVERITIES:
        table.complain("severity", f"severity {severity}; it is 1 (a nuisance) to 5 (danger to someone)")
    return severity or 1


def _rule(table: Table) -> Rule:
    then = _ACTIONS[table.choice("then", tuple(_ACTIONS), default=None)]
    label = table.slug("label", required=then is Action.LABEL)
    if label and then not in (Action.LABEL, Action.HOLD):
        table.complain("label", f"a rule that says {then.word} puts no label on anything; leave it out")
    read = Rule(
        id=table.slug("id"),
        when=tuple(
            name
            for _index, name in table.texts("when", limits.LABEL_VALUE_BYTES, limits.MESSAGE_COLLECTION_ITEMS)
        ),
        then=then,
        reason=table.text("reason", _SENTENCE_CODE_POINTS),
        label=label or None,
    )
    table.refuse_others()
    return read


def _check_references(document: PolicyDocument, top: Table) -> None:
    """Names are unique, and rules name what exists; a word budget holds over all lists together."""
    paths: list[tuple[str | int, ...]] = [("lists", index) for index in range(len(document.lists))]
    paths += [("patterns", index) for index in range(len(document.patterns))]
    finders: set[str] = set()
    for path, finder in zip(paths, document.finders, strict=True):
        if finder.id and finder.id in finders:
            top.complain((*path, "id"), f"{finder.id!r} is already the id of a list or pattern")
        finders.add(finder.id)
    rules: set[str] = set()
    for index, rule in enumerate(document.rules):
        if rule.id and rule.id in rules:
            top.complain(("rules", index, "id"), f"{rule.id!r} is already the id of a rule")
        rules.add(rule.id)
        for place, name in enumerate(rule.when):
            if name not in finders:
                top.complain(("rules", index, "when", place), f"no list or pattern has the id {name!r}")
    words = sum(len(entry.words) for entry in document.lists)
    if words > limits.POLICY_WORDS:
        top.complain("lists", f"{words} words in all lists together; the limit is {limits.POLICY_WORDS}")
