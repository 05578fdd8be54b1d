"""`folkmoot store`: look into the store of a node that is not running."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
from folkmoot.cli.config_option import home
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.protocol.limits import MIB
from folkmoot.storage.lmdb_engine import LmdbEngine, audit
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
    """Look into the store of a node that is not running."""


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
    engine = _open(data)
    try:
        report = verify_store(engine, signatures=signatures, progress=_progress(output))
    finally:
        engine.close()
    output.result(report.to_json(), _lines(report))
    return OK if report.ok else FAILED


@command.command(epilog=examples("folkmoot store usage --data /var/lib/folkmoot --json"))
@data_option
@json_option
def usage(data: Path, output: Output) -> int:
    """Show how much of a store's file is live, and whose store it is."""
    _require_store(data)
    engine = _open(data)
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
        },
        [
            f"node {owner.node.hex()} of cluster {owner.cluster}",
            f"live {used.live_bytes / MIB:.1f} MiB, free for reuse {free_bytes / MIB:.1f} MiB, "
            f"file {used.file_bytes / MIB:.1f} MiB",
        ],
    )
    return OK


def _require_store(data: Path) -> None:
    """Looking must not make a store where there was none."""
    if not (data / "store" / "data.mdb").exists():
        raise OperatorError(f"there is no store in {data}", hint="folkmoot config show")


def _open(data: Path) -> LmdbEngine:
    """The map is as large as the file is, whatever the cap: nothing is written here."""
    return LmdbEngine(data, cap_bytes=max(MIB, (data / "store" / "data.mdb").stat().st_size))


def _progress(output: Output) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        click.echo(f"\r{done} of {total} cells", err=True, nl=done == total)

    return show if sys.stderr.isatty() and not output.as_json else lambda done, total: None


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
