"""Feed algorithms that every implementation must accept, and ones that every one must refuse."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol import codec

ALGORITHM: dict[str, Any] = {
    "title": "Tea",
    "sources": [{"from": "following"}],
    "terms": [{"name": "likes", "value": "likes", "weight": 1_000}],
}


def algorithms() -> list[tuple[str, str, bytes, dict[str, Any]]]:
    """What is said of it, kind, item and body of each record."""
    said: list[tuple[str, bytes, dict[str, Any]]] = [
        ("an algorithm", b"tea", {"document": ALGORITHM}),
        ("an algorithm with all there is", "Thé".encode(), {"document": _whole_algorithm()}),
        ("an algorithm of a later version", b"x" * 64, {"document": _later_algorithm()}),
        ("an algorithm whose expression is none", b"x", {"document": _of_value("likes >")}),
        ("an algorithm that is no more", b"tea", {"deleted": True}),
    ]
    return [(name, "algorithm", item, body) for name, item, body in said]


def bad_algorithms() -> dict[str, tuple[bytes, bytes]]:
    """Items and bodies that are refused as `bad_request`, by what is wrong with them."""
    terms, sources = ALGORITHM["terms"], ALGORITHM["sources"]
    documents: dict[str, Any] = {
        "an algorithm without sources": {**ALGORITHM, "sources": []},
        "an algorithm of nine sources": {**ALGORITHM, "sources": sources * 9},
        "an algorithm with a source of 501 posts": {**ALGORITHM, "sources": [{"from": "tags", "limit": 501}]},
        "an algorithm without terms": {**ALGORITHM, "terms": []},
        "an algorithm with two terms of one name": {**ALGORITHM, "terms": terms * 2},
        "an algorithm without a title": {name: ALGORITHM[name] for name in ("sources", "terms")},
        "an algorithm with 17 filters": {**ALGORITHM, "filters": ["true"] * 17},
        "an expression of 501 code points": _of_value("1" * 501),
        "expressions of 4,001 code points in all": {**ALGORITHM, "filters": ["t" * 500] * 7 + ["t" * 496]},
        "an expression that is a number": _of_value(1),
        "a weight that is too great": {**ALGORITHM, "terms": [{**terms[0], "weight": 1_000_001}]},
        "a half-life of nothing": _of_value("1.0", half_life_s=0),
        "an algorithm that is a list": [1],
    }
    bodies: dict[str, Any] = {name: {"document": document} for name, document in documents.items()}
    bodies["an algorithm that says nothing"] = {}
    bodies["an algorithm that is no more and says something"] = {"deleted": True, "document": ALGORITHM}
    whole = codec.encode_canonical({"document": ALGORITHM})
    return {
        **{name: (b"tea", codec.encode_canonical(body)) for name, body in bodies.items()},
        "an algorithm whose name is no UTF-8": (b"\xff", whole),
        "an algorithm whose name is too long": (b"x" * 65, whole),
    }


def _whole_algorithm() -> dict[str, Any]:
    return {
        **ALGORITHM,
        "about": "Tea, and what friends say of it.",
        "filters": ["!has_warning"],
        "per_author": 1,
        "sources": [{"from": "tags", "limit": 500, "tags": ["tea"]}, {"from": "friends", "optional": True}],
        "terms": [{"name": "new", "value": "1.0", "weight": -1_000_000, "half_life_s": 1}],
    }


def _later_algorithm() -> dict[str, Any]:
    """Sources and keys that this version does not know are no reason to refuse it."""
    return {**ALGORITHM, "later": 1, "sources": [{"from": "the stars", "sign": "leo"}]}


def _of_value(value: Any, **more: Any) -> dict[str, Any]:
    return {**ALGORITHM, "terms": [{"name": "x", "value": value, "weight": 1, **more}]}
