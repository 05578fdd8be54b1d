"""`folkmoot seats`: which nodes decide on the roster, on who owns what, and on other registers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from folkmoot.cli.connection import Target, ask, target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option, table
from folkmoot.cli.seats import seats_line, seats_reasons, seats_warnings
from folkmoot.protocol.consensus.configuration import SIZES

COLUMNS = ("name", "region", "state", "id")
PATIENCE_S = 30.0


@click.group()
def command() -> None:
    """Show and change which nodes decide what the cluster is.

    The roster, and who owns which range, are agreed upon by 1, 3 or 5 seats. They grow by themselves with the
    cluster and spread over its regions; most of them have to answer for anything to be changed.
    """


@command.command(epilog=examples("folkmoot seats show", "folkmoot seats show --cluster local --json"))
@target_options
@json_option
def show(target: Target, output: Output) -> int:
    """Show how many seats there are, where, and how many may fail.

    Exit code 3 says that so many are silent that nothing can be changed.
    """
    status = ask(target, "cluster.status")
    seats = status["seats"]
    reasons, warnings = seats_reasons(seats), seats_warnings(status)
    lines = [f"configuration {seats['configuration']}", seats_line(seats), *table(seats["holders"], COLUMNS)]
    output.result({**seats, "reasons": reasons, "warnings": warnings}, [*lines, *reasons, *warnings])
    return DEGRADED if reasons else OK


@command.command(
    "set",
    epilog=examples(
        "folkmoot seats set eu-1 us-1 ap-1", "folkmoot seats set --cluster local eu-1 us-2 ap-1 --json"
    ),
)
@click.argument("holders", nargs=-1, required=True, metavar="NODE...")
@operator_option
@target_options
@json_option
def set_(holders: tuple[str, ...], operator: Path | None, target: Target, output: Output) -> None:
    """Have the NODEs (names or ids; 1, 3 or 5 members) hold the seats from now on.

    For replacing a seat whose node will not come back. A node that stays may be silent; a new one must
    answer. Fewer than the cluster has nodes for grow again by themselves, and seats that could be spread
    better over its regions move.
    """
    from folkmoot.cli.clients import operator_of

    if len(holders) not in SIZES:
        raise Usage(f"{len(holders)} nodes were named; there are {', '.join(map(str, SIZES))} seats")
    known = [node for node in ask(target, "cluster.status")["nodes"] if node["member"]]
    ids = [_id_of(node, known) for node in holders]
    for place, (node, named) in enumerate(zip(ids, holders, strict=True)):
        if node in ids[:place]:
            raise Usage(f"{named} is named twice; each of the NODEs holds one seat")
    told = ask(
        target,
        "seats.set",
        {"nodes": [bytes.fromhex(each) for each in ids]},
        operator=operator_of(target, operator),
        patience_s=PATIENCE_S,
    )
    _say(told, output)


@command.command(
    epilog=examples(
        "folkmoot seats recover --node 10.0.0.1:7000 --ca ca.crt --operator operator.key --accept-loss"
    )
)
@click.option("--accept-loss", is_flag=True, help="Say that it is understood what may be lost.")
@operator_option
@target_options
@json_option
def recover(accept_loss: bool, operator: Path | None, target: Target, output: Output) -> None:
    """Have one node go on alone after most seats were lost for good.

    The node that is asked holds the only seat from then on, with what it knows: whatever the lost seats
    decided without it is gone, and so is what they decide if they are not lost but cut off. Ask the node that
    held a seat, or knows the newest epoch (see `folkmoot status`). It refuses while most seats answer it. The
    seats grow again by themselves.
    """
    from folkmoot.cli.clients import operator_of

    if not accept_loss:
        raise OperatorError(
            "this gives up what the lost seats decided without the node that is asked",
            hint="folkmoot seats show, then the same with --accept-loss",
        )
    told = ask(target, "seats.recover", {"accept_loss": True}, operator=operator_of(target, operator))
    _say(told, output)


def _id_of(named: str, members: list[dict[str, Any]]) -> str:
    for node in members:
        if named in (node["name"], node["id"]):
            found: str = node["id"]
            return found
    raise OperatorError(f"no member of the cluster is called {named}", hint="folkmoot status")


def _say(told: dict[str, Any], output: Output) -> None:
    value = {**told, "nodes": [node.hex() for node in told["nodes"]]}
    output.result(
        value,
        [
            f"configuration {told['configuration']}: {len(told['nodes'])} seats, "
            f"{told['may_fail']} of them may fail"
        ],
    )
