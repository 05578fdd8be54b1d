"""Reading a node's configuration: flags over environment over files over defaults, and all errors at once.

Files are TOML: the main one, then `conf.d/*.toml` beside it in the order of their names; a later value
replaces an earlier one whole. `FOLKMOOT__SECTION__KEY` overrides a setting from the environment, and
`FOLKMOOT__SECTION__KEY_FILE` does so with the contents of a file, for secrets. An unknown section or key is
an error wherever it stands. Paths are relative to the file that names them; in flags and the environment,
to the current directory. What the settings are is said in `settings`, not here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.configuration.settings_table import Setting, fields_of, sections
from folkmoot.node.configuration.toml_source import KeyPath, TomlSource, TomlSyntaxError
from folkmoot.node.configuration.values import BadValue, Problems, read_value
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.errors import FolkmootError

ENVIRONMENT_PREFIX: Final = "FOLKMOOT__"
_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): ")
_LOOPBACK: Final = ("127.", "localhost", "::1")
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


class ConfigError(FolkmootError):
    """The configuration is not usable.

    Args:
        problems: every one of them, each a sentence that starts with where it is. They are told once each and
            file by file as they stand in it; then those that have no place in a file.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(in_order(problems))
        super().__init__("\n".join(self.problems))


def in_order(problems: Iterable[str]) -> list[str]:
    """Sentences, each once: those that begin with `file:line:column: ` by their places, then all others."""
    once = list(dict.fromkeys(problems))
    places = [_PLACE.match(problem) for problem in once]
    files = list(dict.fromkeys(place["file"] for place in places if place))
    placed = [
        (files.index(place["file"]), int(place["line"]), int(place["column"]), problem)
        for place, problem in zip(places, once, strict=True)
        if place
    ]
    placed.sort(key=lambda each: each[:3])
    return [
        *(each[3] for each in placed),
        *(problem for place, problem in zip(places, once, strict=True) if not place),
    ]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Args:
        kind: `default`, `file`, `environment` or `flag`.
        label: how to name it when it has no line.
        base: what its relative paths are relative to.
        source: the file it stands in.
    """

    kind: str
    label: str
    base: Path
    source: TomlSource | None = None

    def where(self, path: KeyPath) -> str:
        """The most exact name of the place of `path`."""
        return self.label if self.source is None else self.source.locate(path)


class Entry(NamedTuple):
    """A raw value and where it came from."""

    raw: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, and for each `section.key` where its value came from (`file:line:column`, …)."""

    config: NodeConfig
    sources: Mapping[str, str]


def load(
    file: Path | None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Read a configuration.

    Args:
        file: the main file; None reads only flags and environment.
        environment: the process environment.
        flags: settings given on the command line, `section.key` → text.

    Raises:
        ConfigError: with all problems found.
    """
    reader = _Reader()
    base = Path.cwd() if file is None else file.absolute().parent
    if file is not None:
        reader.read_files(file)
    reader.read_environment(environment or {})
    reader.read_flags(flags or {})
    return reader.finish(Origin("default", "default", base))


@dataclass(slots=True)
class _Reader:
    """Collects entries layer by layer, the strongest last, and problems on the way.

    `complete` turns false with a file that could not be read: what is missing then may stand in there.
    """

    complete: bool = True
    problems: list[str] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    known: dict[str, Mapping[str, Setting]] = field(
        default_factory=lambda: {name: fields_of(name, struct) for name, struct in sections().items()}
    )

    def read_files(self, file: Path) -> None:
        extra = file.absolute().parent / "conf.d"
        for each in (file, *(sorted(extra.glob("*.toml")) if extra.is_dir() else ())):
            try:
                source = TomlSource.read(each)
            except TomlSyntaxError as error:
                self._unread(str(error))
            except OSError as error:
                self._unread(f"{each}: {error.strerror}; `folkmoot init` writes a configuration")
            else:
                self._read_source(source)

    def _unread(self, problem: str) -> None:
        self.problems.append(problem)
        self.complete = False

    def _read_source(self, source: TomlSource) -> None:
        origin = Origin("file", str(source.file), source.file.absolute().parent, source)
        for section, table in source.data.items():
            where = origin.where((section,))
            if section not in self.known:
                self.problems.append(f"{where}: no section [{section}]{_nearest(section, self.known)}")
            elif not isinstance(table, dict):
                self.problems.append(f"{where}: {section} is a section: write [{section}]")
            else:
                for key, raw in table.items():
                    self._put(section, key, raw, origin)

    def read_environment(self, environment: Mapping[str, str]) -> None:
        for variable in sorted(environment):
            if not variable.startswith(ENVIRONMENT_PREFIX):
                continue
            section, _, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
            text = environment[variable]
            keys = self.known.get(section, {})
            stem = key.removesuffix("_file")
            origin = Origin("environment", f"environment {variable}", Path.cwd())
            if key not in keys and stem in keys:
                key = stem
                try:
                    text = Path(text).read_text(encoding="utf-8").strip()
                except OSError as error:
                    self.problems.append(f"{origin.label}: {text}: {error.strerror}")
                    continue
            self._put_text(section, key, text, origin)

    def read_flags(self, flags: Mapping[str, str]) -> None:
        for name, text in flags.items():
            section, _, key = name.partition(".")
            self._put_text(section, key, text, Origin("flag", f"flag {name}", Path.cwd()))

    def _put_text(self, section: str, key: str, text: str, origin: Origin) -> None:
        self._put(section, key, parse_text(self.known.get(section, {}).get(key), text), origin)

    def _put(self, section: str, key: str, raw: Any, origin: Origin) -> None:
        keys = self.known.get(section)
        if keys is None:
            self.problems.append(f"{origin.label}: no section [{section}]{_nearest(section, self.known)}")
        elif key not in keys:
            where = origin.where((section, key))
            self.problems.append(f"{where}: no setting {section}.{key}{_nearest(key, keys)}")
        else:
            self.entries[f"{section}.{key}"] = Entry(raw, origin)

    def finish(self, default: Origin) -> LoadedConfig:
        values: dict[str, dict[str, Any]] = {}
        for section, keys in self.known.items():
            values[section] = {}
            for key, setting in keys.items():
                values[section][key] = self._value(setting, default)
        if self.problems:
            raise ConfigError(self.problems)
        made: dict[str, Any] = {name: struct(**values[name]) for name, struct in sections().items()}
        config = NodeConfig(**made)
        self._relations(config)
        if self.problems:
            raise ConfigError(self.problems)
        sources = {
            setting.name: self._where(setting.name, default)
            for keys in self.known.values()
            for setting in keys.values()
        }
        return LoadedConfig(config, sources)

    def _value(self, setting: Setting, default: Origin) -> Any:
        entry = self.entries.get(setting.name)
        if entry is None:
            if setting.required and self.complete:
                self.problems.append(f"{setting.name} is not set: {setting.sentence} {setting.why}")
                return None
            return default.base / setting.default if isinstance(setting.default, Path) else setting.default
        problems = Problems()
        path = (setting.section, setting.key)
        value = read_value(setting.bounds, entry.raw, entry.origin.base, path, problems)
        for bad in problems.found:
            self.problems.append(_problem_sentence(bad, entry.origin))
        return value

    def _where(self, name: str, default: Origin) -> str:
        origin = self.entries[name].origin if name in self.entries else default
        section, _, key = name.partition(".")
        return origin.where((section, key))

    def _relations(self, config: NodeConfig) -> None:
        """What must hold between settings."""
        beyond = {
            f"listen.{key}": address
            for key in ("clients", "peers", "datagrams")
            if (address := getattr(config.listen, key)) is not None and not is_loopback(address)
        }
        if config.tls.mode == "off":
            for name, address in beyond.items():
                self._relation(
                    name,
                    f"{address} is beyond loopback, which needs certificates: run `folkmoot cert create-ca`"
                    ' and `folkmoot cert create-node`, and set tls.mode = "mutual"',
                )
        if config.listen.advertise in _WILDCARDS:
            self._relation("listen.advertise", "nobody can dial a wildcard: name a host peers can dial")
        if config.listen.advertise is None:
            for name, address in beyond.items():
                if address.host in _WILDCARDS:
                    self._relation(
                        name, f"{address} is a wildcard: set listen.advertise to a host peers can dial"
                    )
        for attribute in ("id", "name", "service_account"):
            values = [getattr(founder, attribute) for founder in config.cluster.founders]
            if len(set(values)) < len(values):
                self._relation("cluster.founders", f"two founders have the same {attribute}")

    def _relation(self, name: str, sentence: str) -> None:
        default = Origin("default", "default", Path())
        self.problems.append(f"{self._where(name, default)}: {name}: {sentence}")


def is_loopback(address: Address) -> bool:
    """Whether only this machine can reach `address`."""
    return address.host.startswith(_LOOPBACK)


def _problem_sentence(bad: BadValue, origin: Origin) -> str:
    name = ".".join(str(part) for part in bad.path)
    return f"{origin.where(bad.path)}: {name}: {bad.sentence}"


def _nearest(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(known)}"


def find_setting(name: str) -> Setting | None:
    """The setting called `section.key`; None when there is none."""
    section, _, key = name.partition(".")
    struct = sections().get(section)
    return None if struct is None else fields_of(section, struct).get(key)


def parse_text(setting: Setting | None, text: str) -> Any:
    """The raw value of a setting given as text: a TOML value where one is wanted, a bare word elsewhere.

    Args:
        setting: None for one that does not exist, whose text stays as it is.
        text: from a flag or the environment; lists may be written `a,b`.
    """
    if setting is None:
        return text
    wanted = get_args(setting.type) if get_origin(setting.type) is not tuple else ()
    if get_origin(setting.type) is tuple and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if setting.type in (int, float, bool) or {int, bool} & set(wanted) or get_origin(setting.type) is tuple:
        try:
            return TomlSource(Path(setting.name), f"value = {text}").data["value"]
        except TomlSyntaxError:
            return text
    return text


def with_id(config: NodeConfig, node_id: str) -> NodeConfig:
    """The same configuration with the node id filled in."""
    return msgspec.structs.replace(config, node=msgspec.structs.replace(config.node, id=node_id))
