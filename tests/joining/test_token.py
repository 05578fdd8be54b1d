"""Join tokens are whole, or said not to be, before anybody is asked."""

from __future__ import annotations

import base64

import pytest
from folkmoot.protocol import codec, join_token, limits
from folkmoot.protocol.join_token import PREFIX, JoinToken, JoinTokenError
from hypothesis import given
from hypothesis import strategies as st

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
slugs = st.text(LETTERS, min_size=1, max_size=63)
tokens = st.builds(
    JoinToken,
    cluster=slugs,
    addresses=st.lists(st.text(LETTERS + ".:[]", min_size=3, max_size=60), min_size=1, max_size=8),
    authority=st.binary(min_size=32, max_size=32),
    id=st.binary(min_size=limits.GRANT_ID_BYTES, max_size=limits.GRANT_ID_BYTES),
    secret=st.binary(min_size=limits.JOIN_SECRET_BYTES, max_size=limits.JOIN_SECRET_BYTES),
    expires_ms=st.integers(0, limits.STAMP_MAX),
    name=st.none() | slugs,
    region=st.none() | slugs,
)
TOKEN = JoinToken(
    cluster="town",
    addresses=["10.0.0.1:7000"],
    authority=bytes(range(32)),
    id=bytes(range(8)),
    secret=bytes(range(100, 132)),
    expires_ms=1_767_225_600_000,
    region="eu",
)


@given(tokens)
def test_what_is_encoded_is_decoded(token: JoinToken) -> None:
    assert JoinToken.decode(token.encode()) == token


@given(tokens, st.data())
def test_blanks_and_line_breaks_are_no_part_of_it(token: JoinToken, data: st.DataObject) -> None:
    text = token.encode()
    at = data.draw(st.integers(0, len(text)))
    assert JoinToken.decode(f"  {text[:at]}\n   {text[at:]}\r\n") == token


@given(tokens, st.data())
def test_a_letter_that_was_mistyped_is_told(token: JoinToken, data: st.DataObject) -> None:
    text = token.encode()
    at = data.draw(st.integers(len(PREFIX), len(text) - 1))
    other = data.draw(st.sampled_from([letter for letter in LETTERS + "_A" if letter != text[at]]))
    with pytest.raises(JoinTokenError, match="mistyped or cut off"):
        JoinToken.decode(text[:at] + other + text[at + 1 :])


@given(st.text(max_size=300))
def test_any_text_is_a_token_or_an_error(text: str) -> None:
    for candidate in (text, PREFIX + text):
        with pytest.raises(JoinTokenError):
            JoinToken.decode(candidate)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no join token: those begin with fmj1_"),
        ("hello", "no join token"),
        ("fmj2_abcdef", "of version 2, and this program reads version 1"),
        (PREFIX, "mistyped or cut off"),
        (TOKEN.encode()[:-1], "mistyped or cut off"),
        (TOKEN.encode()[:60], "mistyped or cut off"),
        (TOKEN.encode() + "A", "mistyped or cut off"),
        (TOKEN.encode() * 40, "far too long"),
    ],
)
def test_what_is_no_token_says_why(text: str, complaint: str) -> None:
    with pytest.raises(JoinTokenError, match=complaint):
        JoinToken.decode(text)


def test_a_checksum_does_not_make_nonsense_a_token() -> None:
    for nonsense in ([1], {"cluster": "town"}, {**codec.decode_canonical(_body(TOKEN)), "secret": b"short"}):
        body = codec.encode_canonical(nonsense)
        with pytest.raises(JoinTokenError, match="says what none may say"):
            JoinToken.decode(_spelled(body))


def test_the_secret_is_not_in_what_is_printed_of_it() -> None:
    assert repr(TOKEN) == "JoinToken(0001020304050607 of town)"
    assert TOKEN.secret.hex() not in f"{TOKEN!r} {TOKEN}"


def test_too_many_long_addresses_are_refused() -> None:
    long = ["a" * 253 + ":65535"] * 8
    with pytest.raises(JoinTokenError, match="too long"):
        JoinToken("town", long, bytes(32), bytes(8), bytes(32), 0).encode()


def _body(token: JoinToken) -> bytes:
    return join_token._checked(token.encode().removeprefix(PREFIX))


def _spelled(body: bytes) -> str:
    data = body + join_token._checksum(body)
    return PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")
