"""Tokens as a client carries them: bytes, of whatever form the nodes know."""

from __future__ import annotations

from folkmoot.protocol.errors import WireError
from folkmoot.protocol.token import Token


def joined_tokens(held: bytes | None, received: bytes) -> bytes:
    """The token of both, when another call's answer came in between."""
    if held is None:
        return received
    try:
        return Token.decode(held).join(Token.decode(received)).encode()
    except WireError:
        return received  # of a form only newer nodes know: the newest token is all that can be carried
