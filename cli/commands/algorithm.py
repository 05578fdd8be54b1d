"""`folkmoot algorithm`: in which order a feed stands, and what comes into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, lazy_target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.numbers import counted
from folkmoot.cli.output import Output, json_option, utc_text
from folkmoot.cli.social.algorithms import (
    KIND,
    Called,
    CalledType,
    algorithm_called,
    algorithms_of,
    as_toml,
    checked_name,
    read_file,
)
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.own_key import own_key, own_key_if_any
from folkmoot.cli.social.writing import Stated, Statement, report_stated, state
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.ranking.shipped import SHIPPED
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group()
def command() -> None:
    """Write, show and check feed algorithms: what comes into a feed, and in which order.

    An algorithm is a file that says where posts come from, which stay, and what they are worth. Yours are
    public; anybody can read a feed by them: `folkmoot timeline home @marit --by did:key:z6Mk…/NAME`. Some
    come with every node: latest, best, discover.
    """


@command.command(epilog=examples("folkmoot algorithm ls", "folkmoot algorithm ls --of @marit --json"))
@click.option("--of", "whose", type=WhoType(), help="Whose. [default: your own]")
@speaker_options
def ls(whose: Who | None, speaker: Speaker) -> None:
    """List the algorithms that come with every node, and those of an account."""
    own = own_key_if_any(speaker.key_file) if whose is None else None

    async def talk(client: Client) -> tuple[bytes | None, dict[str, Cell]]:
        owner = own.owner if own is not None else None
        if whose is not None:
            owner = await whose.found(client)
        return owner, {} if owner is None else await algorithms_of(client, owner)

    owner, cells = converse(speaker.target, talk)
    told: list[dict[str, Any]] = [
        {"algorithm": name, "title": document["title"]} for name, document in SHIPPED.items()
    ]
    for name, cell in cells.items():
        if owner is not None and "deleted" not in cell.winner.body:
            title = cell.winner.body["document"]["title"]
            told.append(
                {"algorithm": str(Called(name, owner)), "title": title, "version": cell.winner.id.hex()}
            )
    value = {"account": None if owner is None else account_to_text(owner), "algorithms": told}
    speaker.output.result(value, [f"{each['algorithm']}  {each['title']}" for each in told])


@command.command(
    epilog=examples(
        "folkmoot algorithm show best > mine.toml", "folkmoot algorithm show did:key:z6Mk…/tea --json"
    )
)
@click.argument("algorithm", type=CalledType())
@lazy_target_options
@json_option
def show(algorithm: Called, find_target: Callable[[], Target], output: Output) -> None:
    """Show ALGORITHM as a file that `put` takes."""
    told: dict[str, Any] = {"algorithm": str(algorithm)}
    if algorithm.owner is None:
        document: Any = SHIPPED[algorithm.name]
    else:
        record = converse(find_target(), lambda client: algorithm_called(client, algorithm)).winner
        document = record.body["document"]
        told |= {"version": record.id.hex(), "time": utc_text(record.stamp)}
    output.result({**told, "document": document}, as_toml(document))


@command.command(epilog=examples("folkmoot algorithm check mine.toml"))
@_file
@json_option
def check(file: Path, output: Output) -> None:
    """Check FILE without publishing it; no node is needed."""
    document = read_file(file)
    sources, terms = len(document["sources"]), len(document["terms"])
    line = f"{file} is an algorithm of {counted(sources, 'source')} and {counted(terms, 'term')}"
    output.result({"file": str(file), "document": document}, line)


@command.command(
    epilog=examples("folkmoot algorithm put mine.toml", "folkmoot algorithm put x.toml --name tea")
)
@_file
@click.option("--name", help="What it is called from now on. [default: the file's name]")
@speaker_options
def put(file: Path, name: str | None, speaker: Speaker) -> int:
    """Publish FILE as an algorithm of yours, or as its next version."""
    called = checked_name(file.stem if name is None else name)
    document = read_file(file)
    signer = own_key(speaker.key_file, speaker.output)
    statement = Statement(KIND, called.encode(), {"document": document})
    stated = converse(speaker.target, lambda client: state(client, signer, statement, speaker.level))
    algorithm = str(Called(called, signer.owner))
    return report_stated(speaker.output, stated, {"algorithm": algorithm}, algorithm)


@command.command(epilog=examples("folkmoot algorithm rm tea"))
@click.argument("name")
@speaker_options
def rm(name: str, speaker: Speaker) -> int:
    """Take back your algorithm NAME; its last versions stay readable in its history."""
    signer = own_key(speaker.key_file, speaker.output, make=False)
    called = Called(checked_name(name), signer.owner)

    async def talk(client: Client) -> Stated:
        await algorithm_called(client, called)
        return await state(client, signer, Statement(KIND, name.encode(), {"deleted": True}), speaker.level)

    stated = converse(speaker.target, talk)
    return report_stated(speaker.output, stated, {"algorithm": str(called)}, f"removed {name}")


@command.command(epilog=examples("folkmoot algorithm history did:key:z6Mk…/tea"))
@click.argument("algorithm", type=CalledType())
@lazy_target_options
@json_option
def history(algorithm: Called, find_target: Callable[[], Target], output: Output) -> None:
    """Show the versions of ALGORITHM, the newest first; the 16 newest earlier ones are kept."""
    if algorithm.owner is None:
        raise OperatorError(f"{algorithm} comes with the node and has no history")

    async def talk(client: Client) -> Cell:
        assert algorithm.owner is not None, "see above"
        cell = (await algorithms_of(client, algorithm.owner)).get(algorithm.name)
        if cell is None:
            raise OperatorError(f"{algorithm} never was", hint="folkmoot algorithm ls")
        return cell

    cell = converse(find_target(), talk)
    versions = [_version(record) for record in (*cell.survivors, *cell.history)]
    lines = [f"{each['time']}  {each['version']}  {each['title'] or '(removed)'}" for each in versions]
    output.result({"algorithm": str(algorithm), "versions": versions}, lines)


def _version(record: Record) -> dict[str, Any]:
    document = record.body.get("document")
    return {
        "version": record.id.hex(),
        "time": utc_text(record.stamp),
        "title": None if document is None else document["title"],
        "document": document,
    }
