"""`folkmoot policy`: by which policy the cluster's nodes judge what people write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.community.asking import asked, decide, reason_option, short, talk
from folkmoot.cli.community.checking import check
from folkmoot.cli.community.documents import (
    Document,
    document_named,
    file_named,
    hash_named,
    lines_of_difference,
    named_differences,
    read_file,
)
from folkmoot.cli.community.layers import layer_lines, told_layers, write_layers
from folkmoot.cli.community.previewing import HashType, acknowledgements
from folkmoot.cli.community.telling import counted, log_line, node_lines, policy_line, proposal_lines
from folkmoot.cli.community.trials import preview, reverse, shadow, take_back
from folkmoot.cli.connection import Target, target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

POLL_S: Final = 0.1
WAIT_MAX_S: Final = 600.0

wait_option: Callable[..., Any] = click.option(
    "--wait",
    "wait_s",
    type=Duration(0.0, WAIT_MAX_S),
    default="10s",
    show_default=True,
    help="For how long to wait until all nodes judge by it.",
)


@click.group()
def command() -> None:
    """Change by which policy all nodes judge, and see which do.

    A policy that was activated goes before the file that each node has (gate.policy). One whose rules refuse
    what none refused before is proposed first, and in force once a second person has confirmed it.
    """


@command.command(
    epilog=examples(
        "folkmoot policy activate policy.toml --preview 5d20… --reason 'a wave of spam'",
        "folkmoot policy activate policy.toml --preview 5d20… --canary 10",
        "folkmoot policy activate policy.toml --preview 5d20… --acknowledge never_matches='rare, and grave'",
        "folkmoot policy activate policy.toml --preview 5d20… --replaces 4 --json",
    )
)
@click.argument("policy", metavar="FILE")
@click.option(
    "--preview",
    "previewed",
    type=HashType(),
    metavar="HASH",
    help="The preview that it is activated after, see `folkmoot policy preview`.",
)
@click.option(
    "--acknowledge",
    "acknowledged",
    multiple=True,
    callback=acknowledgements,
    metavar="NAME=REASON",
    help="Why something is meant that the preview found; may be given several times.",
)
@click.option(
    "--canary",
    "percent",
    type=click.IntRange(1, 99),
    help="Judge this percentage of the accounts by it, the others as before.",
)
@click.option(
    "--replaces",
    type=click.IntRange(0),
    metavar="EPOCH",
    help="The epoch it is to follow; when there is another one, nothing is done. [default: the present one]",
)
@wait_option
@reason_option
@operator_option
@target_options
@json_option
def activate(
    policy: str,
    previewed: bytes | None,
    acknowledged: dict[str, str],
    percent: int | None,
    replaces: int | None,
    wait_s: float,
    reason: str,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Put the policy in FILE in force on all nodes, with the layers that it names.

    See what it changes first: `folkmoot policy preview FILE` gives the hash that it is activated with, for a
    day and as long as no other policy comes into force. In place of a FILE, a policy that the nodes have may
    be named by how its hash begins. A canary is put in
    force for all by activating the same again without --canary. Exit code 3 says that not all nodes judge by
    it yet.
    """
    file = Path(policy)
    document = read_file(file)[0] if file.exists() else None

    async def conversation(client: Client) -> dict[str, Any]:
        hash = await hash_named(client, policy) if document is None else document.hash
        if document is not None:
            await asked(client, "policy.put", {"document": document.data})
        epoch = replaces
        if epoch is None:
            epoch = (await asked(client, "policy.status", {}))["policy"]["epoch"]
        params = {"hash": bytes.fromhex(hash), "replaces": epoch, "percent": percent or 100, "reason": reason}
        params |= {"acknowledged": acknowledged} if acknowledged else {}
        params |= {} if previewed is None else {"preview": previewed}
        await decide(client, "policy.activate", params)
        return await _acknowledged(client, wait_s)

    return _say(talk(target, operator, conversation), output)


@command.command(epilog=examples("folkmoot policy confirm 3f1c9a0be2d4 --reason 'read and agreed'"))
@click.argument("policy", metavar="HASH")
@wait_option
@reason_option
@operator_option
@target_options
@json_option
def confirm(
    policy: str, wait_s: float, reason: str, operator: Path | None, target: Target, output: Output
) -> int:
    """Put in force what somebody else has proposed.

    See it first: `folkmoot policy diff active proposed`. For operators and moderators; whoever proposed it
    cannot.
    """

    async def conversation(client: Client) -> dict[str, Any]:
        hash = await hash_named(client, policy)
        seen = (await asked(client, "policy.status", {}))["proposal"]
        if seen is None or seen["hash"] != hash:
            raise OperatorError(f"no proposal of policy {short(hash)} waits", hint="folkmoot policy status")
        output.note(proposal_lines(seen)[0])
        named = {"hash": bytes.fromhex(hash), "percent": seen["percent"], "replaces": seen["replaces"]}
        await decide(client, "policy.confirm", {**named, "reason": reason})
        return await _acknowledged(client, wait_s)

    return _say(talk(target, operator, conversation), output)


@command.command(
    epilog=examples(
        "folkmoot policy rollback --reason 'it labels recipes'",
        "folkmoot policy rollback --reverse-decisions --dry-run",
        "folkmoot policy rollback --reverse-decisions",
    )
)
@click.option(
    "--replaces",
    type=click.IntRange(0),
    metavar="EPOCH",
    help="The epoch that is to be undone; when there is another one, nothing is. [default: the present one]",
)
@click.option(
    "--reverse-decisions", "reverses", is_flag=True, help="Take back what that policy labelled and had wait."
)
@click.option("--dry-run", is_flag=True, help="Roll nothing back, and count what would be taken back.")
@wait_option
@reason_option
@operator_option
@target_options
@json_option
def rollback(
    replaces: int | None,
    reverses: bool,
    dry_run: bool,
    wait_s: float,
    reason: str,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Put the policy before this one back in force on all nodes.

    What was decided by the policy that is rolled back stays as it was decided, unless --reverse-decisions is
    given; then it is as `folkmoot policy reverse` says.
    """
    if dry_run and not reverses:
        raise click.UsageError("--dry-run counts what --reverse-decisions would take back: give both")

    async def conversation(client: Client) -> tuple[str | None, dict[str, Any]]:
        policy = (await asked(client, "policy.status", {}))["policy"]
        if reverses and policy["hash"] is None:
            raise OperatorError(
                "no policy is in force for all nodes, so none decided anything; nothing was rolled back",
                hint="folkmoot policy status",
            )
        if not dry_run:
            epoch = policy["epoch"] if replaces is None else replaces
            await decide(client, "policy.rollback", {"replaces": epoch, "reason": reason})
        return policy["hash"], await _acknowledged(client, wait_s)

    undone, told = talk(target, operator, conversation)
    if undone is None or not reverses:
        return _say(told, output)
    if told["proposal"] is not None and not dry_run:
        raise OperatorError(
            "nothing was taken back: the policy is still in force, and its rollback is proposed",
            hint="folkmoot policy status",
        )
    if not dry_run:
        output.note(f"policy {undone[:12]} is rolled back; what it decided is taken back now")
    return take_back(undone, dry_run, operator, target, output)


@command.command(epilog=examples("folkmoot policy status", "folkmoot policy status --cluster local --json"))
@operator_option
@target_options
@json_option
def status(operator: Path | None, target: Target, output: Output) -> int:
    """Show which policy is in force, and which nodes judge by it.

    Each member is asked. Exit code 3 says that one does not judge by what was decided, with the reason.
    """
    return _say(talk(target, operator, lambda client: asked(client, "policy.status", {})), output)


@command.command(epilog=examples("folkmoot policy log", "folkmoot policy log --json"))
@operator_option
@target_options
@json_option
def log(operator: Path | None, target: Target, output: Output) -> None:
    """Show who changed the policy, when and why, the latest first."""
    told = talk(target, operator, lambda client: asked(client, "community.get", {"current": True}))
    changes = [each for each in told["log"] if "role" not in each]
    lines = [log_line(each) for each in changes]
    none = "no policy was ever activated" if told["policy"]["epoch"] == 0 else "older changes are not kept"
    output.result({"changes": changes}, lines or [none])


@command.command(
    epilog=examples(
        "folkmoot policy show",
        "folkmoot policy show previous > policy.toml",
        "folkmoot policy show 3f1c9a0be2d4 --region eu",
        "folkmoot policy show active --out policies",
    )
)
@click.argument("policy", default="active")
@click.option("--region", help="Show only the layers that are in force in this region.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the layers as files into this folder, over none that is there.",
)
@operator_option
@target_options
@json_option
def show(
    policy: str,
    region: str | None,
    folder: Path | None,
    operator: Path | None,
    target: Target,
    output: Output,
) -> None:
    """Show the document of POLICY: `active`, `previous`, `proposed`, or how its hash begins.

    One in layers is shown layer by layer, the widest first: the base, what regions add, what the community
    adds to that.
    """
    found = talk(target, operator, lambda client: document_named(client, policy))
    layers = found.layers(region)
    text = list(layers.values())[-1].decode(errors="replace")
    told = {"hash": found.hash, "document": text, "layers": told_layers(layers)}
    if folder is None:
        output.result(told, layer_lines(layers))
        return
    written = write_layers(layers, folder)
    output.result({**told, "written": written}, [f"written: {each}" for each in written])


@command.command(
    epilog=examples("folkmoot policy diff active proposed", "folkmoot policy diff active policy.toml --json")
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@operator_option
@target_options
@json_option
def diff(before: str, after: str, operator: Path | None, target: Target, output: Output) -> None:
    """Show what B does that A does not: lists, patterns and rules by their ids, then line by line.

    Each is a file, `active`, `previous`, `proposed`, or how the hash of a policy begins.
    """

    named = (before, after)
    files = [file_named(each) for each in named]

    async def conversation(client: Client) -> list[Document]:
        pairs = zip(files, named, strict=True)
        return [file or await document_named(client, each) for file, each in pairs]

    old, new = talk(target, operator, conversation) if None in files else files
    assert old is not None and new is not None, "whatever is no file was asked for"
    by_id, lines = named_differences(old, new), lines_of_difference(old, new)
    heading = [
        f"{sort}: {how} {', '.join(ids)}"
        for sort, changes in by_id.items()
        for how, ids in changes.items()
        if ids
    ]
    told = {"before": old.hash, "after": new.hash, "changes": by_id, "lines": lines}
    output.result(told, [*heading, *lines] if lines else [f"both are {short(old.hash)}"])


async def _acknowledged(client: Client, wait_s: float) -> dict[str, Any]:
    """How things stand once all nodes judge by what was decided, or the time is over."""
    import trio

    ends = trio.current_time() + wait_s
    while True:
        told = await asked(client, "policy.status", {})
        if told["acknowledged"] == len(told["nodes"]) or trio.current_time() >= ends:
            return told
        await trio.sleep(POLL_S)


def _say(told: dict[str, Any], output: Output) -> int:
    late = told["acknowledged"] < len(told["nodes"])
    told["reasons"] = [
        *([f"{counted(told)} nodes judge by what was decided"] if late else []),
        *([] if told["current"] else ["too few seats answer: this is what the asked node knew"]),
    ]
    lines = [policy_line(told["policy"]), *proposal_lines(told["proposal"]), *node_lines(told)]
    output.result(told, [*lines, *told["reasons"][late:]])
    return DEGRADED if told["reasons"] else OK


for each in (check, preview, shadow, reverse):
    command.add_command(each)
