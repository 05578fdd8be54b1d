"""Bundles of policy layers: one form for the same files, and no document is ever taken for one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from folkmoot.protocol import codec
from folkmoot.protocol.moderation.bounds import POLICY_FILES
from folkmoot.protocol.moderation.bundle import pack_bundle, read_bundle
from folkmoot.protocol.moderation.policy import PolicyError
from hypothesis import given
from hypothesis import strategies as st

FILES = {"a.toml": b"a", "b.toml": b"\xff"}

names = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=64), min_size=2, max_size=POLICY_FILES), st.data())
def test_what_was_packed_is_read_and_has_one_form(files: dict[str, bytes], data: st.DataObject) -> None:
    top = data.draw(st.sampled_from(sorted(files)))
    packed = pack_bundle(top, files)
    read = read_bundle(packed)
    assert read is not None and (read.top, read.files) == (top, files)
    assert pack_bundle(top, dict(reversed(files.items()))) == packed


@given(st.text(min_size=1))
def test_no_text_is_taken_for_a_bundle(text: str) -> None:
    assert read_bundle(text.encode()) is None


def test_nothing_is_a_document_that_says_nothing() -> None:
    assert read_bundle(b"") is None


def test_every_byte_of_every_layer_is_in_the_hash() -> None:
    hashes = {
        hashlib.sha256(pack_bundle(top, files)).hexdigest()
        for top in FILES
        for files in (FILES, {**FILES, "b.toml": b"\xfe"}, {**FILES, "c.toml": b""})
    }
    assert len(hashes) == 6


def packed(**changes: Any) -> bytes:
    return codec.encode_canonical({"version": 1, "top": "a.toml", "files": FILES, **changes})


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (packed(version=2), "version 2; this node reads 1"),
        (packed(version="1"), "version"),
        (packed(top="c.toml"), "c.toml, the narrowest of them, is missing"),
        (packed(top="../a.toml", files={**FILES, "../a.toml": b""}), "files"),
        (packed(files={"a.toml": b"", "b/c.toml": b""}), "files"),
        (packed(files={"a.toml": b"", ".hidden": b""}), "files"),
        (packed(files={"a.toml": b"", "b.toml\n": b""}), "files"),
        (packed(files={"a.toml": b"", "b" * 200: b""}), "files"),
        (packed(files={"a.toml": b"", "b.toml": "text"}), "files"),
        (packed(files={"a.toml": b""}), "files"),
        (packed(files={f"{number}.toml": b"" for number in range(POLICY_FILES + 1)}), "files"),
        (packed(zmore=1), "zmore"),
        (packed() + b"\x00", "not one MessagePack value"),
        (packed()[:-1], "not one MessagePack value"),
        (b"\x83\xa3top\xa6a.toml\xa7version\x01\xa5files\x80", "keys out of order"),
        (b"\x80", "version"),
        (b"\x81\xc0\xc0", "layers of a policy cannot be read"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(PolicyError) as refused:
        read_bundle(data)
    assert problem in str(refused.value)
