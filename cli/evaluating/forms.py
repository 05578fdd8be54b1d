"""The labelled sets that can be read, by the names of their files, and what their labels mean here.

A set has labels of its own, which a model of its own learns; and what it says of two questions that sets
share, whether a text is *toxic* and whether it is *hate*, which models of all sets learn together.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from folkmoot.cli.evaluating.tables import Row

TOXIC: Final = "toxic"
HATE: Final = "hate"
QUESTIONS: Final = (TOXIC, HATE)
"""What models of all sets learn."""

TAUGHT_TEMPLATES: Final = frozenset({"am_hate_adj", "being_adj", "verb_adj"})
"""Of the identity templates, those that models may learn from; what is measured is measured on the others."""

EXCERPT_CHARACTERS: Final = 2_000
"""How much of a page of talk is looked at; nothing else is as long."""


class Entry(NamedTuple):
    """One text with its label.

    Args:
        text: as people wrote it.
        label: the number of its class; None where the set has none.
        group: what belongs together, as sentences of one post or versions of one text do; None for a text
            that stands alone.
        about: what is told apart in a set: a functionality, a template, a variant, a language.
        answers: to the shared questions; what has none teaches nothing but its own set's model.
        tested: whether anything is measured on it.
    """

    text: str
    label: int | None
    group: str | None = None
    about: str = ""
    answers: Mapping[str, bool] = {}
    tested: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """How a set is read.

    Args:
        columns: what its file must have.
        classes: the names of its labels; the first is what nothing is wrong with.
        read: the entries of a row.
        own: whether a model learns its labels, from it alone.
        judged_by: which shared question its labels answer, where no model of its own judges it.
        parted: whether its parts count as sets of their own where sets are evened.
    """

    columns: Sequence[str]
    classes: tuple[str, ...]
    read: Callable[[Row], Sequence[Entry]]
    own: bool = True
    judged_by: str = TOXIC
    parted: bool = False


def _davidson(row: Row) -> list[Entry]:
    label = ("neither", "offensive", "hate").index(row.one_of("class", ("neither", "offensive", "hate")))
    answers = {TOXIC: label > 0, HATE: label == 2}
    # The set keeps `&amp;` and `&#128514;` as its source served them.
    return [Entry(html.unescape(row["text"]), label, answers=answers)]


def _olid(row: Row) -> list[Entry]:
    offensive = row.one_of("subtask_a", ("NOT", "OFF")) == "OFF"
    answers = {TOXIC: offensive, HATE: row["subtask_c"] == "GRP"}
    return [Entry(html.unescape(row["text"]), int(offensive), answers=answers)]


def _stormfront(row: Row) -> list[Entry]:
    # `relation` needs the sentences around it, `idk/skip` is no label.
    label = row.one_of("label", ("noHate", "hate", "relation", "idk/skip"))
    if label not in ("noHate", "hate"):
        return []
    hate = label == "hate"
    return [Entry(row["text"], int(hate), row["post_id"], answers={TOXIC: hate, HATE: hate})]


def _gab(row: Row) -> list[Entry]:
    hate, vulgar = (
        any(row.one_of(column, ("0", "1")) == "1" for column in columns)
        for columns in (("hd", "cv"), ("vo",))
    )
    return [Entry(row["text"], int(hate), answers={TOXIC: hate or vulgar, HATE: hate})]


def _surge(row: Row) -> list[Entry]:
    toxic = row.one_of("label", ("Not Toxic", "Toxic")) == "Toxic"
    return [Entry(row["text"], int(toxic), answers={TOXIC: toxic, HATE: toxic})]


def _wikipedia(row: Row) -> list[Entry]:
    toxic = row.one_of("toxic", ("False", "True")) == "True"
    variant = row.one_of("variant", ("original", "identity_swapped"))
    answers = {TOXIC: toxic, HATE: toxic}
    return [Entry(row["text"][:EXCERPT_CHARACTERS], int(toxic), row["rev_id"], variant, answers)]


def _templates(row: Row) -> list[Entry]:
    bad = row.one_of("label", ("NOT_BAD", "BAD")) == "BAD"
    taught = row["template"] in TAUGHT_TEMPLATES
    answers = {TOXIC: bad, HATE: bad} if taught else {}
    return [Entry(row["text"], int(bad), None, row["template"], answers, tested=not taught)]


def _dialects(row: Row) -> list[Entry]:
    return [Entry(row[variant], None, row["row_id"], variant) for variant in ("aae", "sae")]


def _sms(row: Row) -> list[Entry]:
    return [Entry(html.unescape(row["text"]), int(_is_spam(row)))]


def _youtube(row: Row) -> list[Entry]:
    return [Entry(html.unescape(row["text"]), int(_is_spam(row)), row["comment_id"])]


def _is_spam(row: Row) -> bool:
    return row.one_of("label", ("ham", "spam")) == "spam"


def _hatecheck(about: str) -> Callable[[Row], list[Entry]]:
    def read(row: Row) -> list[Entry]:
        hateful = row.one_of("label_gold", ("non-hateful", "hateful")) == "hateful"
        return [Entry(row["test_case"], int(hateful), about=row[about])]

    return read


_HATECHECK: Final = ("test_case", "label_gold", "functionality")

FORMS: Final[Mapping[str, Form]] = {
    "davidson_tweets": Form(("class", "text"), ("neither", "offensive", "hate"), _davidson),
    "olid_tweets": Form(("text", "subtask_a", "subtask_c"), ("NOT", "OFF"), _olid),
    "sms_spam": Form(("label", "text"), ("ham", "spam"), _sms),
    "youtube_spam": Form(("comment_id", "label", "text"), ("ham", "spam"), _youtube),
    "stormfront_hate": Form(("post_id", "label", "text"), ("noHate", "hate"), _stormfront),
    "gab_hate_corpus": Form(("text", "hd", "cv", "vo"), ("neither", "hate"), _gab),
    "surge_toxicity": Form(("text", "label"), ("Not Toxic", "Toxic"), _surge),
    "wikipedia_toxicity_identity": Form(
        ("rev_id", "variant", "toxic", "text"), ("fine", "toxic"), _wikipedia, own=False
    ),
    "identity_templates_77k": Form(
        ("template", "label", "text"), ("NOT_BAD", "BAD"), _templates, own=False, parted=True
    ),
    "dialect_pairs_habitual_be": Form(("row_id", "aae", "sae"), (), _dialects, own=False),
    "hatecheck_en": Form(
        _HATECHECK,
        ("non-hateful", "hateful"),
        _hatecheck("functionality"),
        own=False,
        judged_by=HATE,
    ),
    "hatecheck_multilingual": Form(
        (*_HATECHECK, "language"),
        ("non-hateful", "hateful"),
        _hatecheck("language"),
        own=False,
        judged_by=HATE,
    ),
}
"""Set → how it is read, in the order of the report."""

BESIDE: Final = frozenset(
    {
        "birdwatch_notes",
        "birdwatch_ratings",
        "convabuse_items",
        "convabuse_votes",
        "hatecheck_en_annotator_votes",
    }
)
"""Sets that may lie in the same folder and say nothing of how a text is to be judged by itself."""
