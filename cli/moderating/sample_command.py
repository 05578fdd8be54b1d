"""`folkmoot moderate sample`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.moderating.blind import (
    FINE,
    QUIT,
    SKIP,
    Given,
    answer,
    given_by_name,
    labels_in,
    next_one,
    shown,
)
from folkmoot.cli.moderating.subjects import reviewer_key
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.social.own_key import key_option
from folkmoot.cli.social.writing import level_option
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@click.command(
    epilog=examples(
        "folkmoot moderate sample --cluster local",
        "folkmoot moderate sample --json",
        "folkmoot moderate sample --answer NAME --label toxic --json",
        "folkmoot moderate sample --answer NAME --fine --json",
    )
)
@click.option("--answer", "name", help="Answer what was given out under this name.")
@click.option("--pass", "passed", help="Be given another than what was given out under this name.")
@click.option("--fine", is_flag=True, help="Nothing is wrong with it.")
@click.option("--label", "labels", multiple=True, help="What it deserves; may be given several times.")
@key_option
@level_option
@target_options
@json_option
def sample(
    name: str | None,
    passed: str | None,
    fine: bool,
    labels: tuple[str, ...],
    key_file: Path | None,
    level: str,
    target: Target,
    output: Output,
) -> None:
    """Look at posts drawn at random, without being told what became of them.

    A small share of all posts is drawn, let in or not. What a moderator, who is told nothing but the post,
    says of them is how often the policy is wrong, and what a model learns of what nobody complained about. In
    a terminal one post comes after another: answer with labels, `fine`, `skip` or `quit`. Elsewhere one is
    printed, with the name under which it is answered. Nobody is given their own posts, nor what somebody else
    was given a while ago.
    """
    if (fine or labels) and name is None:
        raise Usage("--fine and --label answer something: give its name with --answer")
    if name is not None and fine == bool(labels):
        raise Usage("answer with --fine, or with one --label or more")
    if name is not None and passed is not None:
        raise Usage("what is answered is not passed by: --answer or --pass, not both")
    passing = None if passed is None else given_by_name(passed)
    key = reviewer_key(target, key_file, output)
    if name is not None:
        given, deserved = given_by_name(name), labels_in(",".join(labels) or FINE)
        told = converse(target, lambda client: _answered(client, key, given, deserved, level))
        output.result(told, _sentence(told))
    elif sys.stdin.isatty() and not output.as_json:
        converse(target, lambda client: _one_after_another(client, key, level, output, passing))
    else:
        found, post, known = converse(target, lambda client: _next(client, key, passing))
        value: dict[str, Any] = {"post": None, "labels": list(known)}
        if found is not None and post is not None:
            value |= {"name": found.name, "post": shown(post)[0], "body": post.body}
        output.result(value, ["nothing waits for a blind review"] if post is None else shown(post))


async def _next(
    client: Client, key: KeyPair, passing: Given | None
) -> tuple[Given | None, Record | None, Sequence[str]]:
    await client.auth(key)
    return await next_one(client, passing)


async def _answered(
    client: Client, key: KeyPair, given: Given, labels: Sequence[str], level: str
) -> dict[str, Any]:
    return await answer(client, key, await client.auth(key), given, labels, level)


async def _one_after_another(
    client: Client, key: KeyPair, level: str, output: Output, passing: Given | None
) -> None:
    """Ask about one post after another, until there is none or somebody has had enough.

    Args:
        passing: what was given out before and is not to be looked at.
    """
    proven = await client.auth(key)
    while True:
        given, post, known = await next_one(client, passing)
        if given is None or post is None:
            output.result(None, "nothing waits for a blind review")
            return
        output.result(None, shown(post), paged=False)
        labels = _asked(known, output)
        if labels == QUIT:
            return
        passing = given if labels == SKIP else None
        if not isinstance(labels, str):
            output.note(_sentence(await answer(client, key, proven, given, labels, level)))


def _asked(known: Sequence[str], output: Output) -> list[str] | str:
    """The labels that somebody types, or `SKIP` or `QUIT`; asked again until it is one of these."""
    while True:
        words = click.prompt(f"  {FINE}, {SKIP}, {QUIT}, or labels ({', '.join(known) or 'any'})").strip()
        if words in (SKIP, QUIT):
            return str(words)
        try:
            return labels_in(words)
        except Usage as error:
            output.note(str(error))


def _sentence(told: dict[str, Any]) -> str:
    return f"{told['status']}: {told['post']} is {', '.join(told['labels']) or FINE}"
