"""Key files that commands make: whole before anything is signed, and taken again when that is repeated."""

from __future__ import annotations

import secrets
from pathlib import Path

from folkmoot.cli.errors import OperatorError
from folkmoot.node.data_directory import KeyFile, read_key_file, write_key
from folkmoot.protocol.identity import SEED_BYTES, KeyPair, account_to_text


def first_key(file: Path) -> tuple[KeyPair, bool]:
    """The first key of an account, made if there is no such file; and whether it was.

    Raises:
        OperatorError: the file has another kind of key.
        DataDirectoryError: it is no key file, or readable by others.
    """
    made = not file.exists()
    if made:
        write_key(file, secrets.token_bytes(SEED_BYTES))
    held = read_key_file(file)
    if held.recovers or held.pair.owner != held.pair.account:
        raise OperatorError(
            f"{file} belongs to {account_to_text(held.pair.owner)} already, which it does not begin",
            hint=f"folkmoot user show {file}",
        )
    return held.pair, made


def device_key(file: Path, account: bytes) -> KeyPair:
    """A key for another device of an account; one that an earlier attempt made is taken again.

    Raises:
        OperatorError: the file has something else.
    """
    return _of(file, account, recovers=False).pair


def recovery_key(file: Path, account: bytes) -> KeyPair:
    """A recovery key for an account, the same way.

    Raises:
        OperatorError: the file has something else.
    """
    return _of(file, account, recovers=True).pair


def _of(file: Path, account: bytes, *, recovers: bool) -> KeyFile:
    if not file.exists():
        write_key(file, secrets.token_bytes(SEED_BYTES), owner=account, recovers=recovers)
    held = read_key_file(file)
    if held.pair.owner != account or held.pair.account == account or held.recovers != recovers:
        kind = "a recovery key" if recovers else "a key for another device"
        raise OperatorError(
            f"{file} exists, and is not {kind} of {account_to_text(account)}; a key is never overwritten",
            hint="another file name",
        )
    return held


def read_recovery_key(file: Path, account: bytes) -> KeyPair:
    """The recovery key in a file that is there.

    Raises:
        OperatorError: it is another account's, or no recovery key.
        DataDirectoryError: it is no key file, or readable by others.
    """
    held = read_key_file(file)
    if not held.recovers:
        raise OperatorError(
            f"{file} is a device's key and not a recovery key: those have a line use:recovery",
            hint="folkmoot user recover --help",
        )
    if held.pair.owner != account:
        raise OperatorError(
            f"{file} recovers {account_to_text(held.pair.owner)}, and no other account",
            hint=f"folkmoot user show {account_to_text(account)}",
        )
    return held.pair
