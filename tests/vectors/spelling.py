"""MessagePack spelled by hand, so that what our encoder never writes can be written."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol import codec

Fields = dict[str, bytes]


def spell(value: Any) -> bytes:
    """`value` with the shortest headers, keys in the order they stand in."""
    return codec.pack(value)


def spell_map(pairs: list[tuple[bytes, bytes]], header: bytes | None = None) -> bytes:
    """A map of already spelled keys and values, in just this order."""
    header = bytes((0x80 | len(pairs),)) if header is None else header
    return header + b"".join(key + value for key, value in pairs)


def spell_fields(fields: Fields) -> bytes:
    """A payload of already spelled values, its keys ascending."""
    return spell_map([(spell(name), fields[name]) for name in sorted(fields)])


def bin8(data: bytes) -> bytes:
    """Binary with the shortest header there is for it."""
    return b"\xc4" + bytes((len(data),)) + data


def nested(levels: int) -> bytes:
    """`levels` arrays in one another, with a number in the innermost."""
    return b"\x91" * levels + b"\x01"


def as_json(value: Any) -> Any:
    """`value` with binary as `{"hex": …}`."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value
