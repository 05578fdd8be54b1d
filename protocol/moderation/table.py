"""Reading one table of a policy document: every accessor notes its problems and carries on.

An accessor that finds something wrong returns a harmless value of the right type, so that one pass over the
document collects all of its problems.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from folkmoot.protocol.limits import POLICY_PROBLEMS

KeyPath = tuple[str | int, ...]
Locate = Callable[[KeyPath], str]

SLUG_CODE_POINTS: Final = 64

LANGUAGE: Final = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*")
"""A language tag, in lower case (RFC 5646, section 2.1)."""

_DAYS_TO_1970: Final = 719_163  # in the proleptic Gregorian calendar, from its first on
_DAY_US: Final = 86_400_000_000
HASH_DIGITS: Final = 64
HASH: Final = re.compile(rf"[0-9a-f]{{{HASH_DIGITS}}}")
"""A SHA-256, in hex."""

_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Day(NamedTuple):
    """A date; later ones are greater.

    Args:
        iso: as `2027-01-31`.
        ends_us: when it ends in UTC, microseconds since 1970.
    """

    iso: str
    ends_us: int


class Table:
    """The keys of one table.

    Args:
        table: what the TOML says.
        path: where the table stands in the document.
        locate: gives `file:line:column` for a path.
        problems: where sentences about problems go.
    """

    def __init__(self, table: Mapping[str, Any], path: KeyPath, locate: Locate, problems: list[str]) -> None:
        self._table = table
        self._path = path
        self._locate = locate
        self._problems = problems
        self._asked: set[str] = set()

    def complain(self, key: str | KeyPath, sentence: str) -> None:
        """Note a problem with `key` (or with what is at a path below this table)."""
        below = (key,) if isinstance(key, str) else key
        if len(self._problems) < POLICY_PROBLEMS:  # those beyond are only counted; finding lines has its cost
            sentence = f"{self._locate((*self._path, *below))}: {sentence}"
        self._problems.append(sentence)

    def complain_of(self, flaws: Iterable[tuple[str, str]]) -> None:
        """Note problems, each with its key."""
        for key, sentence in flaws:
            self.complain(key, sentence)

    def has(self, key: str) -> bool:
        """Whether there is anything at `key`."""
        return key in self._table

    def is_text(self, key: str) -> bool:
        """Whether there is a text at `key`."""
        return isinstance(self._table.get(key), str)

    def is_table(self, key: str) -> bool:
        """Whether there is a table at `key`."""
        return isinstance(self._table.get(key), dict)

    def text(self, key: str, code_points: int, *, required: bool = True) -> str:
        """A text that is not blank, or the empty one."""
        value = self._get(key, required=required)
        if value is None:
            return ""
        flaw = _text_flaw(value, code_points)
        if flaw is not None:
            self.complain(key, f"{key} {flaw}")
            return ""
        return str(value)

    def slug(self, key: str, *, required: bool = True) -> str:
        """A short name of lowercase letters, digits and hyphens, or the empty one."""
        value = self.text(key, SLUG_CODE_POINTS, required=required)
        if value and not _SLUG.fullmatch(value):
            self.complain(key, f"{key} is {value!r}; it is made of lowercase letters, digits and hyphens")
            return ""
        return value

    def integer(self, key: str, *, required: bool = True) -> int | None:
        """A whole number."""
        value = self._get(key, required=required)
        if value is None or type(value) is int:
            return value
        self.complain(key, f"{key} is a whole number")
        return None

    def truth(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key, required=False)
        if value is None or type(value) is bool:
            return default if value is None else value
        self.complain(key, f"{key} is true or false, without quotes")
        return default

    def day(self, key: str) -> Day | None:
        """A date, if there is one."""
        value = self._get(key, required=False)
        if value is None:
            return None
        if hasattr(value, "toordinal") and not hasattr(value, "hour"):
            return Day(value.isoformat(), (value.toordinal() + 1 - _DAYS_TO_1970) * _DAY_US)
        self.complain(key, f"{key} is a date without a time and without quotes, such as 2027-01-31")
        return None

    def choice(self, key: str, allowed: tuple[str, ...], *, default: str | None) -> str:
        """One of `allowed`; the first of them when the document's value cannot be used."""
        value = self._get(key, required=default is None)
        if value is None:
            return default or allowed[0]
        if value not in allowed:
            self.complain(key, f"{key} is {value!r}; it is one of {', '.join(allowed)}")
            return allowed[0]
        return str(value)

    def texts(self, key: str, code_points: int, items: int) -> list[tuple[int, str]]:
        """The usable texts of an array that is not empty, each with its index."""
        value = self._get(key, required=True)
        if value is None:
            return []
        if not isinstance(value, list) or not 1 <= len(value) <= items:
            self.complain(key, f"{key} is an array of 1 to {items} texts")
            return []
        usable = []
        for index, entry in enumerate(value):
            flaw = _text_flaw(entry, code_points)
            if flaw is None:
                usable.append((index, entry))
            else:
                self.complain((key, index), f"an entry of {key} {flaw}")
        return usable

    def table(self, key: str) -> Table | None:
        """The table at `key`, if there is one."""
        value = self._get(key, required=False)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.complain(key, f"{key} is written as a table")
            return None
        return Table(value, (*self._path, key), self._locate, self._problems)

    def names(self) -> Iterator[str]:
        """All keys, which thereby are known."""
        self._asked.update(self._table)
        yield from self._table

    def rows(self, key: str, items: int) -> list[Any]:
        """The entries of an array that is not empty, whatever they are."""
        value = self._get(key, required=True)
        if isinstance(value, list) and 1 <= len(value) <= items:
            return value
        self.complain(key, f"{key} is an array of 1 to {items} entries")
        return []

    def tables(self, key: str, items: int = 1_000) -> Iterator[Table]:
        """The tables of `[[key]]`; there may be none."""
        value = self._get(key, required=False)
        if value is None:
            return
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.complain(key, f"{key} is written as tables, each under its own [[{key}]]")
            return
        if len(value) > items:
            self.complain(key, f"{len(value)} {key}; the limit is {items}")
        for index, entry in enumerate(value[:items]):
            yield Table(entry, (*self._path, key, index), self._locate, self._problems)

    def refuse_others(self) -> None:
        """Complain about every key that nobody asked for."""
        for key in self._table:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.complain(key, f"unknown key {key[:80]!r}; here one may write {known}")

    def _get(self, key: str, *, required: bool) -> Any:
        self._asked.add(key)
        value = self._table.get(key)
        if value is None and required:
            self.complain(key, f"{key} is missing")
        return value


def _text_flaw(value: object, code_points: int) -> str | None:
    if type(value) is not str:
        return "is not a text"
    if not value.strip():
        return "is blank"
    if len(value) > code_points:
        return f"has {len(value)} characters; the limit is {code_points}"
    return None
