"""How far an import has come: the line up to which everything is settled.

A checkpoint is written after the journal of what it covers has been brought to disk, so a crash never
loses an entry of the journal. It stays when an import ends, so that running it again sends nothing twice,
unless something was refused, which may pass another time. It goes by the file's contents: a file that has
grown is another one, sent from its first line, and the cluster answers `duplicate` to what it has.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec
from folkmoot.node.data_directory import replace_file

SAMPLE: Final = 8


class Checkpoint(msgspec.Struct, frozen=True):
    """See the module.

    Args:
        line: every line up to and including this one is settled.
        level: which all of them reached.
        sample: keys (place, kind, item) of some acknowledged records up to there. A cluster that lacks one
            is not the cluster the checkpoint speaks of.
    """

    line: int
    level: str = ""
    sample: list[tuple[bytes, str, bytes]] = []


def read_checkpoint(file: Path) -> Checkpoint | None:
    """The checkpoint in `file`; None when there is none, or it is unreadable."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Checkpoint)
    except (OSError, msgspec.MsgspecError):
        return None


def write_checkpoint(file: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in one step."""
    replace_file(file, msgspec.json.encode(checkpoint) + b"\n")


def import_name(source: Path, authors: str) -> str:
    """What the files of an import are called: the source's name, its contents and whose keys sign.

    Args:
        source: the file.
        authors: the fingerprint of the master seed.
    """
    with source.open("rb") as opened:
        contents = hashlib.file_digest(opened, "sha256").hexdigest()
    return f"{source.name.partition('.')[0]}-{contents[:8]}-{authors[:8]}"
