"""Expressions: a part of CEL in which nothing can run long, or grow.

CEL is the Common Expression Language (https://cel.dev), here in Google's C++ implementation. What makes it
end is how little of it is left: arithmetic and comparison of numbers, logic, `in`, and three questions about
texts. There are no macros and so no loops, no regular expressions, nothing that makes a longer text or list
of shorter ones, and no `dyn`, which would put off the checking of types. So an expression is worked out in
no more steps than it has characters, and each costs at most one pass over one value.

Logic has three values: where a variable has none, `a || b` is true if either is, `a && b` is false if either
is, and all else has no value either (Kleene's strong logic, which is what CEL asks of `||` and `&&`).

This is the only module that knows CEL; the others see `Language`, `Expression` and `Activation`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from cel_expr_python import cel
from folkmoot.protocol.errors import BAD_REQUEST, FolkmootError, WireError
from folkmoot.protocol.limits import EXPRESSION_CODE_POINTS

Value = float | bool | str | list[str]
"""What a variable may be."""


class Sort(StrEnum):
    """What a variable, or the value of an expression, is."""

    NUMBER = "number"
    TRUTH = "truth"
    TEXT = "text"
    TEXTS = "texts"


_TYPES: Final = {
    Sort.NUMBER: cel.Type.DOUBLE,
    Sort.TRUTH: cel.Type.BOOL,
    Sort.TEXT: cel.Type.STRING,
    Sort.TEXTS: cel.Type.List(cel.Type.STRING),
}

# Everything else of CEL's standard library is left out. All numbers are of one type, so that nothing
# overflows: what is too large, or divided by zero, is infinite, and is cut by whoever adds it up.
_LIBRARY: Final = """
stdlib:
  disable_macros: true
  include_functions:
    - {name: "_+_", overloads: [{id: add_double}]}
    - {name: "_-_", overloads: [{id: subtract_double}]}
    - {name: "_*_", overloads: [{id: multiply_double}]}
    DIVISION
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
_DIVISION: Final = '- {name: "_/_", overloads: [{id: divide_double}]}'
_CONFIG: Final = {
    divides: cel.NewEnvConfigFromYaml(_LIBRARY.replace("DIVISION", _DIVISION if divides else ""))
    for divides in (True, False)
}

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
    """An expression has no value, such as for want of a variable's."""


class Activation:
    """Values of variables, ready for any number of expressions of one language; made by `Language.bind`."""

    __slots__ = ("bound",)

    def __init__(self, bound: cel.Activation) -> None:
        self.bound = bound


class Expression:
    """One that is compiled; made by `Language.compile`.

    Args:
        sort: of its value: a number or a truth.
    """

    __slots__ = ("_compiled", "sort")

    def __init__(self, compiled: cel.Expression, sort: Sort) -> None:
        self._compiled = compiled
        self.sort = sort

    def evaluate(self, activation: Activation) -> float:
        """Its value: a number, which may be infinite or none (NaN); 1.0 for true, 0.0 for false.

        Raises:
            EvaluationError: it has none.
        """
        value = self._value(activation)
        if type(value) not in (float, int, bool):
            raise EvaluationError(_one_line(str(value)))
        return float(value)

    def truth(self, activation: Activation) -> bool | None:
        """Whether it is true; None when that cannot be known."""
        try:
            value = self._value(activation)
        except EvaluationError:
            return None
        return value if type(value) is bool else None

    def _value(self, activation: Activation) -> Any:
        try:
            return self._compiled.eval(activation.bound).value()
        except Exception as error:  # the library raises what it likes
            raise EvaluationError(_one_line(str(error))) from None


class Language:
    """The expressions over some variables.

    Args:
        variables: what may be named, with its sort; a name may have parts, such as `post.links`.
        whose: whose expressions they are, as problems call them, for example `feed algorithms`.
        divides: whether there is division. Nought divided by nought is no number, and every comparison with
            that is false: so not where what is unknown must not pass for false.
    """

    def __init__(self, variables: Mapping[str, Sort], whose: str, *, divides: bool = True) -> None:
        self._whose = whose
        self._environment = cel.NewEnv(
            config=_CONFIG[divides], variables={name: _TYPES[sort] for name, sort in variables.items()}
        )

    def bind(self, values: Mapping[str, Value]) -> Activation:
        """Values for expressions of this language; a variable that is left out has none."""
        return Activation(self._environment.Activation(values))

    def compile(self, source: str) -> Expression:
        """Check an expression and compile it.

        Args:
            source: at most `limits.EXPRESSION_CODE_POINTS` long.

        Raises:
            ExpressionError: it is no expression, asks for what there is not, or its value is neither a number
                nor true or false.
        """
        if len(source) > EXPRESSION_CODE_POINTS:
            raise ExpressionError(f"it has {len(source)} characters; the limit is {EXPRESSION_CODE_POINTS}")
        return self._compiled(source)

    def any_of(self, sources: list[str]) -> Expression:
        """The expression that is true if any of these is, false if all are, and else has no value.

        Args:
            sources: of expressions that `compile` took, each a truth; at most a few dozen.

        Raises:
            ExpressionError: one of them is nested so deeply that it stands only by itself.
        """
        # A line end closes a comment that an expression may end in. The parser goes one deeper for the
        # parentheses of each, however many there are.
        return self._compiled(" || ".join(f"({source}\n)" for source in sources))

    def _compiled(self, source: str) -> Expression:
        try:
            compiled = self._environment.compile(source)
        except Exception as error:  # the library raises what it likes
            raise self._explained(source, str(error)) from None
        value = compiled.return_type()
        if value not in (cel.Type.DOUBLE, cel.Type.INT, cel.Type.BOOL):
            raise ExpressionError(
                f"its value is {value.name().lower()}, which is neither a number nor true or false"
            )
        return Expression(compiled, Sort.TRUTH if value == cel.Type.BOOL else Sort.NUMBER)

    def _explained(self, source: str, said: str) -> ExpressionError:
        """What the compiler said, as a sentence of ours."""
        found = _AT.search(said)
        if found is None:
            if "recursion" in said:
                return ExpressionError("it is nested too deeply")
            return ExpressionError(_one_line(said) or "it is no expression")
        line, column = int(found[1]), int(found[2])
        reason = found[3].strip().removesuffix(" [INVALID_ARGUMENT]")
        if "recursion" in reason:
            return ExpressionError("it is nested too deeply")
        for each in _AT.finditer(said):
            if left_out := _LEFT_OUT.search(each[3]):
                return ExpressionError(f"there is no {left_out[1]} in {self._whose}", int(each[2]))
        reason = reason.removesuffix(" (in container '')")
        if "(double, int)" in reason or "(int, double)" in reason:
            reason += "; numbers are written with a point, such as 2.0"
        if "'_/_'" in reason:
            reason = "there is no division here, as 0.0 / 0.0 is no number: write a > 2.0 * b for a / b > 2.0"
        before = sum(len(each) + 1 for each in source.split("\n")[: max(line, 1) - 1])
        return ExpressionError(reason, before + column if line > 0 else None)


def _one_line(said: str) -> str:
    """The library's words, short and without line ends."""
    return " ".join(said.split())[:200]
