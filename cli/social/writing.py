"""Writing a record and saying what became of it; and changing a cell that other devices write, too.

A flag that one device switches off stays on if another device switched it on meanwhile (enable wins), and so
it would if the first had only not looked. So the cell is read first, and the record names what was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.moderating.grounds import grounds_of
from folkmoot.cli.output import Output
from folkmoot.cli.post_names import post_name
from folkmoot.protocol.errors import FORBIDDEN, REFUSED_BY_POLICY, REVOKED_KEY
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.key import KINDS_FLAG, KINDS_PRIVATE
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client, PutResult

LEVELS: Final = ("one", "local_quorum", "quorum", "each_quorum", "all")
EXIT_CODES: Final = {"stored": OK, "duplicate": OK, "held": OK, "refused": FAILED, "uncertain": DEGRADED}

level_option: Callable[..., Any] = click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What to wait for."
)


class Statement(NamedTuple):
    """What is to be so at one key.

    Args:
        kind, item, body: of the record.
        place: under which it lies (34 bytes); None for one's own.
    """

    kind: str
    item: bytes
    body: Mapping[str, Any]
    place: bytes | None = None


class Stated(NamedTuple):
    """What became of a statement.

    Args:
        statement: the same.
        record: what was written; None when it was so already.
        result: the node's answer; None with it.
    """

    statement: Statement
    record: Record | None = None
    result: PutResult | None = None


async def state(client: Client, signer: KeyPair, statement: Statement, level: str) -> Stated:
    """Make something so, unless it is.

    Args:
        client: connected.
        signer: the device's key; what is private is read as its account.
        statement: what.
        level: what the write waits for.

    Raises:
        WireError: the cell could not be read, or the record was refused as a whole.
    """
    if statement.kind in KINDS_PRIVATE:
        await client.auth(signer)
    kind, item, body, place = statement
    (cell,) = await client.get([(place or signer.owner, kind, item)], level="quorum")
    if _is_so(statement, cell):
        return Stated(statement)
    clock = {} if cell is None else {bytes.fromhex(name): stamp for name, stamp in cell["clock"].items()}
    stamp = max(time.time_ns() // 1000, clock.get(signer.account, 0) + 1)
    record = Record.sign(
        signer, author=signer.owner, kind=kind, item=item, body=body, stamp=stamp, seen=clock, place=place
    )
    (result,) = await client.put_records([(record.payload, record.signature)], level)
    return Stated(statement, record, result)


def _is_so(statement: Statement, cell: Mapping[str, Any] | None) -> bool:
    """Whether a cell says already what is to be said, and all devices agree."""
    bodies = [Record.from_wire(frame).body for frame in cell["records"]] if cell is not None else []
    if statement.kind in KINDS_FLAG and statement.body["on"] is False:
        return not any(body["on"] for body in bodies)
    return bodies == [statement.body]


def report(
    output: Output, value: Mapping[str, Any], record: Record, result: PutResult, told: Callable[[str], str]
) -> int:
    """Print what became of a record.

    Args:
        output: where.
        value: what programs are told of it, besides id and outcome.
        record, result: the record and the node's answer.
        told: the line for people, given the status.

    Returns:
        The exit code: 3 when it is kept somewhere, yet not as widely as asked.

    Raises:
        OperatorError: it was refused.
    """
    error = result.error
    outcome = {
        "id": record.id.hex(),
        "account": account_to_text(record.author),
        **value,
        "status": result.status,
        "achieved": result.achieved,
        "verdict": result.verdict,
        "error": error,
    }
    code = EXIT_CODES.get(result.status, FAILED)
    if code == FAILED:
        reason = error["message"] if error else "no reason given"
        raise OperatorError(
            f"{result.status}: {reason}", hint=_hint(record, error), details={"result": outcome}
        )
    said = [error["message"]] if error else []
    output.result(outcome, [told(result.status), *said, *_judged(record, result.verdict)])
    return code


def _judged(record: Record, verdict: Mapping[str, Any] | None) -> list[str]:
    """What the gate did by itself, by which rule, and where its author is told whom to ask."""
    if verdict is None or verdict["action"] == "accept":
        return []
    lines = [f"  {verdict['action']}: {verdict['reason']} ({', '.join(grounds_of(verdict))})"]
    if record.kind == "post":
        lines.append(f"  whom to ask: folkmoot moderate show {post_name(record.author, record.item)}")
    return lines


def report_stated(output: Output, stated: Stated, value: Mapping[str, Any], sentence: str) -> int:
    """Print what became of a statement; see `report`.

    Args:
        output: where.
        stated: the outcome.
        value: what programs are told of it.
        sentence: what is so now.
    """
    if stated.record is None or stated.result is None:
        output.result({"changed": False, **value}, f"nothing was left to do: {sentence}")
        return OK
    value = {"changed": True, **value}
    return report(output, value, stated.record, stated.result, lambda status: f"{status}: {sentence}")


def _hint(record: Record, error: Mapping[str, Any] | None) -> str | None:
    """What to look at when it is the account that is refused, and whom to ask when it is the text."""
    details = {} if error is None else error.get("details") or {}
    if error is not None and error["name"] == REFUSED_BY_POLICY.name and "rule" in details:
        return f"{details['appeal']} ({', '.join(grounds_of(details))})"
    if error is None or error["name"] not in (REVOKED_KEY.name, FORBIDDEN.name):
        return None
    return f"folkmoot user show {account_to_text(record.author)}"
