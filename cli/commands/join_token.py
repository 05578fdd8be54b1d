"""`folkmoot join-token`: letting machines in that are no nodes yet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import click
from folkmoot.cli.connection import Target, ask, target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.members import operator_option
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option, table, utc_text
from folkmoot.protocol import limits
from folkmoot.protocol.ring.roster import CAPACITY_STEPS

PATIENCE_S: Final = 30.0
COLUMNS = ("id", "state", "used", "name", "region", "capacity", "expires", "admitted")


@click.group()
def command() -> None:
    """Make, list and revoke join tokens, with which machines become nodes.

    A token has the addresses of nodes, the hash of the cluster's CA, and a secret. Whoever has it becomes a
    node, as often as it says and until it expires: hand it over as you would a password.
    """


@command.command(
    epilog=examples(
        "folkmoot join-token create --name eu-4 --region eu --capacity 2 --expires 1h",
        "folkmoot join-token create --node 10.0.0.1:7000 --ca ca.crt --operator operator.key --uses 3",
    )
)
@click.option("--name", help="How the node has to be called. [default: as it says]")
@click.option("--region", help="Where it has to stand. [default: where it says]")
@click.option(
    "--capacity",
    type=FiniteFloat(0.001, limits.CAPACITY_MAX),
    default=1.0,
    show_default=True,
    help="Its share of the ranges, relative to other nodes.",
)
@click.option(
    "--expires",
    "lifetime_s",
    type=Duration(1.0, limits.JOIN_LIFETIME_S),
    default="1h",
    show_default=True,
    help="For how long it can be used.",
)
@click.option(
    "--uses",
    type=click.IntRange(1, limits.JOIN_USES),
    default=1,
    show_default=True,
    help="How many nodes it lets in.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="HOST:PORT",
    help="Clients' port of a node that can sign, as the new machine reaches it. [default: the asked node's]",
)
@operator_option
@target_options
@json_option
def create(
    name: str | None,
    region: str | None,
    capacity: float,
    lifetime_s: float,
    uses: int,
    addresses: tuple[str, ...],
    operator: Path | None,
    target: Target,
    output: Output,
) -> None:
    """Make a join token, and print it.

    The node that it leads to has to have the CA's key (the setting tls.ca_key) while others join.
    """
    params: dict[str, Any] = {
        "lifetime_s": round(lifetime_s),
        "uses": uses,
        "capacity": round(capacity * CAPACITY_STEPS),
    }
    optional = {"name": name, "region": region, "addresses": _checked(addresses) or None}
    params |= {key: value for key, value in optional.items() if value is not None}
    told = _ask(target, operator, "join.create", params)
    output.result({**_plain(told), "token": told["token"]}, told["token"])
    whom = "one node" if uses == 1 else f"{uses} nodes"
    output.note(f"lets {whom} in until {utc_text(told['expires_ms'] * 1000)}; on the new machine:")
    output.note(f"  folkmoot node join --token TOKEN{'' if region else ' --region REGION'}")


@command.command(epilog=examples("folkmoot join-token ls", "folkmoot join-token ls --cluster local --json"))
@operator_option
@target_options
@json_option
def ls(operator: Path | None, target: Target, output: Output) -> None:
    """List the join tokens that matter still, without their secrets, and whom they let in."""
    told = [_plain(each) for each in _ask(target, operator, "join.list", {})["tokens"]]
    rows = [
        {
            **each,
            "used": f"{len(each['admitted'])}/{each['uses']}",
            "expires": utc_text(each["expires_ms"] * 1000),
            "admitted": ", ".join(map(_standing, each["admitted"])),
        }
        for each in told
    ]
    output.result({"tokens": told}, table(rows, COLUMNS) if rows else ["there are no join tokens"])


@command.command(epilog=examples("folkmoot join-token revoke 0123456789abcdef"))
@click.argument("token_id", metavar="ID")
@operator_option
@target_options
@json_option
def revoke(token_id: str, operator: Path | None, target: Target, output: Output) -> None:
    """Take a join token back, by its ID in `ls`.

    Nobody comes with it any more. A node that it let in and that is no member yet does not become one by it;
    its certificate stays good.
    """
    try:
        grant = bytes.fromhex(token_id)
    except ValueError:
        grant = b""
    if len(grant) != limits.GRANT_ID_BYTES:
        raise Usage(f"{token_id!r} is no id of a join token", hint="folkmoot join-token ls")
    told = _plain(_ask(target, operator, "join.revoke", {"id": grant}))
    lines = [f"join token {told['id']} is {told['state']}"]
    output.result(told, lines + [f"it had let in {_standing(each)}" for each in told["admitted"]])


def _standing(admitted: dict[str, Any]) -> str:
    return str(admitted["name"]) if admitted["member"] else f"{admitted['name']} (no member)"


def _checked(addresses: tuple[str, ...]) -> list[str]:
    """The addresses, if they can be dialled."""
    from folkmoot.protocol.client.dialing import Endpoint
    from folkmoot.protocol.client.errors import ClientError

    try:
        return [str(Endpoint.parse(each)) for each in addresses]
    except ClientError as error:
        raise Usage(str(error)) from error


def _ask(target: Target, operator: Path | None, method: str, params: dict[str, Any]) -> dict[str, Any]:
    from folkmoot.cli.clients import operator_of

    key = operator_of(target, operator)
    told: dict[str, Any] = ask(target, method, params, operator=key, patience_s=PATIENCE_S)
    return told


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """What a node tells of a token, in the units of people; without the token itself."""
    return {
        "id": told["id"].hex(),
        "state": told["state"],
        "uses": told["uses"],
        "expires_ms": told["expires_ms"],
        "expires_in_s": max(0, told["expires_ms"] // 1000 - int(time.time())),
        "name": told["name"],
        "region": told["region"],
        "capacity": told["capacity"] / CAPACITY_STEPS,
        "admitted": [{**each, "node": each["node"].hex()} for each in told["admitted"]],
    }
