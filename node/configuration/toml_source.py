"""TOML with a memory of where each key stood, so that an error can name `file:line:column`.

The standard library's parser says what a document means but not where; this module lets it decide that,
and then walks the same (by then known to be valid) text once to note the offset of every key. What would take
the parser more than linear time is refused before, see `toml_bounds`.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from folkmoot.node.configuration.toml_bounds import excess
from folkmoot.protocol.errors import FolkmootError

KeyPath = tuple[str | int, ...]

_LINE_END: Final = re.compile("\n")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACES: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}\n#]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|' + r"'''.*?'''(?:'{0,2})|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_SYNTAX_PLACE: Final = re.compile(
    r"^(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)$", re.DOTALL
)


class TomlSyntaxError(FolkmootError):
    """The file is not TOML; the sentence starts with `file:line:column`."""


class TomlSource:
    """One parsed TOML file.

    Args:
        file: its path, as errors should show it.
        text: its contents.

    Raises:
        TomlSyntaxError: the text is not TOML, or is past the bounds of `toml_bounds`.
    """

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.text = text
        self._lines = [0, *(line.end() for line in _LINE_END.finditer(text))]
        if (found := excess(text)) is not None:
            offset, what = found
            raise TomlSyntaxError(f"{self._place(offset)}: {what}")
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TomlSyntaxError(_syntax_sentence(file, text, str(error))) from error
        self._offsets = _Walk(text).offsets

    @classmethod
    def read(cls, file: Path) -> TomlSource:
        """Read and parse `file`.

        Raises:
            TomlSyntaxError: it is not TOML, or not UTF-8.
            OSError: it cannot be read.
        """
        try:
            return cls(file, file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise TomlSyntaxError(f"{file}: byte {error.start} is not UTF-8, which TOML must be") from error

    def locate(self, path: KeyPath) -> str:
        """`file:line:column` of the key at `path`, or of the nearest table or key around it."""
        while path and path not in self._offsets:
            path = path[:-1]
        return self._place(self._offsets.get(path, 0))

    def _place(self, offset: int) -> str:
        line = bisect_right(self._lines, offset)
        return f"{self.file}:{line}:{offset - self._lines[line - 1] + 1}"


def _syntax_sentence(file: Path, text: str, message: str) -> str:
    """The parser's complaint with its place in front; a complaint about the end points at the last line."""
    place = _SYNTAX_PLACE.match(message)
    if place is not None:
        return f"{file}:{place['line']}:{place['column']}: not TOML: {place['what']}"
    return f"{file}:{text.rstrip().count(chr(10)) + 1}:1: not TOML: {message}"


class _Walk:
    """One pass over valid TOML, noting where each key path begins."""

    def __init__(self, text: str) -> None:
        self.offsets: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._table: KeyPath = ()
        self._array_sizes: dict[KeyPath, int] = {}
        self._skip(_BLANK)
        while self._at < len(text):
            self._statement()
            self._skip(_BLANK)

    def _statement(self) -> None:
        if self._text.startswith("[[", self._at):
            self._table = self._header(2, self._enter_array)
        elif self._text[self._at] == "[":
            self._table = self._header(1, lambda path: path)
        else:
            self._assignment(self._table)

    def _header(self, brackets: int, enter: Callable[[KeyPath], KeyPath]) -> KeyPath:
        start = self._at
        self._at += brackets
        keys = self._dotted_key()
        self._at += brackets
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._last_element((*path, key))
        path = enter((*path, keys[-1]))
        self.offsets.setdefault(path, start)
        return path

    def _enter_array(self, path: KeyPath) -> KeyPath:
        index = self._array_sizes.get(path, 0)
        self._array_sizes[path] = index + 1
        self.offsets.setdefault(path, self._at)
        return (*path, index)

    def _last_element(self, path: KeyPath) -> KeyPath:
        size = self._array_sizes.get(path)
        return path if size is None else (*path, size - 1)

    def _assignment(self, base: KeyPath) -> None:
        start = self._at
        path = (*base, *self._dotted_key())
        for end in range(len(base) + 1, len(path) + 1):
            self.offsets.setdefault(path[:end], start)
        self._at += 1  # the equals sign
        self._value(path)

    def _dotted_key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_SPACES)
            if self._text[self._at] in "\"'":
                keys.append(tomllib.loads(f"k = {self._take(_STRING)}")["k"])
            else:
                keys.append(self._take(_BARE_KEY))
            self._skip(_SPACES)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACES)
        first = self._text[self._at]
        if first in "\"'":
            self._take(_STRING)
        elif first == "[":
            self._items("]", lambda index: self._element((*path, index)))
        elif first == "{":
            self._items("}", lambda _index: self._assignment(path))
        else:
            self._take(_BARE_VALUE)

    def _element(self, path: KeyPath) -> None:
        self.offsets.setdefault(path, self._at)
        self._value(path)

    def _items(self, closing: str, item: Callable[[int], None]) -> None:
        self._at += 1
        self._skip(_BLANK)
        index = 0
        while self._text[self._at] != closing:
            item(index)
            index += 1
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found is not None, "the standard parser accepted this text"
        self._at = found.end()
        return found.group()
