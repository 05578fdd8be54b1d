"""Queries: what people type to find posts, read into what has to be there and what must not.

All terms must be met. `word`, `"words in a row"`, `beginning*`, `#tag`, `from:who`, `lang:xx`, `since:DATE`
and `until:DATE`; a `-` before one of the first six excludes what has it. A colon after anything else is a
mark like others. What has no letters and no digits is passed over; what is left must say something to look
for. A text of a user never becomes part of another language: terms are tokens of ours, or nothing.
"""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from dataclasses import dataclass
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.accounts.handle import check_handle
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.feed.words import UNSPACED
from folkmoot.protocol.identity import DID_KEY_PREFIX, account_from_text
from folkmoot.protocol.projections.entries import tag_form
from folkmoot.protocol.search import bounds
from folkmoot.protocol.search.documents import author_token, language_token, tag_token
from folkmoot.protocol.search.tokens import Phrase, phrase

_TERM: Final = re.compile(r'\s*(?P<minus>-?)(?:(?P<quote>")(?P<quoted>[^"]*)(?P<closed>"?)|(?P<plain>\S+))')
_FIELD: Final = re.compile(r"(from|lang|since|until):(.*)", re.DOTALL)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_FORM: Final = "a date such as 2026-05-31, or with a time of the day in UTC: 2026-05-31T08:30"
_DATE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?)?(?:Z|([+-])(\d\d):(\d\d))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Term:
    """Something to look for.

    Args:
        column: where; see `documents`.
        phrase: what.
        excluded: whether it must not be there.
    """

    column: str
    phrase: Phrase
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    Args:
        terms: all of which must be met; at least one is not excluded, or comes of `handles`.
        handles: whose posts are looked for, or not, as they are called; to be resolved (see `with_accounts`).
        since_ms, until_ms: milliseconds since 1970; the first is included, the second is not.
    """

    terms: tuple[Term, ...]
    handles: tuple[tuple[str, bool], ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    def with_accounts(self, accounts: dict[str, bytes]) -> Query:
        """The query with accounts (34 bytes) in the place of handles.

        Raises:
            WireError: `bad_request`, when a handle is not among them.
        """
        terms = list(self.terms)
        for handle, excluded in self.handles:
            account = accounts.get(handle)
            if account is None:
                raise WireError(BAD_REQUEST, f"query: no account has the handle {handle}")
            terms.append(Term("author", Phrase((author_token(account),)), excluded))
        return Query(tuple(terms), (), self.since_ms, self.until_ms)


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        WireError: `bad_request`, saying what is wrong and at which character, counted from 1.
    """
    if len(text) > bounds.SEARCH_CODE_POINTS:
        raise WireError(
            BAD_REQUEST, f"query: {len(text)} characters; at most {bounds.SEARCH_CODE_POINTS} are looked for"
        )
    reading = _Reading()
    at = 0
    while (match := _TERM.match(text, at)) is not None:
        if match["quote"] and not match["closed"]:
            raise _wrong(match.start("quote"), 'the quotation mark (") is never closed')
        reading.take(match)
        at = match.end()
    return reading.query()


def _wrong(at: int, sentence: str) -> WireError:
    return WireError(BAD_REQUEST, f"query, character {at + 1}: {sentence}")


class _Reading:
    """A query that is being read."""

    def __init__(self) -> None:
        self._terms: list[Term] = []
        self._handles: list[tuple[str, bool]] = []
        self._times: dict[str, int] = {}

    def take(self, match: re.Match[str]) -> None:
        """Take the next term."""
        if len(self._terms) + len(self._handles) == bounds.SEARCH_TERMS:
            raise _wrong(match.end(), f"at most {bounds.SEARCH_TERMS} terms are looked for")
        excluded = bool(match["minus"])
        if match["quote"]:
            self._words(match["quoted"], excluded)
            return
        plain, at = match["plain"], match.start("plain")
        field = _FIELD.fullmatch(plain)
        if field is not None:
            self._field(field[1], field[2], at, excluded)
        elif plain.startswith("#") and (form := tag_form(plain)):
            self._terms.append(Term("tags", Phrase((tag_token(form),)), excluded))
        elif plain.endswith("*"):
            self._beginning(plain.rstrip("*"), at, excluded)
        else:
            self._words(plain.replace('"', " "), excluded)

    def _words(self, text: str, excluded: bool) -> None:
        found = phrase(text)
        if found is not None:
            self._terms.append(Term("body", found, excluded))

    def _beginning(self, text: str, at: int, excluded: bool) -> None:
        found = phrase(text, prefix=True)
        if found is None:
            return
        last = found.tokens[-1]
        if not UNSPACED.match(last) and len(last) < bounds.SEARCH_PREFIX_CODE_POINTS:
            raise _wrong(
                at, f"before a * stand at least {bounds.SEARCH_PREFIX_CODE_POINTS} letters or digits"
            )
        self._terms.append(Term("body", found, excluded))

    def _field(self, name: str, value: str, at: int, excluded: bool) -> None:
        match name:
            case "from":
                self._author(value, at, excluded)
            case "lang":
                if len(value) > limits.POST_LANG_CODE_POINTS or not _LANGUAGE.fullmatch(value):
                    raise _wrong(at, "lang: is followed by a language tag such as pt-BR")
                self._terms.append(Term("lang", Phrase((language_token(value),)), excluded))
            case _:
                if excluded:
                    raise _wrong(at, f"{name}: cannot be excluded; until: and since: are each other's")
                if name in self._times:
                    raise _wrong(at, f"{name}: is there twice")
                self._times[name] = _milliseconds(name, value, at)

    def _author(self, value: str, at: int, excluded: bool) -> None:
        try:
            if value.startswith(DID_KEY_PREFIX[:-1]):
                token = author_token(account_from_text(value))
                self._terms.append(Term("author", Phrase((token,)), excluded))
            else:
                self._handles.append((check_handle(value.removeprefix("@")), excluded))
        except WireError as error:
            raise _wrong(
                at, f"from: is followed by an account (did:key:z6Mk…) or a handle: {error.message}"
            ) from error

    def query(self) -> Query:
        """What was read."""
        wanted = [term for term in self._terms if not term.excluded]
        if not wanted and all(excluded for _, excluded in self._handles):
            raise WireError(
                BAD_REQUEST, "query: there is nothing to look for: a word, a #tag, from: or lang: is needed"
            )
        return Query(
            tuple(self._terms), tuple(self._handles), self._times.get("since"), self._times.get("until")
        )


def _milliseconds(name: str, value: str, at: int) -> int:
    """The time that a date names, in milliseconds since 1970; of earlier ones the beginning of that year."""
    match = _DATE.fullmatch(value)
    if match is None:
        raise _wrong(at, f"{name}: is followed by {_FORM}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if not (year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        raise _wrong(at, f"{name}: there is no such day; it is followed by {_FORM}")
    ahead_s = (int(match[8] or 0) * 3600 + int(match[9] or 0) * 60) * (-1 if match[7] == "-" else 1)
    if hour > 23 or max(minute, second) > 59 or abs(ahead_s) > 24 * 3600:
        raise _wrong(at, f"{name}: there is no such time; it is followed by {_FORM}")
    return max(0, 1000 * (timegm((year, month, day, hour, minute, second)) - ahead_s))
