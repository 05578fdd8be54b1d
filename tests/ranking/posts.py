"""Posts and documents for tests of ranking."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.expressions import Sort
from folkmoot.protocol.ranking.document import Document, parse_document
from folkmoot.protocol.ranking.expressions import SIGNALS, Signals
from folkmoot.protocol.ranking.program import Program, compiled
from folkmoot.protocol.ranking.scoring import Candidate

_NOTHING: dict[Sort, Any] = {Sort.NUMBER: 0.0, Sort.TRUTH: False, Sort.TEXT: "", Sort.TEXTS: []}


def signals(**said: Any) -> Signals:
    """Those of a post of which nothing is known but what is said."""
    return {name: said.get(name, _NOTHING[sort]) for name, (sort, _) in SIGNALS.items()}


def candidate(number: int, author: int = 0, **said: Any) -> Candidate:
    """A post; those of higher numbers are newer."""
    return Candidate(number.to_bytes(48, "big"), bytes([author]) * 34, signals(**said))


def wire(*values: str, **document: Any) -> dict[str, Any]:
    """A document whose terms have these values and weigh one each, but for what is said."""
    terms = [{"name": f"{number}", "value": value, "weight": 1_000} for number, value in enumerate(values)]
    return {"title": "test", "sources": [{"from": "following"}], "terms": terms, **document}


def document(*values: str, **said: Any) -> Document:
    return parse_document(wire(*values, **said))


def program(*values: str, **said: Any) -> Program:
    return compiled(document(*values, **said))
