"""The error table: names and numbers are what clients match on, so they never change."""

from __future__ import annotations

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.errors import BUSY, KINDS, NOT_CANONICAL, ErrorKind, WireError

TABLE = {
    100: "bad_request",
    101: "unknown_method",
    102: "too_large",
    103: "unsupported_version",
    104: "not_canonical",
    200: "bad_signature",
    201: "unauthenticated",
    202: "forbidden",
    203: "revoked_key",
    204: "refused_by_policy",
    205: "rate_limited",
    300: "not_found",
    301: "not_yet",
    302: "conflict",
    303: "media_missing",
    304: "preview_needed",
    400: "level_unreachable",
    401: "stale_topology",
    402: "busy",
    403: "shutting_down",
    404: "disk_full",
    405: "timeout",
    406: "no_quorum",
    407: "uncertain",
    500: "internal",
}


def test_the_table_is_the_contracts() -> None:
    assert {kind.code: kind.name for kind in KINDS} == TABLE
    assert len(KINDS) == len(TABLE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_error_survives_the_wire(kind: ErrorKind) -> None:
    sent = WireError(kind, "What happened.", retry_after_ms=250, details={"missing": ["eu"]})
    received = WireError.from_wire(codec.unpack(codec.pack(sent.to_wire())))
    assert (received.kind, received.message) == (kind, "What happened.")
    assert (received.retry_after_ms, received.details) == (250, {"missing": ["eu"]})
    assert str(received) == f"{kind.name}: What happened."


def test_what_is_absent_stays_absent() -> None:
    wire = WireError(NOT_CANONICAL, "A sentence.").to_wire()
    assert wire == {"code": 104, "name": "not_canonical", "message": "A sentence.", "retryable": False}


def test_an_error_of_a_later_version_keeps_its_number_and_name() -> None:
    received = WireError.from_wire({"code": 499, "name": "too_sunny", "message": "Wait.", "retryable": True})
    assert received.kind == ErrorKind(499, "too_sunny", True)


@pytest.mark.parametrize(
    "wire", [{}, {"code": "x", "name": 5}, {"name": "busy", "retry_after_ms": "soon", "details": [1]}]
)
def test_a_malformed_error_is_still_an_error(wire: dict[str, object]) -> None:
    received = WireError.from_wire(wire)
    assert received.retry_after_ms is None and received.details is None
    assert received.kind == BUSY or received.kind.code in (0, 500)
