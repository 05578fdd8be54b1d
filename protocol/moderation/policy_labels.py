"""What a policy says of labels: what those of the cluster and of authors mean, and which nobody may ignore.

A narrower layer may define what no wider one does, and otherwise only tighten: a higher default, or a label
that may not be ignored any more. No policy hides posts by defining a label: what everybody is not to see is
decided on, with a reason, and can be appealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from folkmoot.protocol.moderation import bounds
from folkmoot.protocol.moderation.definitions import (
    CHOICES,
    Blurs,
    Choice,
    Definition,
    Definitions,
    Severity,
    Words,
)
from folkmoot.protocol.moderation.table import LANGUAGE, Table

_DEFAULTS: Final = (Choice.WARN.word, Choice.IGNORE.word)


def read_labels(top: Table, below: Definitions) -> Definitions:
    """The definitions of a document over those of the one it stands on; problems are complained of.

    Args:
        top: the document.
        below: what wider layers define.
    """
    found = dict(below)
    own: set[str] = set()
    for table in top.tables("labels", bounds.LABEL_DEFINITIONS):
        read = _definition(table)
        if not read.value:
            continue
        if read.value in own:
            table.complain("value", f"{read.value!r} is defined twice")
        own.add(read.value)
        old = below.get(read.value)
        if old is not None and (read.default < old.default or (old.fixed and not read.fixed)):
            table.complain(
                "value",
                f"a wider layer is stricter about {read.value!r}, and a narrower one may only tighten",
            )
        found[read.value] = read
    if len(found) > bounds.LABEL_DEFINITIONS:
        top.complain(
            "labels", f"{len(found)} labels in all layers together; the limit is {bounds.LABEL_DEFINITIONS}"
        )
    return found


def _definition(table: Table) -> Definition:
    abouts = _texts(table, "about", bounds.LABEL_ABOUT_CODE_POINTS)
    names = _texts(table, "name", bounds.LABEL_NAME_CODE_POINTS)
    for language in abouts.keys() - names.keys():
        table.complain(("about", language), "a label that is described in a language has a name in it")
    read = Definition(
        table.slug("value"),
        Severity(table.choice("severity", tuple(Severity), default=Severity.INFORM)),
        Blurs(table.choice("blurs", tuple(Blurs), default=Blurs.NONE)),
        CHOICES[table.choice("default", _DEFAULTS, default=Choice.WARN.word)],
        {language: Words(name, abouts.get(language, "")) for language, name in names.items()},
        table.truth("fixed", default=False),
    )
    table.refuse_others()
    return read


def _texts(table: Table, key: str, code_points: int) -> Mapping[str, str]:
    texts = table.table(key)
    if texts is None:
        return {}
    read = {}
    for number, language in enumerate(texts.names()):
        if not LANGUAGE.fullmatch(language) or len(language) > bounds.LANGUAGE_CODE_POINTS:
            texts.complain(language, f"{language[:80]!r} is no language tag in lower case, such as pt-br")
        if number == bounds.POLICY_LANGUAGES:
            texts.complain(language, f"{key} is in at most {bounds.POLICY_LANGUAGES} languages")
        read[language] = texts.text(language, code_points)
    return read
