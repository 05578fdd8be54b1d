"""The settings as a table: the one behind loading, `config show` and the docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from folkmoot.node.configuration.setting import Applies, Section
from folkmoot.node.configuration.settings import NodeConfig


class Setting(NamedTuple):
    """One row of the table of settings.

    Args:
        section, key: its name in the file; `founders` rows have the section `cluster.founders`.
        type: its bare Python type.
        bounds: its constraints (a msgspec type to convert to), or the bare type.
        default: its default, `msgspec.NODEFAULT` when required.
    """

    section: str
    key: str
    type: Any
    bounds: Any
    default: Any
    sentence: str
    why: str
    unit: str
    applies: Applies

    @property
    def name(self) -> str:
        """`section.key`."""
        return f"{self.section}.{self.key}"

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is msgspec.NODEFAULT


def fields_of(section: str, struct: type[msgspec.Struct]) -> Mapping[str, Setting]:
    """The settings of one section, by key, in the order they are declared."""
    hints = get_type_hints(struct, include_extras=True)
    return {
        field.name: _row(section, field.name, hints[field.name], field.default)
        for field in msgspec.structs.fields(struct)
    }


def _row(section: str, key: str, annotated: Any, default: Any) -> Setting:
    assert get_origin(annotated) is Annotated, f"{section}.{key} is a setting without a sentence"
    bare, meta = get_args(annotated)
    extra = meta.extra
    return Setting(
        section,
        key,
        bare,
        annotated,
        default,
        meta.description,
        extra["why"],
        extra["unit"],
        extra["applies"],
    )


def sections() -> dict[str, type[Section]]:
    """The sections of the file, in order."""
    hints = get_type_hints(NodeConfig)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(NodeConfig)}


def settings() -> Iterator[Setting]:
    """Every setting of the file, in order; those of `[[cluster.founders]]` are `fields_of(…, Founder)`."""
    for name, struct in sections().items():
        yield from fields_of(name, struct).values()
