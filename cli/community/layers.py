"""Layers of a policy on a command line: counted, shown one after the other, and written as files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.moderation.policy import PolicyDocument

_COUNTED = ("lists", "patterns", "rules")


def counts_of(document: PolicyDocument) -> dict[str, int]:
    """How many things of each sort a policy has."""
    return {sort: len(getattr(document, sort)) for sort in _COUNTED}


def told_counts(counts: Mapping[str, int]) -> str:
    """The same for people."""
    return ", ".join(f"{count} {sort[:-1] if count == 1 else sort}" for sort, count in counts.items())


def told_layers(layers: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Each layer with its name and hash; a document that stands alone has no name."""
    return [
        {
            "file": name or None,
            "hash": hashlib.sha256(data).hexdigest(),
            "document": data.decode(errors="replace"),
        }
        for name, data in layers.items()
    ]


def layer_lines(layers: Mapping[str, bytes]) -> list[str]:
    """The text of layers, each under its name; of a document that stands alone, the document."""
    lines: list[str] = []
    for name, data in layers.items():
        if name:
            lines += [*([""] if lines else []), f"# {name} {hashlib.sha256(data).hexdigest()[:12]}"]
        lines += data.decode(errors="replace").splitlines()
    return lines


def write_layers(layers: Mapping[str, bytes], folder: Path) -> list[str]:
    """Write layers as files that were not there; their paths.

    Raises:
        OperatorError: one is there, or cannot be written.
    """
    files = {folder / (name or "policy.toml"): data for name, data in layers.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if there := next((file for file in files if file.exists()), None):
            raise OperatorError(f"{there} is there already", hint="another folder")
        for file, data in files.items():
            with file.open("xb") as stream:
                stream.write(data)
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written: {error.strerror}") from error
    return [str(file) for file in files]
