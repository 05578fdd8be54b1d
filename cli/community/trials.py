"""`folkmoot policy preview`, `shadow` and `reverse`: what a policy would do, and taking back what it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.community.asking import asked, talk
from folkmoot.cli.community.documents import hash_named
from folkmoot.cli.community.previewing import document_put, preview_lines, preview_of, shadow_lines
from folkmoot.cli.community.reversing import LEFT_UNDONE, reversal_lines, reversed_by
from folkmoot.cli.connection import Target, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.moderation.bounds import PREVIEW_POSTS

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@click.command(
    epilog=examples(
        "folkmoot policy preview policy.toml", "folkmoot policy preview policy.toml --posts 5000 --json"
    )
)
@click.argument("policy", metavar="FILE")
@click.option(
    "--posts",
    type=click.IntRange(1, PREVIEW_POSTS),
    default=100_000,
    show_default=True,
    help="Replay at most so many, the latest that the asked node has judged.",
)
@operator_option
@target_options
@json_option
def preview(policy: str, posts: int, operator: Path | None, target: Target, output: Output) -> int:
    """Show what the policy in FILE would change, on posts that were judged before.

    They are judged again as they stood then, by the policy in force and by this one. In place of a FILE, a
    policy that the nodes have may be named by how its hash begins. Its last line is what activates it. Exit
    code 3 says that something was found that takes a reason.
    """
    with progress_bar("posts", quiet=output.as_json) as progress:
        report = talk(target, operator, lambda client: preview_of(client, policy, posts, progress))
    output.result(report, preview_lines(report))
    return DEGRADED if report["blocks"] else OK


@click.command(
    epilog=examples("folkmoot policy reverse 3f1c9a0be2d4 --dry-run", "folkmoot policy reverse 3f1c9a0be2d4")
)
@click.argument("policy", metavar="HASH")
@click.option("--dry-run", is_flag=True, help="Count what would be taken back, and take nothing back.")
@operator_option
@target_options
@json_option
def reverse(policy: str, dry_run: bool, operator: Path | None, target: Target, output: Output) -> int:
    """Take back what a policy labelled and had wait, after it was rolled back.

    Left as they are: posts that people have decided about, and what the policy in force says as well. What
    was refused is nowhere kept. It may be broken off and done again. Exit code 3 says that not all could be
    taken back.
    """
    hash = talk(target, operator, lambda client: hash_named(client, policy))
    return take_back(hash, dry_run, operator, target, output)


def take_back(hash: str, dry_run: bool, operator: Path | None, target: Target, output: Output) -> int:
    """Take back what a policy decided, and say so; the exit code."""
    with progress_bar("%", quiet=output.as_json) as progress:
        counts = talk(target, operator, lambda client: reversed_by(client, hash, dry_run, progress))
    output.result(
        {"policy": hash, "dry_run": dry_run, "counts": counts}, reversal_lines(hash, counts, dry_run)
    )
    return DEGRADED if any(counts.get(word) for word in LEFT_UNDONE) else OK


@click.command(
    epilog=examples(
        "folkmoot policy shadow policy.toml", "folkmoot policy shadow", "folkmoot policy shadow off"
    )
)
@click.argument("policy", metavar="[FILE|off]", required=False)
@operator_option
@target_options
@json_option
def shadow(policy: str | None, operator: Path | None, target: Target, output: Output) -> None:
    """Have one node judge by the policy in FILE as well, without effect; or show what came of it.

    It is the node that is asked, and it goes on after a restart, until `off`. In place of a FILE, a policy
    that the nodes have may be named by how its hash begins. Without either it shows what that policy would
    have done, and since when.
    """

    async def conversation(client: Client) -> dict[str, Any] | None:
        params: dict[str, Any] = {}
        if policy == "off":
            params["off"] = True
        elif policy is not None:
            params["hash"] = bytes.fromhex((await document_put(client, policy)).hash)
        found: dict[str, Any] | None = (await asked(client, "policy.shadow", params))["shadow"]
        return found

    told = talk(target, operator, conversation)
    output.result({"shadow": told}, shadow_lines(told))
