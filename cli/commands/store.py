"""`folkmoot store`: look into a node's store, and write it anew without what it no longer holds."""

from __future__ import annotations

from pathlib import Path

import click
from folkmoot.cli.accounts import AccountType
from folkmoot.cli.config_option import home
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.post_names import PostItem
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.limits import MIB
from folkmoot.storage.lmdb_engine import LmdbEngine, audit
from folkmoot.storage.lmdb_reader import open_at_rest
from folkmoot.storage.store import Store
from folkmoot.storage.verify import VerifyReport
from folkmoot.storage.verify import verify as verify_store

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=home,
    show_default="the node's usual directory",
    help="The node's data directory.",
)


@click.group()
def command() -> None:
    """Look into a node's store, and write it anew without what it no longer holds."""


@command.command(
    epilog=examples(
        "folkmoot store verify --data /var/lib/folkmoot", "folkmoot store verify --signatures --json"
    )
)
@data_option
@click.option("--signatures", is_flag=True, help="Check every record's signature too.")
@json_option
def verify(data: Path, signatures: bool, output: Output) -> int:
    """Check everything in a store: pages, checksums, cells, log, sums, counts and hints.

    The node must not run. A directory or a disk that can only be read is checked as well.

    Exit code 1 when something is not as it must be.
    """
    _require_store(data)
    problems = audit(data)
    if problems:
        output.result(
            {"ok": False, "pages": problems},
            [f"{len(problems)} pages are damaged; cells were not looked at", *problems],
        )
        return FAILED
    engine, writable = _open(data, output)
    try:
        with progress_bar("cells", quiet=output.as_json) as show:
            report = verify_store(engine, signatures=signatures, progress=show)
    finally:
        engine.close()
    output.result({**report.to_json(), "read_only": not writable}, _lines(report))
    return OK if report.ok else FAILED


@command.command(epilog=examples("folkmoot store usage --data /var/lib/folkmoot --json"))
@data_option
@json_option
def usage(data: Path, output: Output) -> int:
    """Show how much of a store's file is live, and whose store it is."""
    _require_store(data)
    engine, writable = _open(data, output)
    try:
        owner = Store(engine, owner=None).owner
        used = engine.usage()
    finally:
        engine.close()
    free_bytes = max(0, used.file_bytes - used.live_bytes)
    output.result(
        {
            "node": owner.node.hex(),
            "cluster": owner.cluster,
            "live_bytes": used.live_bytes,
            "free_bytes": free_bytes,
            "file_bytes": used.file_bytes,
            "read_only": not writable,
        },
        [
            f"node {owner.node.hex()} of cluster {owner.cluster}",
            f"live {used.live_bytes / MIB:.1f} MiB, free for reuse {free_bytes / MIB:.1f} MiB, "
            f"file {used.file_bytes / MIB:.1f} MiB",
        ],
    )
    return OK


@command.command(epilog=examples("folkmoot store compact --data /var/lib/folkmoot"))
@data_option
@json_option
def compact(data: Path, output: Output) -> int:
    """Write a store anew: only its rows, and no byte of what was deleted.

    The node must not run. The disk needs room for the new file beside the old one, which it replaces in one
    step at the end; a compaction that is cut off at any point has changed nothing, and can be run again. The
    search index is removed with it; the node makes it anew when it starts.
    """
    # Imported here so that a command's help need not wait for it.
    from folkmoot.storage.compaction import compact as compact_store

    _require_store(data)
    with progress_bar("rows", quiet=output.as_json) as show:
        done = compact_store(data, progress=show)
    saved = done.before_bytes - done.after_bytes
    output.result(
        {
            "rows": done.rows,
            "before_bytes": done.before_bytes,
            "after_bytes": done.after_bytes,
            "saved_bytes": saved,
            "sequence": done.sequence,
        },
        f"{done.rows} rows: {done.before_bytes / MIB:.1f} MiB before, {done.after_bytes / MIB:.1f} MiB now, "
        f"{saved / MIB:.1f} MiB saved; nothing that was deleted before is left in the file",
    )
    return OK


@command.command(
    epilog=examples(
        "folkmoot store scrub --account did:key:z6Mk…",
        "folkmoot store scrub --account did:key:z6Mk… --post 0192f0c1a2b37c4d8e5f60718293a4b5 --json",
        "folkmoot store scrub --account did:key:z6Mk… --text 'a sentence of it' --also backups",
        "folkmoot store scrub --account did:key:z6Mk… --medium holiday.jpg",
    )
)
@data_option
@click.option("--account", type=AccountType(), required=True, help="Whose deleted posts.")
@click.option("--post", "item", type=PostItem(), help="Only this one: its item, in hexadecimal.")
@click.option("--text", "texts", multiple=True, help="A text to look for besides. May be repeated.")
@click.option(
    "--medium",
    "media",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A picture, sound or film, pieces of which to look for besides. May be repeated.",
)
@click.option(
    "--also",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="A file or folder, such as backups, to search besides. May be repeated.",
)
@json_option
def scrub(
    data: Path,
    account: bytes,
    item: bytes | None,
    texts: tuple[str, ...],
    media: tuple[Path, ...],
    also: tuple[Path, ...],
    output: Output,
) -> int:
    """Search a replica's files, byte by byte, for what an account deleted.

    Of the account's media none may lie there, kept, half uploaded or as a copy, but those that its posts and
    profile still show.

    The node may run, unless its directory can only be read. Exit code 0 says that it is proven that nothing
    is left: nothing was found, and the store was compacted after every one of the deletions that this replica
    knows of, and after the last time that ranges moved away from it. Exit code 3 says that nothing was found,
    and that either pieces too small to be told may be left in pages that are free for reuse
    (`folkmoot store compact`), or no deletion is known here, so that nothing is proven.
    Exit code 1 says that something is left, or that the post is not deleted on this replica.
    """
    from folkmoot.cli.scrubbing import lines_of, scrub_replica

    _require_store(data)
    with progress_bar("bytes", quiet=output.as_json) as show:
        report = scrub_replica(data, account, item, [text.encode() for text in texts], media, also, show)
    output.result(report.to_json(), lines_of(report, data))
    return {"proven": OK, "searched": DEGRADED, "unknown": DEGRADED}.get(report.verdict, FAILED)


def _require_store(data: Path) -> None:
    """Looking must not make a store where there was none."""
    if not (data / "store" / "data.mdb").exists():
        raise OperatorError(f"there is no store in {data}", hint="folkmoot config show")


def _open(data: Path, output: Output) -> tuple[LmdbEngine, bool]:
    """The store, and whether it can be written, which is said when it cannot."""
    engine, writable = open_at_rest(data)
    if not writable:
        output.note(f"{data} cannot be written; it is only read")
    return engine, writable


def _lines(report: VerifyReport) -> list[str]:
    lines = [f"{finding.table} {finding.where}: {finding.what}" for finding in report.findings]
    if report.findings_left_off:
        lines.append(f"… and {report.findings_left_off} more")
    verdict = "sound" if report.ok else f"{len(report.findings) + report.findings_left_off} findings"
    lines.append(
        f"{report.cells} cells, {report.log} log rows, {report.blocks} blocks, {report.counts} counts, "
        f"{report.hints} hints, {report.signatures} signatures checked: {verdict}"
    )
    return lines
