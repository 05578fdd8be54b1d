"""What the number a command ends with says."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
DEGRADED: Final = 3
UNREACHABLE: Final = 4
REFUSED: Final = 5
INTERRUPTED: Final = 130

MEANINGS: Final = {
    OK: "done",
    FAILED: "failed; the sentence on standard error says why",
    USAGE: "the command line was wrong; nothing was done",
    DEGRADED: "done or answered, but less than was asked for",
    UNREACHABLE: "no node answered",
    REFUSED: "the cluster refuses this node, as a copy or for its name",
    INTERRUPTED: "interrupted, with Ctrl-C or SIGTERM",
}
