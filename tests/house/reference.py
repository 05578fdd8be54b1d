"""Writes docs/reference/ from the code: `make docs`. A test compares, so that it cannot drift.

The tables come from where the program itself reads them: settings, commands with their options, exit codes,
errors and limits.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc

import click
from folkmoot.cli.exit_codes import MEANINGS
from folkmoot.cli.main import cli
from folkmoot.cli.toml_text import render_value
from folkmoot.node.configuration.settings_table import Setting, settings
from folkmoot.node.configuration.values import to_plain
from folkmoot.protocol.errors import KINDS
from folkmoot.protocol.limits import announced

from tests.house.tree import ROOT, python_files, read

METHOD_TABLES = {"table", "client_methods", "immediate"}  # functions that return methods by their names
METHOD_NAME = re.compile(r"auth|ping|(?:record|feed|account|cluster)\.[a-z]+")
FOLDER = ROOT / "docs" / "reference"
WRITTEN_BY = "<!-- Written by `make docs`; change the code it comes from instead. -->\n"


def pages() -> dict[str, str]:
    """File name → text."""
    return {
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "errors.md": errors_page(),
        "limits.md": limits_page(),
    }


def settings_page() -> str:
    """Every setting with its default, its unit, its sentence and its reason."""
    lines = [
        "# Settings",
        WRITTEN_BY,
        "Flags win over the environment (`FOLKMOOT__SECTION__KEY`, or `…_FILE` for a file with the value),",
        "that over `conf.d/*.toml`, the main file and the defaults, in this order. `folkmoot config show`",
        "says where each value came from, with `--reference` it prints a commented file of all settings.",
    ]
    section = ""
    for each in settings():
        if each.section != section:
            section = each.section
            lines += ["", f"## {section}", "", "| setting | default | | applied by |", "|---|---|---|---|"]
        meaning = _cell(f"{each.sentence} {each.why}")
        lines.append(f"| `{each.name}` | {_default(each)} | {meaning} | {each.applies} |")
    return "\n".join(lines) + "\n"


def _default(each: Setting) -> str:
    if each.required:
        return "required"
    plain = to_plain(each.default)
    if plain is None or plain in ("", [], {}):
        return "none"
    return f"`{render_value(plain)}` {each.unit}".rstrip()


def commands_page() -> str:
    """Every command with its arguments and options, and the exit codes."""
    lines = ["# Commands", WRITTEN_BY]
    lines += [
        "| exit code | |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()),
    ]
    for words, command in commands():
        if isinstance(command, click.Group):
            continue
        arguments = [
            parameter.human_readable_name
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        ]
        lines += ["", f"## {' '.join((*words, *arguments))}", "", _paragraphs(command.help or ""), ""]
        lines += ["| option | |", "|---|---|"]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
                lines.append(f"| {names} | {_cell(parameter.help or '')} |")
        examples = _examples(command)
        if examples:
            lines += ["", "```", *examples, "```"]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group below `folkmoot`, with the words that name it."""
    yield from _walk(("folkmoot",), cli)


def _walk(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            if not found.hidden:
                yield from _walk((*words, name), found)


def _paragraphs(text: str) -> str:
    return cleandoc(text.split("\f")[0]).replace("\b\n", "")


def _examples(command: click.Command) -> list[str]:
    lines = cleandoc(command.epilog or "").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("folkmoot")]


def errors_page() -> str:
    """The error table of the wire contract."""
    lines = [
        "# Errors on the wire",
        WRITTEN_BY,
        "| code | name | sending the same bytes again |",
        "|---|---|---|",
    ]
    for kind in sorted(KINDS):
        lines.append(f"| {kind.code} | `{kind.name}` | {'may help' if kind.retryable else 'does not help'} |")
    return "\n".join(lines) + "\n"


def limits_page() -> str:
    """The limits a client is told in `hello`."""
    lines = ["# Limits announced in `hello`", WRITTEN_BY, "| name | value |", "|---|---|"]
    lines += [f"| `{name}` | {value:,} |" for name, value in sorted(announced().items())]
    return "\n".join(lines) + "\n"


def wire_methods() -> set[str]:
    """The names of the methods that clients may call, as the node's own sources register them."""
    names = {"hello"}
    for path in ("node/actors/session.py", "node/actors/intake.py"):
        names |= {text for text in _texts(ast.parse(read(path))) if METHOD_NAME.fullmatch(text)}
    for path in (path for path in python_files() if path.startswith("node/")):
        for function in ast.walk(ast.parse(read(path))):
            if isinstance(function, ast.FunctionDef) and function.name in METHOD_TABLES:
                keys = [key for each in ast.walk(function) if isinstance(each, ast.Dict) for key in each.keys]
                names |= {text for key in keys if isinstance(key, ast.Constant) for text in _texts(key)}
    return names


def _texts(tree: ast.AST) -> set[str]:
    """Every text in a piece of source."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
