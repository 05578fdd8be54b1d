"""`folkmoot import`: bring a file of posts into a cluster."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.config_option import user_home
from folkmoot.cli.connection import Target, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, INTERRUPTED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.protocol.ring.levels import LEVELS

if TYPE_CHECKING:
    from folkmoot.cli.importing.importer import ImportPlan
    from folkmoot.protocol.client import Client
    from folkmoot.protocol.identity import KeyPair


class NothingUsable(OperatorError):
    """Every line of a file was skipped.

    Args:
        file: which.
        value: the result that is printed otherwise.
    """

    def __init__(self, file: Path, value: dict[str, Any]) -> None:
        reason = next(iter(value["reasons"]), "").removeprefix("skipped: ")
        super().__init__(
            f"{file}: none of its {value['read']:,} lines can be used; the commonest reason: {reason}",
            hint=f"see {value['report']}; `folkmoot import --help` says what a line has to be",
            details={"result": value},
        )


@click.command(
    epilog=examples(
        "folkmoot import posts.jsonl.gz",
        "folkmoot import posts.jsonl --cluster local --level all --limit 10000",
        "folkmoot import posts.jsonl --node 10.0.0.7:7400 --ca ca.crt --operator operator.key --json",
    )
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What to wait for."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read so many lines. [default: all]")
@click.option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the master key is from which authors' keys follow. [default: among your own keys]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where journal, checkpoint and report go. [default: with the cluster]",
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An operator's key file: quotas do not slow operators. [default: a local cluster's own]",
)
@click.option("--again", is_flag=True, help="Send everything again, also what an earlier run settled.")
@target_options
@json_option
def command(
    file: Path,
    level: str,
    limit: int | None,
    keys: Path | None,
    state: Path | None,
    operator: Path | None,
    again: bool,
    target: Target,
    output: Output,
) -> int:
    """Bring a file of posts into a cluster.

    FILE has one JSON object a line (.jsonl, or .jsonl.gz): id, author, created_at, text, and where there is
    one reply_to or repost_of, the id of an earlier line. Every author gets a key derived from one master key,
    so importing the same file again stores nothing twice, and an interrupted import goes on where it was.
    One that is done is not sent again, unless you ask for it, or for another --level.

    Exit code 3 says that lines were skipped because they make no records, that records were refused, or that
    the level was not reached for a minute, which ends the import; the report lists them. When no line could
    be used, it is 1.
    """
    import trio
    from folkmoot.cli.clients import journals_of, operator_of
    from folkmoot.cli.importing.authors import open_authors
    from folkmoot.cli.importing.importer import ImportPlan

    def plan(cluster: str) -> ImportPlan:
        return ImportPlan(
            source=file,
            authors=open_authors(keys or user_home()),
            state=state or journals_of(target, cluster),
            cluster=cluster,
            level=level,
            limit=limit,
            again=again,
        )

    return trio.run(
        partial(_import, plan, file, file.stat().st_size, operator_of(target, operator), target, output)
    )


async def _import(
    plan: Callable[[str], ImportPlan],
    file: Path,
    size_bytes: int,
    operator: KeyPair | None,
    target: Target,
    output: Output,
) -> int:
    import trio
    from folkmoot.cli.clients import open_client
    from folkmoot.cli.importing.importer import Importer
    from folkmoot.cli.importing.progress import show_progress

    async with open_client(target) as client:
        exempt = await _is_exempt(client, operator)
        if not exempt:
            output.note(
                "the quotas of accounts and of this address slow this import: an operator's key (--operator)"
                " is exempt"
            )
        cluster = (await client.ready()).cluster
        importer = Importer(client, plan(cluster))
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_stop_on_signal, signals, importer, output)
                if not output.as_json:
                    nursery.start_soon(show_progress, importer.tally, file.name, size_bytes)
                result = await importer.run()
                nursery.cancel_scope.cancel()
    value: dict[str, Any] = {
        **result.tally.summary(result.seconds),
        "stopped": result.stopped,
        "quota_exempt": exempt,
        "cluster": cluster,
        "journal": str(result.journal),
        "report": str(result.report) if result.report else None,
    }
    if value["read"] and value["skipped"] == value["read"]:
        raise NothingUsable(file, value)
    output.result(value, _text(value))
    return _exit_code(value)


async def _is_exempt(client: Client, operator: KeyPair | None) -> bool:
    """Act for the operator where there is one; whether the cluster takes the key for an operator's."""
    if operator is None:
        return False
    return "operator" in (await client.auth(operator))["roles"]


def _exit_code(value: dict[str, Any]) -> int:
    if value["uncertain"]:
        return DEGRADED
    if value["stopped"]:
        return INTERRUPTED
    return DEGRADED if value["refused"] or value["skipped"] else OK


async def _stop_on_signal(signals: AsyncIterator[int], importer: Any, output: Output) -> None:
    async for _number in signals:
        output.note("stopping; run the same import again to go on")
        importer.stop()


def _text(value: dict[str, Any]) -> list[str]:
    figures = ("stored", "duplicate", "held", "refused", "uncertain", "skipped")
    told = ", ".join(f"{value[name]:,} {name}" for name in figures if value[name] or name == "stored")
    lines = [f"{value['read']:,} lines read: {told}, in {value['seconds']:.1f} s ({value['rate']:,.0f}/s)"]
    if value["resumed"] and value["resumed"] == value["read"]:
        lines = [f"already imported: {value['read']:,} lines; --again sends them again"]
    elif value["resumed"]:
        lines.append(f"{value['resumed']:,} lines had been settled by an earlier run")
    if value["unreferenced"]:
        lines.append(
            f"{value['unreferenced']:,} posts refer to a line that was skipped, or does not come before them"
        )
    lines += [f"  {count:,} × {reason}" for reason, count in list(value["reasons"].items())[:10]]
    if value["report"]:
        lines.append(f"each of them is listed in {value['report']}")
    if value["stopped"]:
        lines.append("stopped before the end; run the same import again to go on")
    lines.append(f"acknowledgements are in {value['journal']}")
    return lines
