"""`folkmoot doctor`: what is wrong with a node, and what to do next."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from folkmoot.cli.config_option import CONFIG_NAME, ConfigChoice, home
from folkmoot.cli.connection import Target, ask, lazy_target_options
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.sealed_state import sealed_in, sealed_warnings

_SIGNS = {"well": "ok   ", "watch": "watch", "wrong": "WRONG", "unknown": "?    "}


@click.command(
    epilog=examples(
        "folkmoot doctor",
        "folkmoot doctor --data /var/lib/folkmoot",
        "folkmoot doctor --config /var/lib/folkmoot/folkmoot.toml --json",
        "folkmoot doctor --node 10.0.0.1:7000 --ca ca.crt",
    )
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A data directory. [default: the one of --config, or the node's usual directory]",
)
@operator_option
@lazy_target_options
@json_option
def command(
    data: Path | None, operator: Path | None, find_target: Callable[[], Target], output: Output
) -> int:
    """Explain what is wrong with a node, and what to do next.

    Looks at a data directory (identity, disk, certificates, lock, and of a stopped node the store and what it
    remembers of its peers), at the node that runs on it, or at a running node elsewhere (clock, whether its
    disk has all it acknowledged, its peers, room and damage; operators are told what is sealed there, too).
    Nothing is changed.

    Exit code 3 says that there is something to watch, 1 that something is wrong. What would take long to look
    at is `?`, with the command that does, and counts for neither.
    """
    # Imported here so that a command's help need not wait for certificates and stores.
    from folkmoot.cli.diagnosis import WRONG, Finding, is_held, look_at_directory

    chosen = click.get_current_context().params
    elsewhere = bool(chosen.get("nodes") or chosen.get("cluster"))
    file = _config_file(data, chosen.get("config_file"))
    config = None if file is None else ConfigChoice(file, ()).load().config
    findings: list[Finding] = []
    if not elsewhere or data is not None:
        directory = data or (config.node.data if config else home())
        if not directory.exists():
            raise OperatorError(f"there is no node in {directory}", hint="folkmoot init")
        findings += look_at_directory(directory, config)
        findings.append(Finding("sealed", *sealed_in(directory)))
        if not elsewhere and is_held(directory):
            findings += _look_at(_running_on(directory, config), operator)
    if elsewhere:
        findings += _look_at(find_target(), operator)
    states = {finding.state for finding in findings}
    verdict = "wrong" if WRONG in states else "watch" if "watch" in states else "well"
    output.result(
        {"state": verdict, "findings": [finding.to_json() for finding in findings]},
        [line for finding in findings for line in _lines(finding)],
    )
    return {"wrong": FAILED, "watch": DEGRADED, "well": OK}[verdict]


def _lines(finding: Any) -> list[str]:
    line = f"{_SIGNS[finding.state]}  {finding.check:<12}  {finding.sentence}"
    return [line, f"       {'':<12}  next: {finding.next}"] if finding.next else [line]


def _config_file(data: Path | None, given: Path | None) -> Path | None:
    """The configuration that was named, or lies in the directory as `init` places it."""
    if given is not None:
        return given
    file = (data or home()) / CONFIG_NAME
    return file if file.is_file() else None


def _running_on(directory: Path, config: Any) -> Target | None:
    """The node that runs on a data directory; None while it does not say where it listens."""
    from folkmoot.node.data_directory import DataDirectory

    ready = DataDirectory(directory).previous()
    if ready is None:
        return None
    if config is None:
        ca = directory / "tls" / "ca.crt"
        return Target((ready.address,), ca if ca.exists() else None)
    return Target((ready.address,), config.tls.ca if config.tls.mode == "mutual" else None)


def _look_at(target: Target | None, operator: Path | None) -> list[Any]:
    from folkmoot.cli.clients import operator_of
    from folkmoot.cli.diagnosis import WATCH, WRONG, Finding, look_at_running

    if target is None:
        return [Finding("running", WRONG, "the node does not serve clients yet", "look at its log")]
    try:
        before_ms = time.time() * 1000
        there_ms = ask(target, "ping")["time_ms"]
        off_ms = there_ms - (before_ms + time.time() * 1000) / 2
        status = ask(target, "cluster.status", operator=operator_of(target, operator))
        warnings = [Finding("sealed", WATCH, each) for each in sealed_warnings(status["node"])]
        return [*look_at_running(status, off_ms), *warnings]
    except Unreachable as error:
        return [Finding("running", WRONG, str(error), "look at the node's log, then folkmoot start")]
