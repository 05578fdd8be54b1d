"""Documents made ready to rank by: every expression compiled, every source known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.expressions import Expression, ExpressionError, Sort
from folkmoot.protocol.ranking.document import Document, Origin, expressions_of, filters_of
from folkmoot.protocol.ranking.expressions import AGE, SIGNALS, compile_expression
from msgspec import UNSET

_ORIGINS: Final = frozenset(Origin)
_WORD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Program(NamedTuple):
    """A document, made ready.

    Args:
        document: the same.
        filters, terms: its expressions, in the same order.
        signals: what has to be known of a post; perhaps a little more.
    """

    document: Document
    filters: tuple[Expression, ...]
    terms: tuple[Expression, ...]
    signals: frozenset[str]


def compiled(document: Document) -> Program:
    """Compile the expressions of a document.

    Raises:
        ExpressionError: one cannot be used; it says which, and where.
        WireError: `bad_request`: a source is not known, or has tags and cannot have any.
    """
    for number, source in enumerate(document.sources):
        if source.origin not in _ORIGINS and not source.optional:
            raise _refused(number, f"there is no source {source.origin!r}; there are {', '.join(Origin)}")
        if source.tags is not UNSET and source.origin != Origin.TAGS:
            raise _refused(number, f"{source.origin} has no tags")
    filters, terms = [], []
    for number, code in enumerate(filters_of(document)):
        with _named(f"filters[{number}]"):
            filters.append(_filter(code))
    for number, term in enumerate(document.terms):
        with _named(f"terms[{number}] ({term.name})"):
            terms.append(compile_expression(term.value))
    words = {word for code in expressions_of(document) for word in _WORD.findall(code)}
    return Program(document, tuple(filters), tuple(terms), frozenset(SIGNALS.keys() & {*words, AGE}))


def _refused(number: int, reason: str) -> WireError:
    return WireError(BAD_REQUEST, f"sources[{number}]: {reason}")


def _filter(code: str) -> Expression:
    expression = compile_expression(code)
    if expression.sort is not Sort.TRUTH:
        raise ExpressionError("its value is a number; a filter is true or false")
    return expression


@contextmanager
def _named(part: str) -> Iterator[None]:
    """Have an error say which expression it is about."""
    try:
        yield
    except ExpressionError as error:
        raise ExpressionError(error.reason, error.column, part) from None
