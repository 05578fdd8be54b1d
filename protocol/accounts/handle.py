"""Handles: the names that people give accounts, written in one form, one account for all that look alike.

A handle is 2 to 30 letters and digits of one script, with single `.`, `-` and `_` between them. Its form is
that of PRECIS' UsernameCaseMapped profile (RFC 8265): small letters, composed, nothing invisible. What looks
the same has the same *skeleton* (UTS 39, section 4), and handles with the same skeleton share the register
that says whose they are. Both are decided by a frozen table (see `alphabet`), because they decide which
chains are valid and what registers are called, today and after every update of Unicode.
"""

from __future__ import annotations

import hashlib
import unicodedata
from functools import cache
from itertools import groupby, pairwise
from typing import Final

from folkmoot.protocol import limits
from folkmoot.protocol.accounts.alphabet import EAST_ASIAN, Letters, alphabet
from folkmoot.protocol.errors import BAD_REQUEST, WireError

SEPARATORS: Final = "-._"
NAME_BYTES: Final = 16

# Who speaks for a community, and what RFC 2142 and interfaces mean by these words, with whatever looks like
# them. Refused to whoever asks for one; a chain that names one stays valid, so the list may grow.
RESERVED: Final = (
    *("abuse", "account", "accounts", "admin", "administration", "administrator", "anonymous", "api"),
    *(
        "contact",
        "deleted",
        "everybody",
        "everyone",
        "folkmoot",
        "help",
        "here",
        "hostmaster",
        "info",
        "legal",
    ),
    *(
        "login",
        "me",
        "mod",
        "moderation",
        "moderator",
        "moderators",
        "mods",
        "nobody",
        "node",
        "noreply",
        "null",
    ),
    *("official", "operator", "operators", "owner", "postmaster", "privacy", "register", "root", "security"),
    *("self", "service", "settings", "staff", "status", "support", "sysadmin", "system", "team", "trust"),
    *("undefined", "unknown", "user", "webmaster"),
)

_SEPARATOR: Final = "."  # in skeletons
_DOTTED_TWICE: Final = "i\u0307"  # what İ becomes in small letters


def check_handle(text: str) -> str:
    """The handle that somebody means by `text`, in the form in which it is signed, stored and shown.

    Raises:
        WireError: `bad_request`, saying what is wrong with it and what to do.
    """
    if len(text) > limits.HANDLE_TEXT_CHARACTERS:
        raise _refusal(text, _length_problem(text))
    handle = text if _problem(text) is None else _normal(text)
    if problem := _problem(handle):
        raise _refusal(text, problem)
    if skeleton(handle).replace(_SEPARATOR, "") in _reserved():
        raise _refusal(text, "names like it are kept for those who run a community; choose another")
    return handle


def read_handle(handle: str) -> str:
    """A handle as it must be where it was signed or stored: in its form already.

    Raises:
        WireError: `bad_request`, saying what is wrong with it.
    """
    if len(handle) > limits.HANDLE_CHARACTERS_MAX:
        raise _refusal(handle, _length_problem(handle))
    problem = _problem(handle)
    if problem is None:
        return handle
    meant = _normal(handle)
    raise _refusal(
        handle, problem if _problem(meant) else f"in its form, which is to be signed, it is {meant!r}"
    )


def skeleton(handle: str) -> str:
    """What a handle has in common with those that a person could take for it, and with no others.

    Args:
        handle: in its form. Of other texts the skeleton means nothing.
    """
    looks = unicodedata.normalize("NFD", handle).translate(alphabet().looks)
    # NFD may put a mark elsewhere among others than its look-alike; so the order of marks does not count.
    runs = groupby(looks, lambda look: unicodedata.combining(look) > 0)
    return "".join("".join(sorted(run) if marks else run) for marks, run in runs)


def register_name(handle: str) -> str:
    """The register that says who has a handle, or one that looks like it."""
    return f"handle/{hashlib.sha256(skeleton(handle).encode()).digest()[:NAME_BYTES].hex()}"


def _length_problem(text: str) -> str:
    lengths = f"{limits.HANDLE_CHARACTERS_MIN} to {limits.HANDLE_CHARACTERS_MAX}"
    return f"it is {len(text)} long, and has to be {lengths} characters"


def _refusal(text: str, problem: str) -> WireError:
    shown = text if len(text) <= limits.HANDLE_CHARACTERS_MAX else text[: limits.HANDLE_CHARACTERS_MAX] + "…"
    return WireError(BAD_REQUEST, f"{shown!r} is no handle: {problem}")


def _normal(text: str) -> str:
    """As RFC 8265, section 3.3.2, but where PRECIS refuses compatibility characters they are mapped."""
    composed = unicodedata.normalize("NFKC", text.removeprefix("@"))
    return unicodedata.normalize("NFKC", composed.lower().replace(_DOTTED_TWICE, "i"))


@cache
def _reserved() -> frozenset[str]:
    return frozenset(map(skeleton, RESERVED))


def _problem(handle: str) -> str | None:
    """Why this is not a handle in its form; None if it is."""
    if not limits.HANDLE_CHARACTERS_MIN <= len(handle) <= limits.HANDLE_CHARACTERS_MAX:
        return _length_problem(handle)
    letters = [(each, None if each in SEPARATORS else alphabet().find(each)) for each in handle]
    for character, found in letters:
        if found is None and character not in SEPARATORS:
            return (
                f"{_named(character)} cannot stand in one; use letters, digits and single . - _ between them"
            )
    if unicodedata.normalize("NFKC", handle) != handle:
        return "its accents are not composed with their letters (Unicode form NFC)"
    return (
        _order_problem(letters)
        or _mark_problem(handle)
        or _digit_problem(letters)
        or _script_problem(letters)
    )


def _order_problem(letters: list[tuple[str, Letters | None]]) -> str | None:
    """What stands where it may not: separators, marks, and digits in text from right to left."""
    kinds = "".join("." if found is None else found.kind for _, found in letters)
    if kinds.startswith(".") or kinds.endswith(".") or ".." in kinds:
        return "it begins or ends with . - or _, or has two of them together; put them singly between letters"
    if kinds.startswith("M") or any(f"{before}M" in kinds for before in ".DN"):
        return "an accent or vowel sign stands without the letter it belongs to"
    if ("R" in kinds or "N" in kinds) and not kinds.startswith("R"):
        return "text that runs from right to left begins with a letter, so that it reads the same everywhere"
    return None


def _mark_problem(handle: str) -> str | None:
    """Marks heaped on a letter (UTS 39, section 5.4), those it is composed with counted."""
    heap = 0
    for before, after in pairwise(unicodedata.normalize("NFD", handle)):
        heap = heap + 1 if _is_mark(after) else 0
        if heap and before == after:
            return "the same accent or vowel sign stands twice on one letter"
        if heap > limits.HANDLE_MARKS:
            return f"more than {limits.HANDLE_MARKS} accents or vowel signs stand on one letter"
    return None


def _is_mark(character: str) -> bool:
    found = alphabet().find(character)
    return unicodedata.combining(character) > 0 or (found is not None and found.kind == "M")


def _digit_problem(letters: list[tuple[str, Letters | None]]) -> str | None:
    zeros = {found.first for _, found in letters if found is not None and found.kind in "DN"}
    return "it has digits of two kinds; use one" if len(zeros) > 1 else None


def _script_problem(letters: list[tuple[str, Letters | None]]) -> str | None:
    """What is not of one script, nor of those that UTS 39 allows together as *highly restrictive*."""
    written = [found.scripts for _, found in letters if found is not None and found.scripts is not None]
    if not written or frozenset.intersection(*written):
        return None
    beside_latin = [scripts for scripts in written if "Latn" not in scripts]
    if frozenset.intersection(EAST_ASIAN, *beside_latin):
        return None
    return (
        "it mixes scripts, which lets it pass for another; use letters of one (Latin may stand beside "
        "Chinese, Japanese or Korean)"
    )


def _named(character: str) -> str:
    """Shown so that what is invisible, or turns text around, is not."""
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    return f"{character!r} ({name.lower()})" if name[:2] != "U+" else name
