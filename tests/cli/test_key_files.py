"""Key files: whose key it is stays with it, a recovery key signs nothing else, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.users.key_files import device_key, first_key, read_recovery_key, recovery_key
from folkmoot.node.data_directory import (
    DataDirectoryError,
    KeyFile,
    read_key,
    read_key_file,
    write_key,
    write_private,
)
from folkmoot.protocol.identity import KeyPair, account_to_text
from hypothesis import given
from hypothesis import strategies as st

ALICE, BEN = KeyPair(b"a" * 32), KeyPair(b"b" * 32)
SEED_LINE = f"ed25519-seed:{b'p'.hex() * 32}"
OWNER_LINE = f"account:{account_to_text(ALICE.account)}"
seeds = st.binary(min_size=32, max_size=32)


@given(seeds, st.none() | seeds, st.booleans())
def test_what_was_written_is_read(seed: bytes, owner: bytes | None, recovers: bool) -> None:
    account = None if owner is None else KeyPair(owner).account
    pair = KeyPair(seed, account)
    written = KeyFile(pair, recovers and pair.owner != pair.account)
    read = KeyFile.parse(written.text())
    assert (read.pair.seed, read.pair.owner, read.recovers) == (seed, pair.owner, written.recovers)


def test_a_first_key_s_file_is_what_it_always_was(tmp_path: Path) -> None:
    write_key(tmp_path / "key", b"p" * 32)
    assert (tmp_path / "key").read_text() == f"{SEED_LINE}\n"


def test_spaces_and_empty_lines_are_forgiven() -> None:
    read = KeyFile.parse(f"\n  {SEED_LINE} \r\n\n{OWNER_LINE}\n   use:recovery  \n\n")
    assert (read.pair.owner, read.recovers) == (ALICE.account, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a key",
        SEED_LINE[:-1],
        SEED_LINE.upper(),
        OWNER_LINE,
        f"{SEED_LINE}\nuse:recovery",
        f"{SEED_LINE}\n{OWNER_LINE}x",
        f"{SEED_LINE}\naccount:",
        f"{SEED_LINE}\n{OWNER_LINE}\nuse:posting",
        f"{SEED_LINE}\n{OWNER_LINE}\nuse:recovery\nmore",
        f"{SEED_LINE}\n{SEED_LINE}",
    ],
)
def test_anything_else_is_refused_without_telling_the_secret(tmp_path: Path, text: str) -> None:
    write_private(tmp_path / "key", text)
    with pytest.raises(DataDirectoryError, match="is not a key file: ") as error:
        read_key_file(tmp_path / "key")
    assert b"p".hex() * 8 not in str(error.value)


def test_a_recovery_key_signs_no_posts(tmp_path: Path) -> None:
    write_key(tmp_path / "key", b"r" * 32, owner=ALICE.account, recovers=True)
    with pytest.raises(DataDirectoryError, match="signs no posts"):
        read_key(tmp_path / "key")
    assert read_recovery_key(tmp_path / "key", ALICE.account).owner == ALICE.account
    with pytest.raises(OperatorError, match="no other account"):
        read_recovery_key(tmp_path / "key", BEN.account)


def test_a_device_s_key_recovers_nothing(tmp_path: Path) -> None:
    write_key(tmp_path / "key", b"d" * 32, owner=ALICE.account)
    assert read_key(tmp_path / "key").owner == ALICE.account
    with pytest.raises(OperatorError, match="not a recovery key"):
        read_recovery_key(tmp_path / "key", ALICE.account)


def test_a_key_is_made_once_and_taken_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    (made, fresh), (again, stale) = first_key(file), first_key(file)
    assert fresh and not stale and made.seed == again.seed
    for make in (device_key, recovery_key):
        at = tmp_path / make.__name__
        assert make(at, ALICE.account).seed == make(at, ALICE.account).seed
        assert at.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ({}, device_key),
        ({}, recovery_key),
        ({"owner": BEN.account}, device_key),
        ({"owner": BEN.account, "recovers": True}, recovery_key),
        ({"owner": ALICE.account}, recovery_key),
        ({"owner": ALICE.account, "recovers": True}, device_key),
        ({"owner": ALICE.account}, lambda file, _: first_key(file)),
    ],
)
def test_a_file_that_has_something_else_is_left_alone(tmp_path: Path, kind: Any, asked: Any) -> None:
    file = tmp_path / "key"
    write_key(file, b"k" * 32, **kind)
    before = file.read_bytes()
    with pytest.raises(OperatorError):
        asked(file, ALICE.account)
    assert file.read_bytes() == before
