"""The key somebody writes with: a key file that is named, or their own, which is made when first needed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from folkmoot.cli.config_option import user_home
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.output import Output
from folkmoot.node.data_directory import read_key, write_key
from folkmoot.protocol.identity import SEED_BYTES, KeyPair

key_option: Callable[..., Any] = click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FOLKMOOT_KEY",
    help="The account's key file. [default: one of your own, made when first needed]",
)


def own_key_if_any(file: Path | None) -> KeyPair | None:
    """The key that is named or one's own; None when none is named and there is none.

    Raises:
        DataDirectoryError: the file is no key, or readable by others.
    """
    own = user_home() / "me.key" if file is None else file
    return read_key(own) if file is not None or own.exists() else None


def own_key(file: Path | None, output: Output, *, make: bool = True) -> KeyPair:
    """The key to sign with.

    Args:
        file: the one named, if one was.
        output: is told when a key is made.
        make: whether to make one if there is none.

    Raises:
        OperatorError: there is none, and none is to be made.
        DataDirectoryError: the file is no key, or readable by others.
    """
    if (key := own_key_if_any(file)) is not None:
        return key
    if not make:
        raise OperatorError("you have no key yet, so you have said nothing", hint="--key FILE")
    own = user_home() / "me.key"
    own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_key(own, secrets.token_bytes(SEED_BYTES))
    output.note(f"made your key, {own}; keep a copy")
    return read_key(own)
