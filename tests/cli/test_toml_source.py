"""Every key of a TOML document is found where a reader would point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folkmoot.node.configuration.toml_source import TomlSource, TomlSyntaxError
from hypothesis import given
from hypothesis import strategies as st

DOCUMENT = '''\
# a comment with = and [brackets]
title = "a # inside" # after

[cluster]
id = "alpha"
replicas = {eu = 1, us = 2}
seeds = [
  "a:1", # one
  "b:2",
]
text = """
not = a key
\\""" still inside
"""
literal = \'\'\'also = no key\'\'\'

[[cluster.founders]]
id = "x"

[[cluster.founders]]
"quo ted" . id = 1
when = 1979-05-27 07:32:00
'''


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("title",), "2:1"),
        (("cluster",), "4:1"),
        (("cluster", "id"), "5:1"),
        (("cluster", "replicas", "us"), "6:21"),
        (("cluster", "seeds", 1), "9:3"),
        (("cluster", "text"), "11:1"),
        (("cluster", "literal"), "15:1"),
        (("cluster", "founders", 0, "id"), "18:1"),
        (("cluster", "founders", 1), "20:1"),
        (("cluster", "founders", 1, "quo ted", "id"), "21:1"),
        (("cluster", "founders", 1, "when"), "22:1"),
        (("cluster", "absent"), "4:1"),
        (("nowhere",), "1:1"),
    ],
)
def test_each_key_is_located(path: tuple[str | int, ...], place: str) -> None:
    assert TomlSource(Path("f.toml"), DOCUMENT).locate(path) == f"f.toml:{place}"


def test_a_syntax_error_names_its_place() -> None:
    with pytest.raises(TomlSyntaxError, match=r"^f\.toml:2:\d+: not TOML"):
        TomlSource(Path("f.toml"), "a = 1\nb = = 2\n")


def test_bytes_that_are_not_utf8_are_said(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(b"a = '\xff'\n")
    with pytest.raises(TomlSyntaxError, match="byte 5 is not UTF-8"):
        TomlSource.read(file)


TOO_MUCH = {
    "a dotted key": ("a" + " . a" * 200_000 + " = 1", 1, 63, "a key of more than 16 parts"),
    "a quoted one": ("'a'" + r'."\"]"' * 16 + " = 1", 1, 94, "a key of more than 16 parts"),
    "a header": ("[[a" + ".a" * 16 + "]]", 1, 34, "a key of more than 16 parts"),
    "one inside": ("x = {a = 1, b" + ".b" * 16 + " = 1}", 1, 44, "a key of more than 16 parts"),
    "arrays": ("a = " + "[" * 100_000, 1, 37, "nested too deeply"),
    "tables in arrays": ("a = " + "[{a = " * 100_000, 1, 101, "nested too deeply"),
    "a number": ("a = " + "1" * 100_000, 1, 5, "a word of more than 256 characters"),
    "a bare key": ("a" * 300 + " = 1", 1, 1, "a word of more than 256 characters"),
    "after strings": (
        'a = """"x" \\""" [ """""\nb = \'\'\'\\\'\'\'\nc = "\\"[" # "\nd = \'\\\'\ne = ' + "[" * 33,
        5, 37, "nested too deeply",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_the_parser_would_be_slow_at_is_refused_at_its_place(what: str) -> None:
    text, line, column, problem = TOO_MUCH[what]
    with pytest.raises(TomlSyntaxError) as caught:
        TomlSource(Path("f.toml"), text)
    assert str(caught.value).startswith(f"f.toml:{line}:{column}: {problem}")


@pytest.mark.parametrize(
    "value",
    [
        '"' + "[.{" * 100 + '"',
        "'" + "a." * 100 + "'",
        '"""' + '\n[[""' * 100 + '"""',
        "'''" + "\n{''{" * 100 + "'''''",
        "1 # " + "[a.a" * 100,
        "[" + "1.5, " * 100 + "]",
        "[" + '"a", # ]]' * 1 + "\n" + "[1, 2], " * 100 + "]",
        "[" * 32 + "]" * 32,
        "{" + ".".join("abcdefghijklmnop") + " = 1}",
        '"' + "x" * 1_000 + '"',
    ],
)
def test_what_only_looks_like_much_is_read(value: str) -> None:
    source = TomlSource(Path("f.toml"), f"a = {value}\nb = 1\n")
    assert source.data["b"] == 1


@pytest.mark.parametrize("text", ['"""' + '\\"""' * 200_000 + "\\", "'''" + "'' " * 200_000, '"\\' * 200_000])
def test_strings_that_never_end_are_looked_at_once(text: str) -> None:
    with pytest.raises(TomlSyntaxError, match="not TOML"):
        TomlSource(Path("f.toml"), text)


values = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x20)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), values, min_size=1))
def test_keys_of_any_document_are_on_their_own_lines(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in document.items())
    source = TomlSource(Path("f"), text)
    for line, key in enumerate(document, start=1):
        assert source.locate((key,)) == f"f:{line}:1"
