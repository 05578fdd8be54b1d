"""The configuration of a node that is being made, and the policy it begins with."""

from __future__ import annotations

import importlib.resources
import socket
from pathlib import Path
from typing import Any, Final

import click
from folkmoot.node.configuration.reading import ConfigError, load
from folkmoot.node.data_directory import write_new

POLICY_NAME: Final = "policy.toml"
DEFAULT_POLICY: Final = importlib.resources.files("folkmoot.configs") / "policies" / "default.toml"


def new_document(
    cluster: str, name: str, region: str, seeds: tuple[str, ...], clients: str, peers: str, tls: str
) -> dict[str, dict[str, Any]]:
    """The sections of a node's file; see the settings of the same names for what they are."""
    return {
        "node": {"name": name, "region": region},
        "cluster": {"id": cluster, **({"seeds": list(seeds)} if seeds else {})},
        "listen": {"clients": clients, "peers": peers},
        "tls": {"mode": tls},
        "gate": {"policy": POLICY_NAME},
    }


def write_policy(directory: Path) -> Path | None:
    """Put the policy to begin with where `new_document` says it is, unless something is there already.

    Returns:
        The file, if it was made.

    Raises:
        OSError: it cannot be written; nothing is left.
    """
    file = directory / POLICY_NAME
    if file.exists():
        return None
    write_new(file, DEFAULT_POLICY.read_bytes(), 0o644)
    return file


def check_document(document: dict[str, dict[str, Any]]) -> None:
    """Refuse bad values before anything is written.

    Raises:
        click.UsageError: with all that is wrong.
    """
    flags = {
        f"{section}.{key}": ",".join(value) if isinstance(value, list) else str(value)
        for section, table in document.items()
        for key, value in table.items()
    }
    try:
        load(None, flags=flags)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


def host_name() -> str:
    """What a node is called that nobody named: as its host is, in the letters that a name may have."""
    host = socket.gethostname().partition(".")[0].lower()
    slug = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in host).strip("-")
    return slug[:63] or "node"
