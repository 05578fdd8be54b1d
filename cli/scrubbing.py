"""What `folkmoot store scrub` does beside searching: which files, and in what words it tells what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from folkmoot.cli.progress import OnProgress
from folkmoot.protocol.limits import MIB
from folkmoot.storage.lmdb_reader import LmdbReader, check_at_rest
from folkmoot.storage.scrub import ScrubReport, scrub

SHOWN_MAX = 20


def scrub_replica(
    data: Path,
    account: bytes,
    item: bytes | None,
    texts: Sequence[bytes],
    also: Iterable[Path],
    progress: OnProgress,
) -> ScrubReport:
    """Search everything that the store in `data` keeps, and what else is named; see `scrub`."""
    check_at_rest(data)
    reader = LmdbReader(data)
    try:
        files = [file for folder in (data / "store", *also) for file in _files(folder)]
        return scrub(reader, files, account, item, texts, progress=progress)
    finally:
        reader.close()


def _files(place: Path) -> list[Path]:
    return sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]


def lines_of(report: ScrubReport, data: Path) -> list[str]:
    """The report in words: what was found, what was looked at, and what could not be."""
    lines = [
        f"{remain.file}, byte {remain.offset}: {remain.what}{_of_post(remain.item)}"
        for remain in report.remains[:SHOWN_MAX]
    ]
    more = len(report.remains) - SHOWN_MAX + report.remains_left_off
    if more > 0:
        lines.append(f"… and {more} more")
    lines.append(f"searched {report.searched_bytes / MIB:.1f} MiB in {len(report.files)} files")
    if report.verdict == "alive":
        return [*lines, "ALIVE: the post is not deleted on this replica"]
    told = f"{report.deleted} deleted posts here, {report.proven} of them from before the last compaction"
    if report.verdict == "proven":
        return [*lines, f"proven: {told}; nothing of them is left"]
    compact = f"folkmoot store compact --data {data} removes it, once the node is stopped"
    lines.append(
        f"could not tell: {report.pieces} beginnings of posts whose rest was overwritten, and whatever has "
        f"lost both its ends, in {report.free_bytes / MIB:.1f} MiB of free pages and between rows; {compact}"
    )
    if report.verdict == "searched":
        return [*lines, f"nothing found: {told}"]
    return [*lines, f"REMAINS: {told}; {len(report.remains) + report.remains_left_off} remains of them found"]


def _of_post(item: str) -> str:
    return f" of post {item}" if item else ""
