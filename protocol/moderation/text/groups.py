"""Words for groups of people, so that a model can be kept from telling one group from another.

Models learn that groups which are often attacked are themselves a bad sign (Dixon et al. 2018, "Measuring
and Mitigating Unintended Bias in Text Classification"). Against that a text is also read with every such word
as the same one: what is learnt of one group then holds for all. A *blind* model reads it in no other way; it
cannot tell groups apart, as long as they are named by a word that stands here.

English words for what people are, from what laws against discrimination protect: sex, orientation, origin,
religion, disability, age. Slurs are not among them: they are no names. A model of other features would be
another, so a word more is a new `features.FEATURES_VERSION`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

GROUP: Final = "\u0001"
"""What stands for any group; no text has it."""

_NAMES: Final = """
woman women female females man men male males trans transgender transsexual transsexuals
transgenders nonbinary gay gays lesbian lesbians bisexual bisexuals homosexual homosexuals
heterosexual heterosexuals straight queer lgbt lgbtq black blacks white whites african africans
asian asians latino latinos latina latinas latinx hispanic hispanics mexican mexicans american
americans european europeans canadian canadians indian indians chinese japanese arab arabs jew jews
jewish muslim muslims islamic christian christians catholic catholics protestant protestants
buddhist buddhists sikh sikhs hindu hindus taoist taoists atheist atheists immigrant immigrants
migrant migrants refugee refugees foreigner foreigners disabled deaf blind paralyzed elderly old
older young younger aged teenage millenial millennial millenials millennials
"""
_PEOPLE: Final = """
people person persons men man women woman folks folk guy guys girl girls boy boys kid kids children community
"""

NAMES: Final = frozenset(_NAMES.split())
_OF_TWO_WORDS: Final = frozenset({("african", "american"), ("middle", "eastern"), ("native", "american")})
_FIRST: Final = NAMES | {first for first, _ in _OF_TWO_WORDS}
_AFTER: Final = frozenset(_PEOPLE.split())


def generalised(words: Sequence[str]) -> Sequence[str]:
    """The words with every name of a group, and a word for people behind it, as the one word `GROUP`; the
    very same where there is none."""
    if _FIRST.isdisjoint(words):
        return words
    general: list[str] = []
    at = 0
    while at < len(words):
        length = 2 if tuple(words[at : at + 2]) in _OF_TWO_WORDS else 1 if words[at] in NAMES else 0
        if not length:
            general.append(words[at])
            at += 1
            continue
        at += length
        if at < len(words) and words[at] in _AFTER:
            at += 1
        general.append(GROUP)
    return general
