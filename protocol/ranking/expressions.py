"""What expressions of feed algorithms know of a post; the language itself is `protocol.expressions`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from folkmoot.protocol.expressions import Activation, Expression, Language, Sort

Signals = Mapping[str, float | bool | str | list[str]]
"""What is known of a post, by the names in `SIGNALS`."""

AGE: Final = "age_s"
SIGNALS: Final[Mapping[str, tuple[Sort, str]]] = {
    AGE: (Sort.NUMBER, "seconds since it came into the feed: since it was posted, or reposted"),
    "likes": (Sort.NUMBER, "how many like it"),
    "reposts": (Sort.NUMBER, "how many reposted it"),
    "replies": (Sort.NUMBER, "how many posts answer it"),
    "friends": (Sort.NUMBER, "how many of those the reader follows follow its author; 0 without `friends`"),
    "similarity": (
        Sort.NUMBER,
        "how near it is in meaning to what the reader writes, 0 to 1; 0 without `similar`",
    ),
    "tag_hits": (Sort.NUMBER, "how many of its tags are among those of the source `tags`; 0 without it"),
    "length": (Sort.NUMBER, "how many characters its text has"),
    "media": (Sort.NUMBER, "how many pictures and other media it has"),
    "own": (Sort.TRUTH, "whether the reader wrote it"),
    "followed": (Sort.TRUTH, "whether the reader follows its author"),
    "is_reply": (Sort.TRUTH, "whether it answers a post"),
    "is_repost": (Sort.TRUTH, "whether it is here because somebody reposted it"),
    "is_quote": (Sort.TRUTH, "whether it quotes a post"),
    "has_warning": (Sort.TRUTH, "whether its author warns of it"),
    "author": (Sort.TEXT, "its author's account, `did:key:…`"),
    "lang": (Sort.TEXT, "its language, such as `pt-br`, in lower case; empty where it says none"),
    "text": (Sort.TEXT, "its text, in lower case and without invisible characters"),
    "tags": (Sort.TEXTS, "its tags, without `#` and in lower case"),
    "labels": (Sort.TEXTS, "what its author and the cluster's nodes label it with"),
    "sources": (Sort.TEXTS, "the sources it came from"),
}
"""The variables of an expression, and what each says."""

_LANGUAGE: Final = Language({name: sort for name, (sort, _) in SIGNALS.items()}, "feed algorithms")
_CACHED: Final = 512  # expressions; the longest take about 25 KiB each


def bind(signals: Signals) -> Activation:
    """The signals of one post, ready for any number of expressions."""
    return _LANGUAGE.bind(signals)


@lru_cache(maxsize=_CACHED)
def compile_expression(source: str) -> Expression:
    """See `Language.compile`; those that were compiled lately are remembered."""
    return _LANGUAGE.compile(source)
