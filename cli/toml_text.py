"""Writing TOML: configurations for `init` and local clusters, and the annotated reference of all settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from folkmoot.node.configuration.screening_section import ScreenedList
from folkmoot.node.configuration.setting import Section
from folkmoot.node.configuration.settings import Founder
from folkmoot.node.configuration.settings_table import Setting, fields_of, sections
from folkmoot.node.configuration.values import to_plain


def render_value(value: Any) -> str:
    """One value in TOML's words (JSON's strings are TOML's too)."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {render_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(render_value(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def render(document: Mapping[str, Mapping[str, Any]]) -> str:
    """A configuration: sections of keys; a list of maps becomes an array of tables."""
    blocks: list[str] = []
    for section, table in document.items():
        nested = {key: value for key, value in table.items() if _is_tables(value)}
        lines = [f"{key} = {render_value(value)}" for key, value in table.items() if key not in nested]
        blocks.append("\n".join([f"[{section}]", *lines]))
        for key, rows in nested.items():
            for row in rows:
                body = [f"{name} = {render_value(value)}" for name, value in row.items()]
                blocks.append("\n".join([f"[[{section}.{key}]]", *body]))
    return "\n\n".join(blocks) + "\n"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def reference() -> str:
    """Every setting with its sentence and default, commented out: the file to start a configuration from."""
    lines = [
        "# Every setting of a folkmoot node. A line that is commented out shows the default.",
        "# Written by `folkmoot config show --reference`.",
    ]
    for name, struct in sections().items():
        lines += ["", f"# {(struct.__doc__ or '').splitlines()[0]}", f"[{name}]"]
        for setting in fields_of(name, struct).values():
            lines += _entry(setting)
    return "\n".join(lines) + "\n"


def _entry(setting: Setting) -> Iterator[str]:
    unit = f" In {setting.unit}." if setting.unit else ""
    yield ""
    yield f"# {setting.sentence}{unit}"
    yield f"# {setting.why} Applied by {'a reload' if setting.applies == 'reload' else 'a restart'}."
    if setting.required:
        yield f'{setting.key} = "{EXAMPLES[setting.name]}"'
    elif setting.default is None:
        yield f"# {setting.key} is unset"
    else:
        yield f"# {setting.key} = {render_value(to_plain(setting.default))}"
    if (table := TABLES.get(setting.name)) is not None:
        yield "#"
        yield f"# [[{setting.name}]]"
        for field in fields_of(setting.name, table).values():
            example = render_value(EXAMPLES.get(field.name) if field.required else to_plain(field.default))
            yield f"# {field.key} = {example}  # {field.sentence}"


TABLES: dict[str, type[Section]] = {"cluster.founders": Founder, "screening.lists": ScreenedList}

EXAMPLES = {
    "node.name": "one",
    "cluster.id": "example",
    "cluster.founders.id": "00112233445566778899aabbccddeeff",
    "cluster.founders.name": "one",
    "cluster.founders.region": "eu",
    "screening.lists.name": "known",
    "screening.lists.file": "known.txt",
    "cluster.founders.service_account": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
}
