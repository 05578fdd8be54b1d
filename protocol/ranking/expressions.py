"""Expressions of feed algorithms: a part of CEL in which nothing can run long, or grow.

CEL is the Common Expression Language (https://cel.dev), here in Google's C++ implementation. What makes it
end is how little of it is left: arithmetic and comparison of numbers, logic, `in`, and three questions about
texts. There are no macros and so no loops, no regular expressions, nothing that makes a longer text or list
of shorter ones, and no `dyn`, which would put off the checking of types. So an expression is worked out in
no more steps than it has characters, and each costs at most one pass over the post.

This is the only module that knows CEL; the others see `compile_expression` and `Expression.evaluate`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel
from folkmoot.protocol.errors import BAD_REQUEST, FolkmootError, WireError
from folkmoot.protocol.limits import EXPRESSION_CODE_POINTS

Signals = Mapping[str, float | bool | str | list[str]]
"""What is known of a post, by the names in `SIGNALS`."""


class Sort(StrEnum):
    """What a signal is."""

    NUMBER = "number"
    TRUTH = "truth"
    TEXT = "text"
    TEXTS = "texts"


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

_TYPES: Final = {
    Sort.NUMBER: cel.Type.DOUBLE,
    Sort.TRUTH: cel.Type.BOOL,
    Sort.TEXT: cel.Type.STRING,
    Sort.TEXTS: cel.Type.List(cel.Type.STRING),
}

# Everything else of CEL's standard library is left out. All numbers are of one type, so that nothing
# overflows: what is too large, or divided by zero, is infinite, and is cut by whoever adds it up.
_CONFIG: Final = """
stdlib:
  disable_macros: true
  include_functions:
    - {name: "_+_", overloads: [{id: add_double}]}
    - {name: "_-_", overloads: [{id: subtract_double}]}
    - {name: "_*_", overloads: [{id: multiply_double}]}
    - {name: "_/_", overloads: [{id: divide_double}]}
    - {name: "-_", overloads: [{id: negate_double}]}
    - {name: "_<_", overloads: [{id: less_double}]}
    - {name: "_<=_", overloads: [{id: less_equals_double}]}
    - {name: "_>_", overloads: [{id: greater_double}]}
    - {name: "_>=_", overloads: [{id: greater_equals_double}]}
    - {name: "_==_"}
    - {name: "_!=_"}
    - {name: "_&&_"}
    - {name: "_||_"}
    - {name: "!_"}
    - {name: "_?_:_"}
    - {name: "@in", overloads: [{id: in_list}]}
    - {name: "contains"}
    - {name: "startsWith"}
    - {name: "endsWith"}
"""
_environment: Final = cel.NewEnv(
    config=cel.NewEnvConfigFromYaml(_CONFIG),
    variables={name: _TYPES[sort] for name, (sort, _) in SIGNALS.items()},
)

_CACHED: Final = 512  # expressions; the longest take about 25 KiB each
_AT: Final = re.compile(r"<input>:(-?\d+):(-?\d+): ([^\n]*)")
_LEFT_OUT: Final = re.compile(
    "undeclared reference to "
    "'(matches|size|map|filter|exists|exists_one|all|has|dyn|type|double|int|uint|string|bytes)'"
)


class ExpressionError(WireError):
    """An expression that cannot be used.

    Args:
        reason: what is wrong with it, in one sentence.
        column: of its first wrong character, from 1; None where that is not known.
        part: which expression it is, of a document.
    """

    def __init__(self, reason: str, column: int | None = None, part: str = "the expression") -> None:
        where = "" if column is None else f", character {column}"
        details = {"expression": part} if column is None else {"expression": part, "column": column}
        super().__init__(BAD_REQUEST, f"{part}{where}: {reason}", details=details)
        self.reason = reason
        self.column = column


class EvaluationError(FolkmootError):
    """An expression has no value for one post, such as a key that its map does not have."""


class Expression:
    """One that is compiled; made by `compile_expression`."""

    __slots__ = ("_compiled", "truth")

    def __init__(self, compiled: cel.Expression, truth: bool) -> None:
        self._compiled = compiled
        self.truth = truth

    def evaluate(self, activation: Activation) -> float:
        """Its value for a post: a number, which may be infinite or none (NaN); 1.0 for true, 0.0 for false.

        Raises:
            EvaluationError: it has none.
        """
        try:
            value: Any = self._compiled.eval(activation.bound).value()
        except Exception as error:  # the library raises what it likes
            raise EvaluationError(_one_line(str(error))) from None
        if type(value) not in (float, int, bool):
            raise EvaluationError(_one_line(str(value)))
        return float(value)


class Activation:
    """The signals of one post, ready for any number of expressions."""

    __slots__ = ("bound",)

    def __init__(self, signals: Signals) -> None:
        self.bound = _environment.Activation(signals)


@lru_cache(maxsize=_CACHED)
def compile_expression(source: str) -> Expression:
    """Check an expression and compile it; those that were compiled lately are remembered.

    Args:
        source: at most `limits.EXPRESSION_CODE_POINTS` long.

    Raises:
        ExpressionError: it is no expression, asks for what there is not, or its value is neither a number nor
            true or false.
    """
    if len(source) > EXPRESSION_CODE_POINTS:
        raise ExpressionError(f"it has {len(source)} characters; the limit is {EXPRESSION_CODE_POINTS}")
    try:
        compiled = _environment.compile(source)
    except Exception as error:  # the library raises what it likes
        raise _explained(source, str(error)) from None
    value = compiled.return_type()
    if value not in (cel.Type.DOUBLE, cel.Type.INT, cel.Type.BOOL):
        raise ExpressionError(
            f"its value is {value.name().lower()}, which is neither a number nor true or false"
        )
    return Expression(compiled, value == cel.Type.BOOL)


def _explained(source: str, said: str) -> ExpressionError:
    """What the compiler said, as a sentence of ours."""
    found = _AT.search(said)
    if found is None:
        if "recursion" in said:
            return ExpressionError("it is nested too deeply")
        return ExpressionError(_one_line(said) or "it is no expression")
    line, column, reason = int(found[1]), int(found[2]), found[3].strip().removesuffix(" [INVALID_ARGUMENT]")
    if "recursion" in reason:
        return ExpressionError("it is nested too deeply")
    for each in _AT.finditer(said):
        if left_out := _LEFT_OUT.search(each[3]):
            return ExpressionError(f"there is no {left_out[1]} in feed algorithms", int(each[2]))
    reason = reason.removesuffix(" (in container '')")
    if "(double, int)" in reason or "(int, double)" in reason:
        reason += "; numbers are written with a point, such as 2.0"
    before = sum(len(each) + 1 for each in source.split("\n")[: max(line, 1) - 1])
    return ExpressionError(reason, before + column if line > 0 else None)


def _one_line(said: str) -> str:
    """The library's words, short and without line ends."""
    return " ".join(said.split())[:200]
