"""Expressions: what they can say, what they cannot, and that none of them runs long or grows."""

from __future__ import annotations

import math
import resource
from typing import Any

import pytest
from folkmoot.protocol.expressions import EvaluationError, ExpressionError
from folkmoot.protocol.limits import (
    EXPRESSION_CODE_POINTS,
    POST_TAG_CODE_POINTS,
    POST_TAGS,
    POST_TEXT_CODE_POINTS,
)
from folkmoot.protocol.ranking.expressions import SIGNALS, bind, compile_expression
from hypothesis import given
from hypothesis import strategies as st

from tests.ranking.posts import signals

# The most there can be of a post; one letter throughout is the worst that can be searched.
LARGEST = signals(
    text="a" * POST_TEXT_CODE_POINTS,
    tags=["a" * POST_TAG_CODE_POINTS] * POST_TAGS,
    labels=["a" * POST_TAG_CODE_POINTS] * (POST_TAGS - 1) + ["b"],
    lang="a" * 35,
)


def value(source: str, **said: Any) -> float:
    return compile_expression(source).evaluate(bind(signals(**said)))


def refused(source: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as error:
        compile_expression(source)
    return error.value


@pytest.mark.parametrize(
    ("source", "said", "expected"),
    [
        ("likes * 1.5 + replies", {"likes": 2.0, "replies": 1.0}, 4.0),
        ("-age_s", {"age_s": 3.5}, -3.5),
        ("likes / (likes + 10.0)", {"likes": 10.0}, 0.5),
        ("followed ? 2.0 : 1.0", {"followed": True}, 2.0),
        ("followed && !is_reply", {"followed": True}, 1.0),
        ("is_quote || is_repost", {}, 0.0),
        ("'tea' in tags", {"tags": ["coffee", "tea"]}, 1.0),
        ("lang in ['en', 'pt-br']", {"lang": "pt-br"}, 1.0),
        ("text.contains('tea') && text.startsWith('g') && text.endsWith('!')", {"text": "good tea!"}, 1.0),
        ("likes >= 2.0 && likes <= 2.0 && !(likes < 2.0) && !(likes > 2.0)", {"likes": 2.0}, 1.0),
        ("author != 'did:key:z6Mk'", {"author": "did:key:z6Mk"}, 0.0),
        ("1", {}, 1.0),
        ("1.0 / likes", {}, math.inf),
        ("-1.0 / likes", {}, -math.inf),
        ("{'en': 2.0, 'pt': 3.0}.pt", {}, 3.0),
        ("1.0 // so that it is not empty", {}, 1.0),
    ],
)
def test_what_an_expression_says(source: str, said: dict[str, Any], expected: float) -> None:
    assert value(source, **said) == expected


def test_nothing_divided_by_nothing_is_no_number() -> None:
    assert math.isnan(value("likes / reposts"))


@pytest.mark.parametrize("sort", sorted({sort for sort, _ in SIGNALS.values()}))
def test_every_signal_has_its_type(sort: str) -> None:
    fits = {"number": "{0} + 1.0", "truth": "!{0}", "text": "{0}.contains('x')", "texts": "'x' in {0}"}
    for name, (of, _) in SIGNALS.items():
        if of == sort:
            assert value(fits[sort].format(name)) == (0.0 if sort in ("text", "texts") else 1.0)
        else:
            refused(fits[sort].format(name))


@pytest.mark.parametrize(
    ("source", "words", "column"),
    [
        ("", "syntax error", 1),
        ("likes +", "syntax error", 8),
        ("likez", "undeclared reference to 'likez'", 1),
        ("likes\n+ likez", "undeclared reference to 'likez'", 9),
        ("likes > 2", "numbers are written with a point, such as 2.0", 7),
        ("likes + 'x'", "no matching overload", 7),
        ("text", "its value is string", None),
        ("tags", "its value is list", None),
        ("null", "its value is null", None),
        ("{'a': 1.0, 'b': 'x'}.a", "its value is dyn", None),
        ("timestamp('2020-01-01T00:00:00Z')", "undeclared reference to 'timestamp'", 10),
        ("'\ud800'", "", None),
        ("\0", "syntax error", 1),
    ],
)
def test_what_an_expression_cannot_be(source: str, words: str, column: int | None) -> None:
    error = refused(source)
    assert words in error.reason.lower() or words in error.reason
    if column is not None:
        assert error.column == column and f"the expression, character {column}: " in str(error)
    assert "\n" not in str(error) and len(str(error)) < 400


@pytest.mark.parametrize(
    "source",
    [
        # loops
        "tags.all(a, tags.all(b, tags.all(c, tags.all(d, true))))",
        "[1, 2, 3].map(a, [1, 2, 3].map(b, a)).size() > 0",
        "tags.filter(t, true) == tags",
        "tags.exists(t, t == 'tea')",
        # patterns
        "text.matches('(a|aa)+$')",
        "text.matches(text)",
        # what is longer than what it is made of
        "(text + text).contains('x')",
        "([text] + [text]) == tags",
        "(b'x' + b'x') == b'x'",
        "string(likes) == ''",
        # types that are found out too late
        "dyn(likes) + 'x' == 'x'",
        "type(likes) == double",
        "tags[0] == 'tea'",
        "size(tags) > 0",
        # and what grows with its own length
        "(" * 100 + "1.0" + ")" * 100,
        "[" * 100 + "]" * 100,
        "1.0" + "+1.0" * 120,
        "1" * (EXPRESSION_CODE_POINTS + 1),
        "likes" + " " * 100_000,
    ],
)
def test_what_would_run_long_or_grow_is_not_compiled(source: str) -> None:
    refused(source)


def test_the_worst_that_compiles_is_bounded() -> None:
    """Every search goes through the whole text and in vain, so that none after it is skipped."""
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    searches = [(f"text.contains('{'a' * length}b')", length + 21) for length in (1, 10, 60, 200)]
    for one, length in [*searches, ("tags == labels", 16), ("'x' in tags", 13)]:
        expression = compile_expression("||".join([one] * min(30, EXPRESSION_CODE_POINTS // length)))
        activation = bind(LARGEST)
        for _ in range(100):
            assert expression.evaluate(activation) == 0.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024


def test_what_has_no_value_says_so() -> None:
    with pytest.raises(EvaluationError, match="Key not found"):
        value("{'a': likes}.b")
    with pytest.raises(EvaluationError, match="likes"):
        compile_expression("likes").evaluate(bind({}))


def test_values_of_another_type_than_promised_are_errors() -> None:
    with pytest.raises(EvaluationError):
        value("likes + 1.0", likes="many")


_names = st.sampled_from(
    [*SIGNALS, "1.0", "0.0", "'x'", "true", "[]", "{}", "1", "null", "google.protobuf.Any{}"]
)
_between = st.sampled_from(["+", "-", "*", "/", "==", "<", "&&", "||", " in "])
_before = st.sampled_from(["!", "-", "(", "["])
_after = st.sampled_from([".contains(", ".a", ")", "]", ".map(", "?1.0:"])
_expressions = st.recursive(
    _names,
    lambda inner: st.one_of(
        st.tuples(inner, _between, inner).map("".join),
        st.tuples(_before, inner).map("".join),
        st.tuples(inner, _after, inner).map("".join),
    ),
    max_leaves=12,
)


@given(st.one_of(_expressions, st.text(max_size=60)))
def test_whatever_is_written_is_a_number_or_an_error_of_ours(source: str) -> None:
    try:
        assert isinstance(compile_expression(source).evaluate(bind(LARGEST)), float)
    except (ExpressionError, EvaluationError) as error:
        assert "\n" not in str(error)
