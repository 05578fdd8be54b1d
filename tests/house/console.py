"""The commands that a document tells people to type: lines that begin with `$ ` in ```console blocks."""

from __future__ import annotations

import re
from typing import NamedTuple

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


class Shown(NamedTuple):
    """One command and the output shown under it."""

    command: str
    output: str


def shown_commands(text: str) -> list[Shown]:
    """The commands in the order they stand; a line that ends with a backslash goes on."""
    shown: list[Shown] = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.splitlines()
            end = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
            shown.append(Shown("\n".join(lines[: end + 1]), "\n".join(lines[end + 1 :])))
    return shown


def script_of(commands: list[Shown], leave_out: tuple[str, ...]) -> str:
    """A shell script that runs them all in order and stops at the first that fails, saying which."""
    lines = ["set -euo pipefail", "trap 'echo \"failed: $BASH_COMMAND\" >&2' ERR"]
    lines += [each.command for each in commands if not each.command.startswith(leave_out)]
    return "\n".join(lines) + "\n"
