"""The configuration of a node that is being made."""

from __future__ import annotations

import socket
from typing import Any

import click
from folkmoot.node.config import ConfigError, load


def new_document(
    cluster: str, name: str, region: str, seeds: tuple[str, ...], clients: str, peers: str, tls: str
) -> dict[str, dict[str, Any]]:
    """The sections of a node's file; see the settings of the same names for what they are."""
    return {
        "node": {"name": name, "region": region},
        "cluster": {"id": cluster, **({"seeds": list(seeds)} if seeds else {})},
        "listen": {"clients": clients, "peers": peers},
        "tls": {"mode": tls},
    }


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
