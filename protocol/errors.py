"""The error table of the wire contract, and the exception that carries one row of it.

Names and numbers are stable: clients match on them. A `WireError` says whose fault something is (1xx the
request's form, 2xx who asks, 3xx the state of what was asked for, 4xx the cluster's state, 5xx a bug here),
in one sentence, and whether sending the same bytes again can help.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class ErrorKind(NamedTuple):
    """One row of the table: the stable number, the stable name, and whether a retry may succeed."""

    code: int
    name: str
    retryable: bool


BAD_REQUEST: Final = ErrorKind(100, "bad_request", False)
UNKNOWN_METHOD: Final = ErrorKind(101, "unknown_method", False)
TOO_LARGE: Final = ErrorKind(102, "too_large", False)
UNSUPPORTED_VERSION: Final = ErrorKind(103, "unsupported_version", False)
NOT_CANONICAL: Final = ErrorKind(104, "not_canonical", False)
BAD_SIGNATURE: Final = ErrorKind(200, "bad_signature", False)
UNAUTHENTICATED: Final = ErrorKind(201, "unauthenticated", False)
FORBIDDEN: Final = ErrorKind(202, "forbidden", False)
REVOKED_KEY: Final = ErrorKind(203, "revoked_key", False)
REFUSED_BY_POLICY: Final = ErrorKind(204, "refused_by_policy", False)
RATE_LIMITED: Final = ErrorKind(205, "rate_limited", True)
NOT_FOUND: Final = ErrorKind(300, "not_found", False)
NOT_YET: Final = ErrorKind(301, "not_yet", True)
CONFLICT: Final = ErrorKind(302, "conflict", False)
MEDIA_MISSING: Final = ErrorKind(303, "media_missing", False)
PREVIEW_NEEDED: Final = ErrorKind(304, "preview_needed", False)
LEVEL_UNREACHABLE: Final = ErrorKind(400, "level_unreachable", True)
STALE_TOPOLOGY: Final = ErrorKind(401, "stale_topology", True)
BUSY: Final = ErrorKind(402, "busy", True)
SHUTTING_DOWN: Final = ErrorKind(403, "shutting_down", True)
DISK_FULL: Final = ErrorKind(404, "disk_full", True)
TIMEOUT: Final = ErrorKind(405, "timeout", True)
NO_QUORUM: Final = ErrorKind(406, "no_quorum", True)
UNCERTAIN: Final = ErrorKind(407, "uncertain", True)
INTERNAL: Final = ErrorKind(500, "internal", False)

KINDS: Final[tuple[ErrorKind, ...]] = tuple(
    kind for kind in globals().values() if isinstance(kind, ErrorKind)
)
BY_NAME: Final[Mapping[str, ErrorKind]] = {kind.name: kind for kind in KINDS}


class FolkmootError(Exception):
    """Base of every error this project raises on purpose. Not raised itself."""


class WireError(FolkmootError):
    """An error that has a row in the table and can travel to a peer or client.

    Args:
        kind: the row of the table.
        message: one sentence: what is wrong, where, and what to do about it.
        retry_after_ms: for retryable kinds, how long to wait first.
        details: small, MessagePack-able facts named in the contract (for example `missing`).
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after_ms: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.details = dict(details) if details else None

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.message}"

    def to_wire(self) -> dict[str, Any]:
        """The map sent as `error` in a response."""
        wire: dict[str, Any] = {
            "code": self.kind.code,
            "name": self.kind.name,
            "message": self.message,
            "retryable": self.kind.retryable,
        }
        if self.retry_after_ms is not None:
            wire["retry_after_ms"] = self.retry_after_ms
        if self.details is not None:
            wire["details"] = self.details
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> WireError:
        """Rebuild from a received map; an unknown name keeps its own number, name and retryable flag."""
        name = str(wire.get("name", "internal"))
        code = wire.get("code", 0)
        kind = BY_NAME.get(name) or ErrorKind(
            code if isinstance(code, int) else 0, name, bool(wire.get("retryable", False))
        )
        retry = wire.get("retry_after_ms")
        details = wire.get("details")
        return cls(
            kind,
            str(wire.get("message", "")),
            retry_after_ms=retry if isinstance(retry, int) and retry >= 0 else None,
            details=details if isinstance(details, dict) else None,
        )
