"""`folkmoot moderate statements`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.moderating.exporting import gather
from folkmoot.cli.moderating.subjects import reviewer_key
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.social.own_key import key_option


@click.command(
    epilog=examples(
        "folkmoot moderate statements --since 7d --json", "folkmoot moderate statements --territory DE --json"
    )
)
@click.option(
    "--since",
    "since_s",
    type=Duration(0, 3_650 * 86_400),
    default="30d",
    show_default=True,
    help="From how long ago.",
)
@click.option("--territory", "territories", multiple=True, help="Where they apply.  [default: the EEA]")
@key_option
@target_options
@json_option
def statements(
    since_s: float, territories: tuple[str, ...], key_file: Path | None, target: Target, output: Output
) -> int:
    """Write statements of reasons as the European Union's database takes them.

    One for each decision that took something from an author, by people or by gates (what these labelled, held
    and refused), without personal data: accounts, handles and addresses in reasons are left out. Exit code 3
    says that parts of the cluster did not answer.
    """
    since_us = max(0, time.time_ns() // 1000 - int(since_s * 1e6))
    key = reviewer_key(target, key_file, output)

    found = converse(target, lambda client: gather(client, since_us, territories), operator=key)
    words = (each["decision_visibility"][0].rpartition("_")[2].lower() for each in found["statements"])
    lines = [f"{count:,} {word}" for word, count in sorted(Counter(words).items())]
    lines = lines or ["nothing was taken from anybody"]
    if found["missing"]:
        lines.append(f"{len(found['missing'])} ranges did not answer: there may be more")
    if found["silent"]:
        lines.append(f"{len(found['silent'])} nodes did not tell what they refused")
    output.result(found, [*lines, "use --json for the statements themselves"])
    return DEGRADED if found["missing"] or found["silent"] else OK
