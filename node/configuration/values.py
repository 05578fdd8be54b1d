"""Turning one raw configuration value into the type its setting wants, noting everything that is wrong.

msgspec checks plain values and their bounds. What it cannot spell (paths, addresses, byte sizes, accounts)
is read here, and lists and tables are walked element by element, so that one bad founder does not hide
another.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

import msgspec
from folkmoot.node.configuration.setting import NODE_ID, SLUG, AccountId, ByteSize, HostName
from folkmoot.node.configuration.settings_table import fields_of
from folkmoot.node.configuration.toml_source import KeyPath
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.host import HOST_FORM, is_host
from folkmoot.protocol.identity import account_from_text, account_to_text

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]iB|B)?", re.ASCII)
_UNITS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PORT_MAX: Final = 65_535
_PATTERNS: Final = {
    SLUG: "1 to 63 lower-case letters, digits and inner dashes",
    NODE_ID: "32 hexadecimal digits",
}


class BadValue(NamedTuple):
    """What is wrong with the value at `path`."""

    path: KeyPath
    sentence: str


@dataclass(slots=True)
class Problems:
    """Everything wrong with one value."""

    found: list[BadValue] = field(default_factory=list)

    def add(self, path: KeyPath, sentence: str) -> None:
        self.found.append(BadValue(path, sentence))


def read_value(wanted: Any, raw: Any, base: Path, path: KeyPath, problems: Problems) -> Any:
    """`raw` as the type `wanted`; None, with `problems` grown, when it is not one.

    Args:
        wanted: a type as annotated in `settings`.
        raw: what TOML gave.
        base: what relative paths are relative to.
        path: where `raw` stands.
        problems: grows.
    """
    bare = _without_none(get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted)
    if get_origin(bare) is tuple:
        if not isinstance(raw, list):
            problems.add(path, f"expected a list, got {_shown(raw)}")
            return None
        element = get_args(bare)[0]
        return tuple(read_value(element, each, base, (*path, i), problems) for i, each in enumerate(raw))
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _read_struct(bare, raw, base, path, problems)
    try:
        if bare is Path:
            return base / Path(_text(raw)).expanduser()
        if bare in _READERS:
            raw = _READERS[bare](raw)
            return raw if bare is not ByteSize else msgspec.convert(raw, wanted)
        return msgspec.convert(raw, wanted)
    except msgspec.ValidationError as error:
        problems.add(path, _plain_sentence(str(error), raw))
    except ValueError as error:
        problems.add(path, str(error))
    return None


def _read_struct(
    struct: type[msgspec.Struct], raw: Any, base: Path, path: KeyPath, problems: Problems
) -> msgspec.Struct | None:
    if not isinstance(raw, dict):
        problems.add(path, f"expected a table, got {_shown(raw)}")
        return None
    known = fields_of(".".join(part for part in path if isinstance(part, str)), struct)
    before = len(problems.found)
    for key in raw.keys() - known.keys():
        problems.add((*path, key), f"no such key; there are {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, setting in known.items():
        if key in raw:
            values[key] = read_value(setting.bounds, raw[key], base, (*path, key), problems)
        elif setting.required:
            problems.add(path, f"{key} is missing: {setting.sentence}")
    return struct(**values) if len(problems.found) == before else None


def _without_none(wanted: Any) -> Any:
    """`X` of `X | None`; anything else as it is."""
    if get_origin(wanted) in (Union, types.UnionType):
        some = [each for each in get_args(wanted) if each is not type(None)]
        return some[0] if len(some) == 1 else wanted
    return wanted


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError(f"expected a text, got {_shown(raw)}")
    return raw


def read_address(raw: Any) -> Address:
    """`host:port` or `[v6]:port`.

    Raises:
        ValueError: it is not one.
    """
    host, colon, port = _text(raw).rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise ValueError(f'expected "host:port", such as "127.0.0.1:0", got {_shown(raw)}')
    return Address(read_host(host), int(port))


def read_host(raw: Any) -> HostName:
    """A host name or a literal IP address.

    Raises:
        ValueError: it is neither.
    """
    host = _text(raw)
    if not is_host(host):
        raise ValueError(f'expected {HOST_FORM}, such as "node.example" or "192.0.2.1", got {_shown(raw)}')
    return HostName(host)


def read_size(raw: Any) -> ByteSize:
    """A number of bytes, or one with a unit.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(raw, int) and not isinstance(raw, bool):
        return ByteSize(raw)
    found = _SIZE.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        raise ValueError(f'expected a size, such as "512MiB" or "10GiB", got {_shown(raw)}')
    return ByteSize(int(float(found[1]) * _UNITS[found[2] or ""]))


def read_account(raw: Any) -> AccountId:
    """The account of a `did:key:z…` text.

    Raises:
        ValueError: it is not one.
    """
    try:
        return AccountId(account_from_text(_text(raw)))
    except WireError as error:
        raise ValueError(error.message) from error


_READERS: Final[dict[Any, Callable[[Any], Any]]] = {
    Address: read_address,
    ByteSize: read_size,
    AccountId: read_account,
    HostName: read_host,
}


def to_plain(value: Any) -> Any:
    """A configuration value as JSON and TOML can say it; `read_value` reads it back."""
    if isinstance(value, Address | Path):
        return str(value)
    if isinstance(value, bytes):
        return account_to_text(value)
    if isinstance(value, msgspec.Struct):
        return {
            key: to_plain(each) for key, each in msgspec.structs.asdict(value).items() if each is not None
        }
    if isinstance(value, tuple):
        return [to_plain(each) for each in value]
    return value


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _plain_sentence(complaint: str, raw: Any) -> str:
    """msgspec's complaint in the words of someone who does not read patterns, with the value it is about."""
    for pattern, words in _PATTERNS.items():
        if pattern in complaint:
            return f"expected {words}, got {_shown(raw)}"
    sentence = complaint[:1].lower() + complaint[1:]
    return sentence if " got " in sentence or repr(raw) in sentence else f"{sentence}, got {_shown(raw)}"
