"""Handles: the names people give accounts, one account a name."""

from __future__ import annotations

import hashlib
import unicodedata

from folkmoot.protocol import limits
from folkmoot.protocol.errors import BAD_REQUEST, WireError


def check_handle(text: str) -> str:
    """The handle in the form that is stored and shown.

    Raises:
        WireError: `bad_request`, saying what is wrong with it.
    """
    handle = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    if not limits.HANDLE_CHARACTERS_MIN <= len(handle) <= limits.HANDLE_CHARACTERS_MAX:
        raise WireError(BAD_REQUEST, f"a handle of {len(handle)} characters; choose 2 to 30")
    if not all(character.isalnum() or character in "._-" for character in handle):
        raise WireError(BAD_REQUEST, "a handle has letters, digits, and single . - _ between them")
    return handle


def skeleton(handle: str) -> bytes:
    """What two handles that a person could confuse have in common."""
    return handle.encode()


def register_name(handle: str) -> str:
    """The register that says who has the handle."""
    return f"handle/{hashlib.sha256(skeleton(handle)).digest()[:16].hex()}"
