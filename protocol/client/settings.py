"""What a client is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass

from folkmoot.protocol import limits


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How patient a client is.

    Args:
        deadline_s: for one call, with everything tried on its way.
        attempt_s: for one answer; then another node is tried.
        attempts: how often one call is sent.
        name: what this program calls itself in `hello`.
        carry_token: whether reads and writes carry the session's token.
    """

    deadline_s: float = 30.0
    attempt_s: float = limits.REQUEST_TIMEOUT_S + 2.0
    attempts: int = 6
    name: str = "folkmoot-client/1"
    carry_token: bool = True
