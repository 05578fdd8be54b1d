"""The same audit before anything is live: what a policy would do to labelled texts.

Groups are what the sets are made to compare: the names of groups of people in a text, texts in which these
were swapped, two ways of writing one sentence, languages. Texts on which nothing is said are compared by how
often they are flagged alone, all others by how often they are although nothing is wrong with them, too. Pairs
of texts are compared as though they were independent, which makes intervals wider than they need be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from folkmoot.cli.evaluating.folders import Sets
from folkmoot.cli.evaluating.forms import Entry
from folkmoot.node.moderation.dialects import Dialects
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.reading import readings
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.moderation.fairness.tally import ANY_RULE, Numbers, Tally
from folkmoot.protocol.moderation.statistics.weighted import NONE, Weights
from folkmoot.protocol.moderation.text.features import words_of
from folkmoot.protocol.moderation.text.groups import NAMES
from folkmoot.protocol.moderation.verdict import Action

ENGLISH: Final = "en"
_LANGUAGES: Final = {
    **{"arabic": "ar", "dutch": "nl", "french": "fr", "german": "de", "hindi": "hi", "italian": "it"},
    **{"mandarin": "zh", "polish": "pl", "portuguese": "pt", "spanish": "es"},
}
_VARIANTS: Final = {
    "identity_swapped": "names swapped",
    "aae": "African-American English",
    "sae": "Standard American English",
}
COMPARED: Final = (
    "wikipedia_toxicity_identity",
    "identity_templates_77k",
    "dialect_pairs_habitual_be",
    "hatecheck_en",
    "hatecheck_multilingual",
)
"""The sets that are made to compare groups."""


class _Text(Submission):
    """A text by itself, in a language."""

    spoken = ENGLISH

    @property
    def language(self) -> str:
        return self.spoken


def tallies(
    sets: Sets, engine: PolicyEngine, dialects: Dialects | None, done: Callable[[], None] = lambda: None
) -> dict[str, Tally]:
    """What a policy would do to the texts of each set.

    Args:
        sets: labelled texts, by the names of their sets.
        engine: the policy.
        dialects: declared sets of words, by which all texts are grouped instead of what their sets compare.
        done: called after each text.
    """
    found: dict[str, Tally] = {}
    for name, entries in sets.items():
        found[name] = tally = Tally()
        for entry in entries:
            if entry.tested:
                groups = _groups(entry) if dialects is None else dialects.sets_in(entry.text)
                _count(tally, entry, groups, engine)
            done()
    return found


def compared(sets: Sets, *, all_sets: bool) -> Sets:
    """Those sets that are audited: all, or those that are made to compare groups."""
    return {name: entries for name, entries in sets.items() if all_sets or name in COMPARED}


def size(sets: Mapping[str, Collection[Entry]]) -> int:
    """How many texts there are."""
    return sum(map(len, sets.values()))


def _groups(entry: Entry) -> set[str]:
    groups = {word for read in readings(entry.text) for word in words_of(read) if word in NAMES}
    variant = _VARIANTS.get(entry.about, _LANGUAGES.get(entry.about))
    return groups if variant is None else groups | {variant}


def _count(tally: Tally, entry: Entry, groups: Collection[str], engine: PolicyEngine) -> None:
    text = _Text((("text", entry.text),))
    text.spoken = _LANGUAGES.get(entry.about, ENGLISH)
    said = engine.judge_record(text)
    flagged = said.action >= Action.LABEL
    fine = Weights.of(1.0) if entry.label == 0 else NONE
    tally.count(groups, [ANY_RULE], Numbers(posts=1, fine=fine))
    if flagged:
        rules = {ANY_RULE, *(found.rule for found in said.labels), said.rule or ANY_RULE}
        tally.count(groups, rules, Numbers(flagged=1, fine_flagged=fine))
