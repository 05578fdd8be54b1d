"""`folkmoot media sealed`: what sealed lists know, for the experts who have to deal with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.media.files import MediaRef, MediaType, media_name
from folkmoot.cli.moderating.subjects import reviewer_key
from folkmoot.cli.output import Output, json_option, table, utc_text
from folkmoot.cli.progress import progress_bar
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHENTICATED,
    UNKNOWN_METHOD,
    WireError,
)
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.media.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from folkmoot.protocol.client import Client

PATIENCE_S = 60.0
_ALIKE = (BAD_REQUEST, FORBIDDEN, UNAUTHENTICATED, UNKNOWN_METHOD)
NO_EXPERT = "nobody has the role expert: folkmoot role grant ACCOUNT expert"
_COLUMNS = ("node", "state", "sealed", "medium", "list", "distance", "size", "mime", "opened", "case")

_medium: Callable[..., Any] = click.argument("medium", type=MediaType())
_reason: Callable[..., Any] = click.option(
    "--reason", required=True, help="Why: it stands in the custody record, with your account, for ever."
)
_yes: Callable[..., Any] = click.option("--yes", is_flag=True, help="Ask nothing.")


class Answers(NamedTuple):
    """What nodes have answered, each for itself.

    Attributes:
        found: of those that had an answer, by their addresses.
        missing: why others had none.
    """

    found: dict[str, dict[str, Any]]
    missing: dict[str, str]


def ask_each(target: Target, key: KeyPair, ask: Callable[[Client], Awaitable[dict[str, Any]]]) -> Answers:
    """Ask some nodes, one after the other, each about itself; what a node does not have it has no answer to.

    Raises:
        WireError: what none of them would answer otherwise.
    """
    found: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    for address in target.addresses:
        try:
            with suppress_not_found():
                one = replace(target, addresses=(address,))
                found[address] = converse(one, ask, operator=key, patience_s=PATIENCE_S)
        except Unreachable as error:
            missing[address] = str(error)
        except WireError as error:
            if error.kind in _ALIKE:
                raise
            missing[address] = error.message
    return Answers(found, missing)


@contextmanager
def suppress_not_found() -> Iterator[None]:
    """Pass over what a node does not have."""
    try:
        yield
    except WireError as error:
        if error.kind is not NOT_FOUND:
            raise


@click.group("sealed")
def sealed() -> None:
    """Deal with what sealed lists know: see, fetch, hand over, erase.

    It is sealed on the nodes that found it, and each is asked for itself: with --cluster all that run, with
    --node those that are named. Accounts with the role expert do all of this; operators see what is sealed,
    and who has looked.
    """


@sealed.command(
    "ls",
    epilog=examples(
        "folkmoot media sealed ls --cluster local",
        "folkmoot media sealed ls --waiting --node 10.0.0.1:7000 --node 10.0.0.2:7000 --ca ca.crt --json",
    ),
)
@click.option("--waiting", is_flag=True, help="Only what was not handed over yet.")
@key_option
@target_options
@json_option
def list_sealed(waiting: bool, key_file: Path | None, target: Target, output: Output) -> int:
    """List what is sealed, without its bytes.

    Exit code 3 says that a node did not answer, or that nobody has the role expert while something waits.
    """

    async def ask(client: Client) -> dict[str, Any]:
        told = dict(await client.call("sealed.list", {"waiting": waiting}))
        page = told
        while "next" in page:
            page = await client.call("sealed.list", {"waiting": waiting, "after": page["next"]})
            told["items"] += page["items"]
        return told

    answers = ask_each(target, reviewer_key(target, key_file, output), ask)
    if not answers.found:
        raise Unreachable(next(iter(answers.missing.values())), hint=target.hint)
    rows = [_row(node, each) for node, told in answers.found.items() for each in told["items"]]
    count = sum(told["waiting"] for told in answers.found.values())
    experts = max((told["experts"] for told in answers.found.values()), default=0)
    is_stuck = bool(count) and not experts
    lines = table(rows, _COLUMNS) if rows else ["nothing is sealed" if not waiting else "nothing waits"]
    lines += [f"{count} wait to be handed over"] if count else []
    lines += [NO_EXPERT] if is_stuck else []
    lines += [f"{node}: {why}" for node, why in answers.missing.items()]
    value = {"sealed": rows, "waiting": count, "experts": experts, "missing": answers.missing}
    output.result(value, lines)
    return DEGRADED if answers.missing or is_stuck else OK


@sealed.command(epilog=examples("folkmoot media sealed show did:key:z6Mk…/9f86d081… --cluster local --json"))
@_medium
@key_option
@target_options
@json_option
def show(medium: MediaRef, key_file: Path | None, target: Target, output: Output) -> int:
    """Show what is known of a sealed medium, and its custody record: who did what, when and why."""

    async def ask(client: Client) -> dict[str, Any]:
        told = dict(await client.call("sealed.show", _named(medium)))
        page = told
        while "next" in page:
            page = await client.call("sealed.show", {**_named(medium), "first": page["next"]})
            told["entries"] += page["entries"]
        return told

    answers = ask_each(target, reviewer_key(target, key_file, output), ask)
    _require_found(answers, medium)
    told = [{**_row(node, each), "record": _record(each)} for node, each in answers.found.items()]
    output.result(
        {"sealed": told, "missing": answers.missing}, [line for each in told for line in _told(each)]
    )
    return DEGRADED if answers.missing else OK


@sealed.command(
    epilog=examples(
        "folkmoot media sealed fetch did:key:z6Mk…/9f86d081… -o evidence.bin --reason 'for report 17'"
    )
)
@_medium
@click.option(
    "-o",
    "--output-file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where to write it: a new file, which only you may read.",
)
@_reason
@_yes
@key_option
@target_options
@json_option
def fetch(
    medium: MediaRef,
    file: Path,
    reason: str,
    yes: bool,
    key_file: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Fetch a sealed medium from a node that has it, over TLS, and write it to a new file.

    That you did, and why, is in its custody record before the first byte is sent. Having such bytes may be
    an offence where you are: fetch what you have to hand over, and erase the file then.
    """
    from folkmoot.cli.users.erasing import confirm

    key = own_key(key_file, output, make=False)
    if not yes:
        confirm(f"Write what a sealed list knows to {file}, and your account into its record?", output)
    with _new_file(file) as opened:

        async def ask(client: Client) -> dict[str, Any]:
            told = await client.call("sealed.open", {**_named(medium), "reason": reason})
            manifest = Manifest.from_wire(told, "what was opened")
            with progress_bar("bytes", quiet=output.as_json) as progress:
                await _read(client, medium, manifest, told["access"], opened, progress)
            return {"size": manifest.size, "mime": manifest.mime}

        for node in target.addresses:
            with suppress_not_found():
                one = replace(target, addresses=(node,))
                told = converse(one, ask, operator=key, patience_s=PATIENCE_S)
                break
        else:
            raise _nowhere(medium)
    about = {"medium": str(medium), "node": node, "file": str(file), **told}
    output.result(about, f"{file}: {told['mime']}, {told['size']} bytes, from {node}")
    return OK


@sealed.command(
    "hand-over",
    epilog=examples(
        "folkmoot media sealed hand-over did:key:z6Mk…/9f86d081… --case 'CyberTip 12345' "
        "--reason 'reported as the law asks' --cluster local"
    ),
)
@_medium
@click.option("--case", required=True, help="Under which reference: the number that the report was given.")
@_reason
@key_option
@target_options
@json_option
def hand_over(
    medium: MediaRef, case: str, reason: str, key_file: Path | None, target: Target, output: Output
) -> int:
    """Note that somebody competent has a sealed medium now, on every node asked that has it.

    From then on it is kept for as long as `screening.sealed_kept_days` says, and may be erased.
    """
    asked = {**_named(medium), "case": case, "reason": reason}
    return _done(target, own_key(key_file, output, make=False), "sealed.hand_over", asked, medium, output)


@sealed.command(
    epilog=examples(
        "folkmoot media sealed erase did:key:z6Mk…/9f86d081… --reason 'the case is closed' --cluster local"
    )
)
@_medium
@_reason
@_yes
@key_option
@target_options
@json_option
def erase(
    medium: MediaRef, reason: str, yes: bool, key_file: Path | None, target: Target, output: Output
) -> int:
    """Erase a sealed medium that was handed over, on every node asked that has it.

    Its custody record stays, and so does that nobody may upload it there again.
    """
    from folkmoot.cli.users.erasing import confirm

    key = own_key(key_file, output, make=False)
    if not yes:
        confirm(f"Erase {medium} for ever?", output)
    return _done(target, key, "sealed.erase", {**_named(medium), "reason": reason}, medium, output)


def _done(
    target: Target, key: KeyPair, method: str, asked: dict[str, Any], medium: MediaRef, output: Output
) -> int:
    """Have something done at every node that has a medium."""

    async def ask(client: Client) -> dict[str, Any]:
        return dict(await client.call(method, asked))

    answers = ask_each(target, key, ask)
    _require_found(answers, medium)
    rows = [_row(node, each) for node, each in answers.found.items()]
    lines = [f"{each['node']}: {each['medium']} is {each['state'].replace('_', ' ')}" for each in rows]
    lines += [f"{node}: {why}" for node, why in answers.missing.items()]
    output.result({"sealed": rows, "missing": answers.missing}, lines)
    return DEGRADED if answers.missing else OK


async def _read(
    client: Client,
    medium: MediaRef,
    manifest: Manifest,
    access: bytes,
    into: BinaryIO,
    progress: Callable[[int, int], None],
) -> None:
    """Read all chunks of what was opened, compare them with the medium's name, and bring them to disk."""
    whole = hashlib.sha256()
    into.seek(0)
    into.truncate()  # what another node has begun
    for index in range(len(manifest.chunks)):
        asked = {**_named(medium), "access": access, "index": index}
        data = (await client.call("sealed.read", asked))["data"]
        manifest.check(index, data)
        whole.update(data)
        into.write(data)
        progress(into.tell(), manifest.size)
    if whole.digest() != medium.hash:
        raise OperatorError("the bytes that came are not those that the medium is named by")
    into.flush()
    os.fsync(into.fileno())


@contextmanager
def _new_file(file: Path) -> Iterator[BinaryIO]:
    """A file that was not there, which only its owner may read; gone again when something goes wrong."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise OperatorError(f"{file} is there already", hint="-o with a name that nothing has") from error
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as opened:
            yield opened
    except BaseException as error:
        with suppress(FileNotFoundError):
            file.unlink()
        if isinstance(error, OSError):
            raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
        raise


def _named(medium: MediaRef) -> dict[str, Any]:
    return {"account": medium.account, "hash": medium.hash}


def _require_found(answers: Answers, medium: MediaRef) -> None:
    if not answers.found:
        raise OperatorError("; ".join(answers.missing.values())) if answers.missing else _nowhere(medium)


def _nowhere(medium: MediaRef) -> OperatorError:
    return OperatorError(
        f"no node that was asked has sealed {medium}",
        hint="folkmoot media sealed ls, with --node for every node of the cluster",
    )


def _row(node: str, item: dict[str, Any]) -> dict[str, Any]:
    """What is told of a sealed medium, for people and programs."""
    row = {name: each for name, each in item.items() if name not in ("account", "hash", "entries", "next")}
    row |= {"node": node, "medium": media_name(item["account"], item["hash"])}
    return {**row, "sealed": utc_text(item["sealed_us"]) if item["sealed_us"] else None}


def _record(item: dict[str, Any]) -> list[dict[str, Any]]:
    """A custody record, for programs."""
    return [
        {name: account_to_text(each) if name in ("by", "key") else each for name, each in entry.items()}
        for entry in item["entries"]
    ]


def _told(row: dict[str, Any]) -> list[str]:
    """One medium at one node in words."""
    known = [
        f"{name} {row[name]}" for name in ("list", "category", "distance", "size", "mime") if name in row
    ]
    lines = [f"{row['medium']} at {row['node']}: {row['state'].replace('_', ' ')}", f"  {', '.join(known)}"]
    if row["damaged"]:
        lines.append(f"  {row['damaged']} lines of its custody record are damaged")
    for each in row["record"]:
        words = [utc_text(each["at_us"]), each["what"].replace("_", " ")]
        words += [f"by {each['by']}"] if "by" in each else []
        words += [f"as {each['case']}"] if "case" in each else []
        words += [f"({each['reason']})"] if "reason" in each else []
        lines.append(f"  {' '.join(words)}")
    return lines
