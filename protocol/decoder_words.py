"""What decoders find wrong, in the words of the contract.

Whoever is told may use another library, or none: the names of types are those of MessagePack, offsets count
from the first byte of what was decoded, and what a decoder says beyond that is left out.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_TYPES: Final = {"object": "map", "bytes": "binary", "str": "text", "int": "integer", "null": "nil"}

_MALFORMED: Final = (
    (re.compile(r"incomplete input|truncated"), "it ends in the middle of a value"),
    (re.compile(r"trailing characters \(byte (\d+)\)"), r"something follows the value, from byte \1 on"),
    (re.compile(r"extra data"), "something follows the value"),
    (re.compile(r"Invalid UTF-8"), "a text is not valid UTF-8"),
    (re.compile(r"invalid opcode .* \(byte (\d+)\)"), r"byte \1 begins no value"),
    (re.compile(r"\(byte (\d+)\)"), r"byte \1 cannot stand there"),
    (re.compile(r"map key"), "a map key is neither text nor binary"),
    (re.compile(r"max_ext_len|extension type"), "it has an extension type"),
)
_OVER: Final = re.compile(r"(\d+) exceeds max_(array|map|str|bin)_len")
_OVERSIZED: Final = {
    "array": "an array of {} entries",
    "map": "a map of {} entries",
    "str": "a text of {} bytes",
    "bin": "a binary of {} bytes",
}
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")


def malformed(error: Exception) -> str:
    """What is wrong with bytes that are no MessagePack, not one value of it, or not one of the right shape.

    Args:
        error: of either decoder.
    """
    if isinstance(error, msgspec.ValidationError):
        return misshapen(error)
    if isinstance(error, UnicodeDecodeError):
        return f"a text is not valid UTF-8, from its byte {error.start} on"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = str(error)
    for pattern, words in _MALFORMED:
        if found := pattern.search(said):
            return found.expand(words)
    return "it has a byte that begins no value"


def oversized(error: Exception) -> str | None:
    """What has more entries or bytes than a message may have; None when that is not what is wrong."""
    found = _OVER.search(str(error))
    if found is None:
        return None
    size, kind = found.groups()
    return f"{_OVERSIZED[kind].format(size)}, over the limit"


def misshapen(error: msgspec.ValidationError) -> str:
    """What is wrong with a value that is not of the shape it should have, and where in it."""
    sentence, _, place = str(error).partition(" - at ")
    if missing := _MISSING.fullmatch(sentence):
        sentence = f"{missing[1]} is missing"
    sentence = re.sub(r"`(\w+)`", lambda found: _TYPES.get(found[1], found[1]), sentence)
    where = re.sub(r"\$\.?", "", place.replace("`", "")).strip()
    return sentence[:1].lower() + sentence[1:] + (f", at {where}" if where else "")
