"""Signals: what the rules of a policy may ask about a record, each with its sort.

A signal has a family and a name, `post.links`. Those here are the same for every policy; a policy adds two
for each of its lists and patterns, whether it was found (`hits.<id>`, with `_` for `-`) and how often
(`counts.<id>`), and one for each label of its models (`scores.<label>`). A signal that is not known here and
now has no value; what comes of that is in `rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from folkmoot.protocol.expressions import Sort

HITS: Final = "hits"
COUNTS: Final = "counts"
SCORES: Final = "scores"
FLOOD: Final = "flood"
POST: Final = "post"
AUTHOR: Final = "author"
MEDIA: Final = "media"
THRESHOLDS: Final = "thresholds"

SIGNALS: Final[Mapping[str, tuple[Sort, str]]] = {
    "post.kind": (Sort.TEXT, "what it is: `post`, `profile`, `label`, `list` or `algorithm`"),
    "post.lang": (Sort.TEXT, "the language it says it is in, in lower case; empty where it says none"),
    "post.length": (Sort.NUMBER, "how many characters its texts have"),
    "post.links": (Sort.NUMBER, "how many addresses of pages are in its texts"),
    "post.mentions": (
        Sort.NUMBER,
        "accounts it mentions, or how often it says `@name` if that is more",
    ),
    "post.tags": (Sort.NUMBER, "how many tags it has"),
    "post.media": (Sort.NUMBER, "how many pictures and other media it has"),
    "post.reply": (Sort.TRUTH, "whether it answers a post"),
    "post.quote": (Sort.TRUTH, "whether it quotes a post"),
    "flood.same_text": (
        Sort.NUMBER,
        "how many records that this node saw in the last ten minutes share half of its phrases",
    ),
    "flood.author_rate": (Sort.NUMBER, "records its author has put to this node in the last minute"),
    "flood.address_rate": (Sort.NUMBER, "records that came from its address in the last minute"),
    "media.pdq_match": (Sort.TRUTH, "whether a list of pictures knows one of its media"),
    "media.lists": (Sort.TEXTS, "the names of the lists that know its media"),
    "media.categories": (Sort.TEXTS, "as what these lists know them"),
    "media.nsfw": (Sort.NUMBER, "the highest score, 0 to 1, that the image model gives its media"),
    "author.age_s": (Sort.NUMBER, "for how many seconds at least the cluster has known its author"),
    "author.trust": (Sort.NUMBER, "how often at least, 0 to 1, people decided in its author's favour"),
}
"""The signals of every policy, and what each says."""

UNCERTAIN: Final = (AUTHOR, MEDIA, SCORES, THRESHOLDS)
"""The families whose signals may be unknown."""

LOOKED_UP: Final = (AUTHOR, MEDIA)
"""The families whose signals have to be looked up before a record is judged."""

LASTING: Final = (MEDIA, POST, SCORES)
"""The families whose signals depend on what was written alone, and not on when it came, or from whom."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_RESERVED: Final = frozenset({"in", "true", "false", "null"})
_NAMED: Final = re.compile(r"[a-z]+\s*\.\s*[a-z][a-z0-9_]*")


def signal_name(family: str, id: str) -> str | None:
    """What expressions call the signal of a list, a pattern or a label.

    Returns:
        None when its id cannot be said there, because it does not begin with a letter.
    """
    if not _NAME.fullmatch(id) or id in _RESERVED:
        return None
    return f"{family}.{id.replace('-', '_')}"


def sorts_of(finders: Iterable[str], labels: Iterable[str]) -> dict[str, Sort]:
    """All signals of a policy, by name.

    Args:
        finders: ids of its lists and patterns.
        labels: of its models.
    """
    sorts = {name: sort for name, (sort, _) in SIGNALS.items()}
    ids = list(finders)
    hits = (signal_name(HITS, id) for id in ids)
    counts = (signal_name(COUNTS, id) for id in ids)
    scores = (signal_name(SCORES, label) for label in labels)
    sorts |= {name: Sort.TRUTH for name in hits if name is not None}
    return sorts | {name: Sort.NUMBER for name in (*counts, *scores) if name is not None}


def named_in(expression: str) -> list[str]:
    """The signals that an expression names, each once, in order; and whatever reads like one in its texts."""
    return sorted({re.sub(r"\s", "", name) for name in _NAMED.findall(expression)})


def family(signal: str) -> str:
    """The family of a signal."""
    return signal.partition(".")[0]
