"""What only operators may ask."""

from __future__ import annotations

from folkmoot.node.actors.session import Asker
from folkmoot.protocol.community.value import OPERATOR
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, WireError


def operators_only(asker: Asker, what: str) -> None:
    """Let operators pass.

    Args:
        asker: who asks.
        what: what is asked for, in the plural, as the sentence begins.

    Raises:
        WireError: `unauthenticated` or `forbidden`, for everybody else.
    """
    if asker.account is None:
        raise WireError(UNAUTHENTICATED, f"{what} are for operators: send auth first")
    if OPERATOR not in asker.roles:
        raise WireError(FORBIDDEN, f"{what} are for operators; this account is none (folkmoot role ls)")
