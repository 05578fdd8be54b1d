"""Taking back what a policy decided, on a command line: step by step, and told."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.community.asking import asked, short
from folkmoot.cli.progress import OnProgress

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_WORDS: Final = {
    "labels": ("labels taken back", "labels would be taken back"),
    "holds": ("posts let go that waited for review", "posts would be let go that wait for review"),
    "people": ("left, because people have decided since",) * 2,
    "same": ("left, because the policy in force says the same",) * 2,
    "settled": ("that waited wait no longer",) * 2,
    "gone": ("about posts that are gone",) * 2,
    "revoked": ("not let go, because the key that signed them was revoked",) * 2,
    "unreachable": ("not taken back, because the node that said so is not to be had",) * 2,
    "uncertain": ("of which too few replicas answered",) * 2,
    "missing": ("ranges that too few replicas answer for",) * 2,
}
LEFT_UNDONE: Final = ("unreachable", "uncertain", "missing")
"""What another attempt may bring."""


async def reversed_by(client: Client, hash: str, dry_run: bool, progress: OnProgress) -> dict[str, int]:
    """Take back what a policy decided, from beginning to end; how much of each sort there was.

    Args:
        hash: of the policy, in hex.
        dry_run: whether to count only.
        progress: told how many hundredths are done.
    """
    counts: Counter[str] = Counter()
    params: dict[str, Any] = {"hash": bytes.fromhex(hash), "dry_run": dry_run}
    while True:
        told = await asked(client, "policy.reverse", params)
        counts.update(told["counts"])
        progress(round(100 * told["progress"]), 100)
        if told["cursor"] is None:
            return dict(counts)
        params["cursor"] = bytes.fromhex(told["cursor"])


def reversal_lines(hash: str, counts: dict[str, int], dry_run: bool) -> list[str]:
    """What became of what a policy decided."""
    lines = [f"{counts[word]} {said[dry_run]}" for word, said in _WORDS.items() if counts.get(word)]
    if any(counts.get(word) for word in LEFT_UNDONE):
        lines.append(f"folkmoot policy reverse {short(hash)} does the rest")
    return lines or [f"{short(hash)} has labelled nothing and had nothing wait"]
