"""MessagePack, in the two dialects the contract knows. The only module that imports `msgpack` or its kin.

*Messages* are any MessagePack within the limits (see `connection`). *Canonical* MessagePack is what is
signed and hashed: maps with string keys in ascending order of their UTF-8 bytes, the shortest header for
every type, no nil, no floats, no extension types, no duplicate keys. A value has exactly one canonical
form, so canonical bytes can be compared, hashed and signed as they are.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgpack
import msgspec
from folkmoot.protocol import limits
from folkmoot.protocol.decoder_words import malformed, misshapen, oversized
from folkmoot.protocol.errors import BAD_REQUEST, NOT_CANONICAL, TOO_LARGE, WireError

T = TypeVar("T")

_canonical_encoder = msgspec.msgpack.Encoder(order="sorted")
_any_decoder = msgspec.msgpack.Decoder()
_message_packer = msgpack.Packer(autoreset=True)

DecodeErrors = (msgspec.DecodeError, ValueError, RecursionError, OverflowError)


def encode_canonical(value: Any) -> bytes:
    """Encode `value` canonically.

    Raises:
        WireError: `not_canonical`, when the value holds nil, a float or another forbidden type.
    """
    assert_canonical_types(value)
    try:
        return _canonical_encoder.encode(value)
    except (OverflowError, UnicodeEncodeError) as error:
        raise WireError(NOT_CANONICAL, f"a value MessagePack cannot hold: {error}") from error


def decode_canonical(data: bytes) -> Any:
    """Decode canonical bytes, refusing every other spelling of the same value.

    Raises:
        WireError: `not_canonical`, saying what is not canonical about it.
    """
    try:
        value = _any_decoder.decode(data)
    except DecodeErrors as error:
        raise WireError(NOT_CANONICAL, f"not one MessagePack value: {malformed(error)}") from error
    assert_canonical_types(value)
    if _canonical_encoder.encode(value) != data:
        raise WireError(
            NOT_CANONICAL, "keys out of order or repeated, or a header longer than it needs to be"
        )
    return value


def assert_canonical_types(value: Any, depth: int = limits.MESSAGE_DEPTH) -> None:
    """Raise `not_canonical` if `value` holds a type the canonical dialect does not have."""
    kind = type(value)
    if kind is str or kind is bytes or kind is int or kind is bool:
        return
    if kind is not dict and kind is not list and kind is not tuple:
        raise WireError(NOT_CANONICAL, f"a value of type {kind.__name__} has no canonical form")
    if depth < 1:
        raise WireError(NOT_CANONICAL, f"nested deeper than {limits.MESSAGE_DEPTH}")
    if len(value) > limits.MESSAGE_COLLECTION_ITEMS:
        raise WireError(TOO_LARGE, f"a collection of more than {limits.MESSAGE_COLLECTION_ITEMS} items")
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise WireError(NOT_CANONICAL, f"a map key of type {type(key).__name__}; keys are strings")
            assert_canonical_types(item, depth - 1)
        return
    for item in value:
        assert_canonical_types(item, depth - 1)


def pack(value: Any) -> bytes:
    """Encode one message or stored value (any MessagePack; strings as `str`, bytes as `bin`)."""
    packed: bytes = _message_packer.pack(value)
    return packed


def unpack(data: bytes | memoryview) -> Any:
    """Decode one complete MessagePack value that a peer or the store gave us.

    Raises:
        WireError: `bad_request`, when it is malformed or has an extension type; `too_large`, when it exceeds
            the limits.
    """
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=limits.MESSAGE_COLLECTION_ITEMS,
            max_map_len=limits.MESSAGE_COLLECTION_ITEMS,
            max_ext_len=0,
            ext_hook=_refuse_extension,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise explain(error) from error


def shaped(value: Any, shape: type[T], what: str) -> T:
    """Check a decoded value against a msgspec type and return it as one.

    Args:
        value: what `unpack` gave.
        shape: a struct, or any annotated type msgspec knows; unknown keys of maps are ignored.
        what: what it should have been, for the sentence.

    Raises:
        WireError: `bad_request`, saying which part of it is wrong.
    """
    try:
        return msgspec.convert(value, shape, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise WireError(BAD_REQUEST, f"{what}: {misshapen(error)}") from error


def message_framer() -> msgpack.Unpacker:
    """Tells where messages end, by `skip` and `tell`, without building or checking anything."""
    # Each connection has one, and the decoder allots a read's size at once: 1 MiB unless told otherwise.
    return msgpack.Unpacker(read_size=limits.FRAMER_BYTES, max_buffer_size=2 * limits.MESSAGE_BYTES)


FramingErrors = (ValueError, msgpack.UnpackException)
Unfinished = msgpack.OutOfData


def explain(error: Exception) -> WireError:
    """The wire error for what MessagePack's decoder raised."""
    if isinstance(error, msgpack.StackError):
        return WireError(TOO_LARGE, f"nested deeper than {limits.MESSAGE_DEPTH}")
    if over := oversized(error):
        return WireError(TOO_LARGE, over)
    return WireError(BAD_REQUEST, f"malformed MessagePack: {malformed(error)}")


def _refuse_extension(code: int, data: bytes) -> Any:
    """Even an empty extension is refused; `max_ext_len` alone would let that one through."""
    raise ValueError(f"extension type {code} of {len(data)} bytes")
