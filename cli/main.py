"""The command `folkmoot`: a table of commands, each in its own file, imported only when it is run."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import keyword
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, Final

import click
from folkmoot.cli import exit_codes
from folkmoot.cli.errors import Failure, describe
from folkmoot.cli.examples import examples
from folkmoot.cli.output import json_line
from folkmoot.cli.terminal import one_line, visible

COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "A node": {
        "init": "Prepare a data directory and a configuration.",
        "start": "Run a node until it is told to stop.",
        "config": "Check and show a configuration.",
        "keys": "Make and show key files.",
        "cert": "Make the cluster's CA and its nodes' certificates.",
        "doctor": "Explain what is wrong with a node, and what to do next.",
        "store": "Look into a node's store, and write it anew without what it no longer holds.",
        "backup": "Make, check and restore backups.",
    },
    "A cluster": {
        "status": "Show how a cluster is.",
        "metrics": "Show what a node measures of itself.",
        "node": "Show, add, drain, decommission and replace nodes.",
        "join-token": "Make, list and revoke join tokens, with which machines become nodes.",
        "ring": "Show which nodes keep what, and what has still to move.",
        "policy": "Change by which policy all nodes judge, and see which do.",
        "audit": "Find out whether moderation treats groups of posts alike.",
        "role": "Make accounts operators, moderators and experts.",
        "seats": "Show and change which nodes decide what the cluster is.",
        "projection": "Show and rebuild what a node derives for feeds.",
        "import": "Bring a file of posts into a cluster.",
        "check": "Compare what a cluster acknowledged with what it has.",
        "bench": "Measure what a cluster can do.",
    },
    "People": {
        "user": "Create, show, protect, move, purge and close accounts.",
        "media": "Upload, fetch, list and hash the pictures, sound and films that posts show.",
        "post": "Publish a post.",
        "edit": "Put another text in the place of a post's.",
        "delete": "Delete a post and all its versions, for ever.",
        "history": "Show a post and its earlier versions, the newest first.",
        "feed": "Read an account's posts.",
        "timeline": "Read home feeds, threads, tags, lists and bookmarks.",
        "notifications": "Show what others did that concerns you.",
        "search": "Find posts by their words.",
        "trends": "Show which tags more people use just now than on a usual day.",
        "follow-feed": "Watch posts as they are written, edited and deleted.",
        "follow": "Follow an account, so that its posts are in your home feed.",
        "unfollow": "Follow an account no more.",
        "mute": "Mute an account, a word or a thread.",
        "unmute": "Mute an account, a word or a thread no more.",
        "block": "Block an account, so that neither of you is shown the other's posts.",
        "unblock": "Block an account no more.",
        "like": "Like a post, named as `feed` shows it.",
        "repost": "Repost a post, so that it is in the home feeds of those who follow you.",
        "bookmark": "Bookmark a post, named as `feed` shows it.",
        "label": "Put a label on a post, for those who subscribe to you.",
        "labeller": "Choose whose labels you heed, and what becomes of posts that bear them.",
        "algorithm": "Write, show and check feed algorithms: what comes into a feed, and in which order.",
        "list": "Make lists of accounts, show them, and say who is on them.",
    },
    "On this machine": {
        "demo": "Watch a cluster of three regions lose a node, heal and answer.",
        "cluster": "Run, break and mend local clusters of real processes.",
        "moderate": "Review what waits, decide, say why, and train the models that judge texts.",
        "simulate": "Run clusters on virtual time, break them, and check what they promise.",
    },
}


class LazyGroup(click.Group):
    """A group whose commands are modules of `folkmoot.cli.commands`, each with a `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        # `import` is a word of Python's own, so its module is called `import_`.
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name.replace("-", "_")
        module = importlib.import_module(f"folkmoot.cli.commands.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in exit_codes.MEANINGS.items()])


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and end, as JSON when `run` saw `--json` anywhere on the line."""
    if wanted and not context.resilient_parsing:
        version = importlib.metadata.version("folkmoot")
        click.echo(json.dumps({"version": version}) if context.obj else f"folkmoot, version {version}")
        context.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "folkmoot cluster up --nodes 3 --regions eu,us,ap",
        "folkmoot post --cluster local 'Good morning.'",
        "folkmoot status --cluster local",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="The same as --json after the command.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def cli(as_json: bool) -> None:
    """A social feed kept by a crowd of equal nodes.

    Every command takes --json and then prints one line of JSON on standard output, errors included.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every expected error is said in a sentence.

    Args:
        arguments: without the program's name.
    """
    as_json = "--json" in arguments
    try:
        result: Any = cli.main(list(arguments), prog_name="folkmoot", standalone_mode=False, obj=as_json)
    except BaseException as error:
        failure = describe(error)
        if failure is None:
            raise
        _print_failure(failure, as_json=as_json)
        return failure.exit_code
    return result if isinstance(result, int) else exit_codes.OK


def _print_failure(failure: Failure, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(failure.to_json()))
    shown_help = bool(failure.help) and not as_json
    if shown_help:
        click.echo(f"{failure.help}\n", err=True)
    # What a node says is a sentence: a line end in it must not begin a line that looks like one of ours.
    show = one_line if failure.by_a_node else visible
    click.echo(f"folkmoot: {show(failure.message)}", err=True)
    if failure.hint is not None and not shown_help:
        click.echo(visible(f"try: {failure.hint}"), err=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does: what was begun is cleaned up, and `--json` says what happened.

    So does a terminal that is closed.
    """
    signal.raise_signal(signal.SIGINT)


def main() -> None:
    """The console script."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    # A second Ctrl-C while Python is shutting down would only print a traceback.
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(run(sys.argv[1:]))
    sys.exit(exit_codes.INTERRUPTED)
