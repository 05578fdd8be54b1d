"""The commands that a document tells people to type: lines that begin with `$ ` in ```console blocks.

What stands under a command is what it printed once, elsewhere: words and names have to be the same today, and
what is different every time (ids, numbers, times, the width of columns) is masked in both.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Printed before the output of each command, so that it can be told from that of the others.
MARK = "--- the output of command"
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"), "<time>"),
    (re.compile(r"did:key:z6Mk\w*…?"), "<account>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"(?<![\w-])\d[\d,]*(\.\d+)?"), "<n>"),
    (re.compile(r"\b(suspect|dead; <n> of <n> ranges lack a copy|dead)\b"), "<gone>"),
    (re.compile(r"[ \t]+"), " "),
)

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


def script_with_marks(commands: list[Shown], leave_out: tuple[str, ...]) -> str:
    """`script_of`, with the number of each command before what it prints (see `printed_by`)."""
    marked = [
        Shown(f"echo '{MARK} {number}'\n{each.command}", "")
        for number, each in enumerate(commands)
        if not each.command.startswith(leave_out)
    ]
    return script_of(marked, ())


def printed_by(output: str) -> dict[int, str]:
    """What each command of a `script_with_marks` printed, by its number."""
    parts = re.split(rf"^{MARK} (\d+)\n", output, flags=re.M)[1:]
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def masked(text: str) -> list[str]:
    """The lines of an output without what is different every time."""
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return [line.rstrip() for line in text.strip().splitlines()]


def differences(commands: list[Shown], printed: dict[int, str]) -> list[str]:
    """Where a document shows what its commands do not print; it may show the beginning only."""
    complaints = []
    for number, text in printed.items():
        shown, found = masked(commands[number].output), masked(text)
        if found[: len(shown)] != shown:
            complaints.append(f"$ {commands[number].command}\nis shown to print {shown}\nand prints {found}")
    return complaints
