"""What `folkmoot store scrub` does beside searching: which files, and in what words it tells what it saw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from folkmoot.cli.progress import OnProgress
from folkmoot.protocol.limits import MIB
from folkmoot.storage.lmdb_reader import open_beside
from folkmoot.storage.media.remains import samples, unshown
from folkmoot.storage.scrub import ScrubReport, scrub
from folkmoot.storage.search.files import FOLDER, FileIndexes

SHOWN_MAX = 20
_UNKNOWN = (
    "this replica knows of no such deletion; either it has not heard of it yet, or it does not hold that "
    "range (any more), or nothing was deleted, or the account is another one"
)


def scrub_replica(
    data: Path,
    account: bytes,
    item: bytes | None,
    texts: Sequence[bytes],
    media: Iterable[Path],
    also: Iterable[Path],
    progress: OnProgress,
) -> ScrubReport:
    """Search everything that the store in `data` keeps, and what else is named; see `scrub`.

    Args:
        media: copies of media, of which samples are looked for.
    """
    wanted = [*texts, *(piece for file in media for piece in samples(file))]
    reader = open_beside(data)
    try:
        folders = (data / "store", data / FOLDER, *also)
        files = [file for folder in folders if folder.exists() for file in _files(folder)]
        gone = [] if item is not None else unshown(reader, data, account)
        files += gone
        indexes = FileIndexes(data)
        return scrub(reader, files, account, item, wanted, indexes=indexes, unshown=gone, progress=progress)
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
    lines += _beside(report)
    if report.verdict == "unknown":
        return [*lines, f"nothing proven: {_UNKNOWN}"]
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


def _beside(report: ScrubReport) -> list[str]:
    """Of what the verdict does not speak."""
    lines = []
    if report.live:
        lines.append(
            f"{report.live} posts of the account are not deleted on this replica, and nothing is said of "
            "them: compare with what other replicas say, or ask for one with --post"
        )
    if report.moved:
        lines.append(
            "ranges have moved away from this node since its last compaction, and what they left in free "
            "pages may have been deleted elsewhere: folkmoot store compact removes it"
        )
    if report.unsettled:
        lines.append(
            "words that were taken out of the search index may be in its file until the node merges it, "
            "which takes some seconds: search again"
        )
    if report.media:
        lines.append(
            f"{report.media} files of the account's media lie here that nothing known here shows: folkmoot "
            "user purge has them gone from all nodes at once, else they are given up after the grace period"
        )
    if report.leftovers:
        lines.append(
            f"{report.leftovers} whole records were found of posts of the account that this store knows "
            "nothing of (any more)"
        )
    return lines


def _of_post(item: str) -> str:
    return f" of post {item}" if item else ""
