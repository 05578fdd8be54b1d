"""What was looked for, marked in what was found: `*word*`, and of a long text the part around the first one.

Words are told apart as searches do (`protocol.search`), so what is marked is what made the post be found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from folkmoot.protocol.search.query import Query
from folkmoot.protocol.search.tokens import Phrase, fold, tokens

SNIPPET_CHARACTERS: Final = 400
_BEFORE: Final = 120
_CHUNK: Final = re.compile(r"\s+")
_MARKS_AROUND: Final = re.compile(r"^[^\w]+|[^\w]+$")


def snippet(text: str, query: Query) -> str:
    """The part of a text that shows why it was found, with marks.

    Args:
        text: of a post.
        query: which it meets.
    """
    wanted = [term.phrase for term in query.terms if term.column == "body" and not term.excluded]
    spans = [span for start, chunk in _chunks(text) for span in _spans(start, chunk, wanted)]
    start = 0
    if len(text) > SNIPPET_CHARACTERS:
        start = max(0, (spans[0][0] if spans else 0) - _BEFORE)
    end = min(len(text), start + SNIPPET_CHARACTERS)
    shown, at = [], start
    for first, last in spans:
        if first >= at and last <= end:
            shown += [text[at:first], "*", text[first:last], "*"]
            at = last
    shown.append(text[at:end])
    return ("…" if start else "") + "".join(shown) + ("…" if end < len(text) else "")


def _chunks(text: str) -> list[tuple[int, str]]:
    """What stands between white space, and where."""
    found, at = [], 0
    for space in _CHUNK.finditer(text):
        found.append((at, text[at : space.start()]))
        at = space.end()
    return [*found, (at, text[at:])]


def _spans(start: int, chunk: str, wanted: Sequence[Phrase]) -> list[tuple[int, int]]:
    """Where in a chunk something stands that was looked for."""
    cut = tokens(chunk)
    met = [each for each in wanted if any(_meets(token, each) for token in cut)]
    if not met:
        return []
    folded = fold(chunk)
    for each in met:
        # Of a run without spaces only what was looked for is marked, if it can be told where that is.
        run = each.tokens[0] + "".join(token[1:] for token in each.tokens[1:])
        at = folded.find(run) if len(folded) == len(chunk) and not run.isascii() else -1
        if at >= 0:
            return [(start + at, start + at + len(run))]
    bare = _MARKS_AROUND.sub("", chunk)
    at = chunk.find(bare)
    return [(start + at, start + at + len(bare))]


def _meets(token: str, phrase: Phrase) -> bool:
    return token in phrase.tokens or (phrase.open_ended and token.startswith(phrase.tokens[-1]))
