"""Feed algorithms as people write them: in TOML, with weights like 1.5 and times like 6h.

In records there are no fractions: weights are thousandths there, and half-lives seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.social.said import cells_of
from folkmoot.cli.toml_text import render_value
from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_from_text, account_to_text
from folkmoot.protocol.limits import ALGORITHM_HALF_LIFE_S, ALGORITHM_NAME_BYTES, ALGORITHM_WEIGHT_MAX
from folkmoot.protocol.ranking.document import parse_document
from folkmoot.protocol.ranking.shipped import SHIPPED

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

KIND: Final = "algorithm"
_FILE_BYTES: Final = 64 * 1024
_THOUSAND: Final = 1_000
_WEIGHT_MAX: Final = ALGORITHM_WEIGHT_MAX // _THOUSAND
_KEYS: Final = {
    "": {"title", "about", "sources", "filters", "terms", "per_author"},
    "sources": {"from", "limit", "tags", "optional"},
    "terms": {"name", "value", "weight", "half_life"},
}
_half_life: Final = Duration(1, ALGORITHM_HALF_LIFE_S)


class Called(NamedTuple):
    """An algorithm as it is named on a command line.

    Args:
        name: its name.
        owner: whose, 34 bytes; None for one that comes with every node.
    """

    name: str
    owner: bytes | None = None

    def __str__(self) -> str:
        return self.name if self.owner is None else f"{account_to_text(self.owner)}/{self.name}"

    def to_wire(self) -> str | dict[str, Any]:
        """As `feed.ranked` is asked."""
        return self.name if self.owner is None else {"account": self.owner, "name": self.name}


class CalledType(click.ParamType[Called]):
    """The name of one that comes with every node, or `did:key:z6Mk…/NAME`."""

    name = "algorithm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Called:
        """Which is meant.

        Raises:
            click.BadParameter: it can be none.
        """
        if isinstance(value, Called):
            return value
        owner, slash, name = str(value).partition("/")
        if not slash and owner in SHIPPED:
            return Called(owner)
        try:
            return Called(checked_name(name), account_from_text(owner))
        except (WireError, Usage) as error:
            self.fail(
                f"{value!r} is none of {', '.join(SHIPPED)}, and not did:key:z6Mk…/NAME: {error}", param, ctx
            )


def checked_name(name: str) -> str:
    """The name of an algorithm.

    Raises:
        Usage: it can be none.
    """
    if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= ALGORITHM_NAME_BYTES:
        raise Usage(f"the name of an algorithm has 1 to {ALGORITHM_NAME_BYTES} bytes")
    return name


def read_file(file: Path) -> dict[str, Any]:
    """The document in a TOML file, as a record has it; its expressions are compiled.

    Raises:
        OperatorError: it is no algorithm; it says why, and where.
    """
    from folkmoot.protocol.ranking.program import compiled  # takes a moment that other commands need not wait

    with file.open("rb") as stream:
        data = stream.read(_FILE_BYTES + 1)
    if len(data) > _FILE_BYTES:
        raise OperatorError(f"{file} is larger than any algorithm: {_FILE_BYTES} bytes at most")
    try:
        document = _to_wire(TomlSource(file, data.decode()).data)
        compiled(parse_document(document))
    except WireError as error:
        raise OperatorError(f"{file}: {error.message}", hint="folkmoot algorithm show best") from None
    except TomlSyntaxError as error:
        raise OperatorError(str(error), hint="folkmoot algorithm show best") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file}: {error}", hint="folkmoot algorithm show best") from None
    return document


def _to_wire(table: Mapping[str, Any]) -> dict[str, Any]:
    _check_keys("", table)
    document = dict(table)
    for part in ("sources", "terms"):
        rows = table.get(part, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{part} are tables: [[{part}]]")
        for number, row in enumerate(rows):
            _check_keys(part, row, f"{part}[{number}]")
    if "terms" in table:
        document["terms"] = [_term(number, row) for number, row in enumerate(table["terms"])]
    return document


def _check_keys(part: str, table: Mapping[str, Any], where: str = "the document") -> None:
    unknown = sorted(table.keys() - _KEYS[part])
    if unknown:
        raise ValueError(f"{where} has no {unknown[0]!r}; there are {', '.join(sorted(_KEYS[part]))}")


def _term(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    term = {**row, "weight": _thousandths(f"terms[{number}]", row.get("weight"))}
    if "half_life" in term:
        try:
            term["half_life_s"] = int(_half_life.convert(term.pop("half_life"), None, None))
        except click.BadParameter as error:
            raise ValueError(f"terms[{number}].half_life: {error.message}") from None
    return term


def _thousandths(where: str, weight: object) -> int:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) <= _WEIGHT_MAX:
        raise ValueError(f"{where} needs a weight, a number such as 1.5 from -{_WEIGHT_MAX} to {_WEIGHT_MAX}")
    thousandths = round(weight * _THOUSAND)
    if abs(thousandths - weight * _THOUSAND) > 1e-6:
        raise ValueError(f"{where}: the weight {weight} has more than three decimals")
    return thousandths


def as_toml(document: Mapping[str, Any]) -> list[str]:
    """A document of a record, as lines of a file that `read_file` reads."""
    lines = [
        f"{name} = {render_value(document[name])}"
        for name in ("title", "about", "per_author", "filters")
        if name in document
    ]
    for source in document["sources"]:
        lines += ["", "[[sources]]"]
        lines += [
            f"{key} = {render_value(source[key])}"
            for key in ("from", "limit", "tags", "optional")
            if key in source
        ]
    for term in document["terms"]:
        lines += ["", "[[terms]]", *(f"{key} = {render_value(term[key])}" for key in ("name", "value"))]
        lines.append(f"weight = {term['weight'] / _THOUSAND:g}")
        if "half_life_s" in term:
            lines.append(f'half_life = "{_span(term["half_life_s"])}"')
    return lines


def _span(seconds: int) -> str:
    """Seconds, exactly, in the largest unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def why_lines(why: Mapping[str, Any]) -> list[str]:
    """Why a post is in a ranked feed, for people: its score, and the terms it is made of."""
    lines = [f"  why: from {', '.join(why['sources'])}; score {_decimal(why['score'])}"]
    for term in why["terms"]:
        sum_of = f"{_decimal(term['weight'])} × {_decimal(term['value'])}"
        if term["decay"] != _THOUSAND:
            sum_of += f" × {_decimal(term['decay'])} for its age"
        if term.get("failed"):
            sum_of = "it has no value for this post"
        lines.append(f"    {_decimal(term['points']):>9}  {term['name']}: {sum_of}")
    return lines


def _decimal(thousandths: int) -> str:
    """Thousandths, as people write them."""
    return f"{thousandths / _THOUSAND:.3f}".rstrip("0").removesuffix(".")


async def algorithms_of(client: Client, owner: bytes) -> dict[str, Cell]:
    """The algorithms an account has, or had, by their names."""
    return {cell.winner.item.decode(): cell for cell in await cells_of(client, owner, KIND)}


async def algorithm_called(client: Client, called: Called) -> Cell:
    """One of an account's, which stands.

    Raises:
        OperatorError: there is none.
    """
    assert called.owner is not None, "what comes with every node is in no cell"
    cell = (await algorithms_of(client, called.owner)).get(called.name)
    if cell is None or "deleted" in cell.winner.body:
        raise OperatorError(
            f"{account_to_text(called.owner)} has no algorithm {called.name!r}",
            hint="folkmoot algorithm ls",
        )
    return cell
