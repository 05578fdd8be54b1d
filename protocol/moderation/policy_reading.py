"""Reading policy documents: one pass, which reports every problem a document has, each at its place, because
a policy that half loads is a policy nobody wrote.

How words are folded and what a regular expression may contain is the matchers' affair, so they are told to
the reader as a `Dialect`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from folkmoot.protocol import limits
from folkmoot.protocol.expressions import ExpressionError, Language, Sort
from folkmoot.protocol.moderation import bounds, layers
from folkmoot.protocol.moderation.evidence import read_counted, read_evidence
from folkmoot.protocol.moderation.policy import (
    EMPTY,
    Degrade,
    Dialect,
    Model,
    Pattern,
    PolicyDocument,
    PolicyError,
    Rule,
    WordList,
    layered_hash,
)
from folkmoot.protocol.moderation.policy_labels import read_labels
from folkmoot.protocol.moderation.signals import SCORES, UNCERTAIN, family, signal_name
from folkmoot.protocol.moderation.table import HASH, HASH_DIGITS, LANGUAGE, Locate, Table
from folkmoot.protocol.moderation.text.model import CLASSES_MAX
from folkmoot.protocol.moderation.thresholds import Evidence, resolved
from folkmoot.protocol.moderation.verdict import Action

FORMAT: Final = 1
SEVERITIES: Final = range(1, 6)
WHOLE_WORDS: Final = "word"
ANYWHERE: Final = "anywhere"

_ACTIONS: Final = {action.word: action for action in Action}
_DEGRADES: Final = tuple(Degrade)
_SENTENCE_CODE_POINTS: Final = limits.LABEL_REASON_CODE_POINTS


def read_policy(
    data: Mapping[str, Any],
    locate: Locate,
    *,
    hash: str,
    dialect: Dialect,
    below: PolicyDocument | None = None,
) -> PolicyDocument:
    """Validate a parsed TOML document as a whole.

    Args:
        data: what the TOML says.
        locate: gives `file:line:column` for a path of keys and indices in it.
        hash: of the bytes it was read from, see `policy_hash`.
        dialect: of the matchers that will run it.
        below: the document that it stands on, and may only tighten.

    Raises:
        PolicyError: with every problem found.
    """
    problems: list[str] = []
    document = _Reader(Table(data, (), locate, problems), dialect, below or EMPTY).read(
        (*(below.layers if below else ()), hash)
    )
    if problems:
        raise PolicyError(problems)
    return document


class _Reader:
    """Reads one document over the one it stands on.

    Args:
        top: the document.
        dialect: see `read_policy`.
        below: likewise; `EMPTY` where there is none.
    """

    def __init__(self, top: Table, dialect: Dialect, below: PolicyDocument) -> None:
        self._top = top
        self._dialect = dialect
        self._below = below
        self._own_rules: list[tuple[Table, Rule]] = []
        self._finders = {finder.id for finder in below.finders}
        self._labels = {label for model in below.models for label in model.labels}

    def read(self, hashes: tuple[str, ...]) -> PolicyDocument:
        """The document; harmless nonsense stands where there was a problem."""
        top, below = self._top, self._below
        version = top.integer("version")
        if version not in (None, FORMAT):
            top.complain("version", f"format version {version}; this node reads {FORMAT}")
        # What these two name is the affair of whoever finds files.
        top.text("extends", bounds.POLICY_FILE_NAME_CODE_POINTS, required=False)
        top.table("regions")
        name, unicode, appeal = top.slug("name"), _unicode(top), top.text("appeal", _SENTENCE_CODE_POINTS)
        document = PolicyDocument(
            hash=layered_hash(hashes),
            name=name,
            unicode=unicode,
            appeal=appeal,
            lists=self._lists(),
            patterns=self._patterns(),
            models=self._models(),
            rules=self._rules(),
            degrade=self._degrade(),
            layers=hashes,
            labels=read_labels(top, below.labels),
        )
        top.refuse_others()
        self._check_rules(document)
        words = sum(len(entry.words) for entry in document.lists)
        if words > limits.POLICY_WORDS:
            top.complain("lists", f"{words} words in all lists together; the limit is {limits.POLICY_WORDS}")
        for key, entries, limit in (
            ("patterns", document.patterns, limits.POLICY_PATTERNS),
            ("models", document.models, bounds.POLICY_MODELS),
            ("rules", document.rules, limits.POLICY_RULES),
        ):
            if below.layers and len(entries) > limit:
                top.complain(key, f"{len(entries)} {key} in all layers together; the limit is {limit}")
        return document

    def _lists(self) -> tuple[WordList, ...]:
        below = {entry.id: entry for entry in self._below.lists}
        merged = dict(below)
        for number, table in enumerate(self._top.tables("lists")):
            id = table.slug("id")
            old = below.pop(id, None)
            merged[id or f"#{number}"] = read = _word_list(table, id, old, self._dialect)
            if old is None:
                self._claim(table, id)
            else:
                table.complain_of(layers.loosened_list(old, read, self._below.rules))
        return tuple(merged.values())

    def _patterns(self) -> tuple[Pattern, ...]:
        read = list(self._below.patterns)
        for table in self._top.tables("patterns", limits.POLICY_PATTERNS):
            read.append(_pattern(table, self._dialect))
            self._claim(table, read[-1].id)
        return tuple(read)

    def _claim(self, table: Table, id: str) -> None:
        if id and id in self._finders:
            table.complain("id", f"{id!r} is already the id of a list or pattern")
        self._finders.add(id)

    def _models(self) -> tuple[Model, ...]:
        read = list(self._below.models)
        for table in self._top.tables("models", bounds.POLICY_MODELS):
            model = _model(table)
            if model.id and any(model.id == other.id for other in read):
                table.complain("id", f"{model.id!r} is already the id of a model")
            for index, label in enumerate(model.labels):
                if label in self._labels:
                    table.complain(("labels", index), f"a model scores {label!r} already")
                self._labels.add(label)
            read.append(model)
        return tuple(read)

    def _rules(self) -> tuple[Rule, ...]:
        below = {rule.id: rule for rule in self._below.rules}
        merged = dict(below)
        seen: set[str] = set()
        for number, table in enumerate(self._top.tables("rules", limits.POLICY_RULES)):
            id = table.slug("id")
            if id and id in seen:
                table.complain("id", f"{id!r} is already the id of a rule")
            seen.add(id)
            old = below.get(id)
            merged[id or f"#{number}"] = read = _rule(table, id, old)
            self._own_rules.append((table, read))
            if old is not None and not old.overridable:
                table.complain_of(layers.loosened_rule(old, read))
        return tuple(merged.values())

    def _degrade(self) -> Mapping[str, Degrade]:
        said = dict(self._below.degrade)
        table = self._top.table("degrade")
        if table is None:
            return said
        for name, at, key in _degrade_keys(table):
            if family(name) not in UNCERTAIN:
                at.complain(key, f"{name} is never unknown; of {' and '.join(UNCERTAIN)} this can be said")
            said[name] = Degrade(at.choice(key, _DEGRADES, default=None))
            at.complain_of((key, flaw) for flaw in layers.loosened_degrade(self._below, name, said[name]))
        return said

    def _check_rules(self, document: PolicyDocument) -> None:
        """Rules name what exists, and their expressions can be worked out."""
        language = Language(document.signals, "policies", divides=False)
        for table, rule in self._own_rules:
            if isinstance(rule.when, str):
                flaw = _expression_flaw(rule.when, language, document.evidence) if rule.when else None
                if flaw is not None:
                    table.complain("when", flaw)
                continue
            for place, name in enumerate(rule.when):
                if name not in self._finders:
                    table.complain(("when", place), f"no list or pattern has the id {name!r}")


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


def _word_list(table: Table, id: str, old: WordList | None, dialect: Dialect) -> WordList:
    words = table.texts("words", limits.POLICY_WORD_CODE_POINTS, limits.POLICY_WORDS)
    for index, word in words:
        if not dialect.fold(word):
            table.complain(("words", index), f"nothing is left of {word!r} to look for once it is normalised")
    match = ANYWHERE if old and not old.whole_words else WHOLE_WORDS
    read = WordList(
        id=id,
        category=table.slug("category", required=old is None) or (old.category if old else ""),
        severity=_severity(table, old.severity if old else None) or 1,
        words=tuple(dict.fromkeys((*(old.words if old else ()), *(word for _index, word in words)))),
        whole_words=table.choice("match", (WHOLE_WORDS, ANYWHERE), default=match) == WHOLE_WORDS,
    )
    table.refuse_others()
    return read


def _pattern(table: Table, dialect: Dialect) -> Pattern:
    regex = table.text("regex", limits.POLICY_PATTERN_CODE_POINTS)
    flaw = dialect.flaw(regex) if regex else None
    if flaw is not None:
        table.complain("regex", flaw)
    id, category, severity = table.slug("id"), table.slug("category"), _severity(table, None)
    table.refuse_others()
    return Pattern(id, category, severity or 1, regex)


def _model(table: Table) -> Model:
    hash = table.text("hash", HASH_DIGITS)
    if hash and not HASH.fullmatch(hash):
        table.complain("hash", "hash is the SHA-256 of the model's file, 64 hexadecimal digits in lower case")
    labels = []
    for index, label in table.texts("labels", limits.LABEL_VALUE_BYTES, CLASSES_MAX - 1):
        if signal_name(SCORES, label) is None:
            table.complain(
                ("labels", index), f"{label!r} cannot be named in a rule: it begins with a letter, and is "
                "made of lowercase letters, digits and hyphens"
            )  # fmt: skip
        labels.append(label)
    blind, evidence = table.truth("blind", default=False), read_evidence(table, labels)
    counted = read_counted(table, hash, evidence)
    read = Model(table.slug("id"), hash, tuple(labels), blind, evidence, counted)
    table.refuse_others()
    return read


def _severity(table: Table, old: int | None, *, required: bool = True) -> int | None:
    severity = table.integer("severity", required=required and old is None)
    if severity is not None and severity not in SEVERITIES:
        table.complain("severity", f"severity {severity}; it is 1 (a nuisance) to 5 (danger to someone)")
    return old if severity is None else severity


def _rule(table: Table, id: str, old: Rule | None) -> Rule:
    """A rule; what it leaves out it has from `old`, the one of that name below."""
    then = _ACTIONS[table.choice("then", tuple(_ACTIONS), default=old.then.word if old else None)]
    inherited = old.label if old and then in (Action.LABEL, Action.HOLD) else None
    label = table.slug("label", required=then is Action.LABEL and inherited is None) or inherited
    if label and then not in (Action.LABEL, Action.HOLD):
        table.complain("label", f"a rule that says {then.word} puts no label on anything; leave it out")
    when = _when(table, old)
    alone = isinstance(when, str) and old is None  # nothing else says what it is about
    read = Rule(
        id=id,
        when=when,
        then=then,
        reason=table.text("reason", _SENTENCE_CODE_POINTS, required=old is None)
        or (old.reason if old else ""),
        label=label or None,
        category=table.slug("category", required=alone) or (old.category if old else None) or None,
        severity=_severity(table, old.severity if old else None, required=alone),
        notices={**(old.notices if old else {}), **_notices(table)},
        expires=table.day("expires") or (old.expires if old else None),
        overridable=table.truth("overridable", default=old.overridable if old else False),
    )
    table.refuse_others()
    return read


def _when(table: Table, old: Rule | None) -> tuple[str, ...] | str:
    if old is not None and not table.has("when"):
        return old.when
    if table.is_text("when"):
        return table.text("when", limits.EXPRESSION_CODE_POINTS)
    names = table.texts("when", limits.LABEL_VALUE_BYTES, limits.MESSAGE_COLLECTION_ITEMS)
    return tuple(name for _index, name in names)


def _notices(table: Table) -> dict[str, str]:
    notices = table.table("notice")
    if notices is None:
        return {}
    read = {}
    for number, language in enumerate(notices.names()):
        if not LANGUAGE.fullmatch(language):
            notices.complain(language, f"{language[:80]!r} is no language tag in lower case, such as pt-br")
        if number == bounds.POLICY_LANGUAGES:
            notices.complain(language, f"a notice is in at most {bounds.POLICY_LANGUAGES} languages")
        read[language] = notices.text(language, _SENTENCE_CODE_POINTS)
    return read


def _degrade_keys(table: Table) -> Iterator[tuple[str, Table, str]]:
    """Every signal or family that is said something about, where, and under which key."""
    for name in table.names():
        below = table.table(name) if table.is_table(name) else None
        if below is None:
            yield name, table, name
        else:
            yield from ((f"{name}.{each}", below, each) for each in below.names())


def _expression_flaw(said: str, language: Language, evidence: Mapping[str, Evidence]) -> str | None:
    source, asked = resolved(said)
    for each in asked:
        if each.label not in evidence:
            return f"when: no model has evidence about {each.label}, so no threshold can be told"
    try:
        expression = language.compile(source)
        if expression.sort is not Sort.TRUTH:
            return "when: its value is a number; a rule's is true or false"
        language.any_of([source, source])  # among others it stands a little deeper
    except ExpressionError as error:
        if asked:  # the columns are another expression's
            return f"when: {error.reason}"
        return f"when{'' if error.column is None else f', character {error.column}'}: {error.reason}"
    always = expression.truth(language.bind({}))
    if always is not None:
        return f"when: this is {'always' if always else 'never'} true, whatever is judged"
    return None
