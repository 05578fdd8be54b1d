"""`folkmoot role`: who is operator, moderator or expert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.community.asking import asked, decide, reason_option, talk
from folkmoot.cli.community.telling import log_line
from folkmoot.cli.connection import Target, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.protocol.community.roles import ROLES

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_who: Callable[..., Any] = click.argument("who", type=WhoType())
_role: Callable[..., Any] = click.argument("role", type=click.Choice(ROLES))


@click.group()
def command() -> None:
    """Make accounts operators, moderators and experts.

    Roles are agreed upon by the cluster's seats, and known to all nodes. Operators that the configuration of
    a node names are operators at that node besides; they make the first ones.
    """


@command.command(
    epilog=examples(
        "folkmoot role grant @marit moderator --reason 'elected in May'",
        "folkmoot role grant did:key:z6Mk… operator --operator operator.key --node 10.0.0.1:7000 --ca ca.crt",
    )
)
@_who
@_role
@reason_option
@operator_option
@target_options
@json_option
def grant(who: Who, role: str, reason: str, operator: Path | None, target: Target, output: Output) -> None:
    """Give WHO a role.

    Operators give all roles, and moderators who are experts the role expert.
    """
    _change("role.grant", who, role, reason, operator, target, output)


@command.command(epilog=examples("folkmoot role revoke @marit moderator --reason 'the term is over'"))
@_who
@_role
@reason_option
@operator_option
@target_options
@json_option
def revoke(who: Who, role: str, reason: str, operator: Path | None, target: Target, output: Output) -> None:
    """Take a role from WHO.

    The last operator stays one. Everybody may give up a role of their own.
    """
    _change("role.revoke", who, role, reason, operator, target, output)


@command.command(epilog=examples("folkmoot role ls", "folkmoot role ls --cluster local --json"))
@operator_option
@target_options
@json_option
def ls(operator: Path | None, target: Target, output: Output) -> None:
    """List who has which role, and the latest changes."""
    told = talk(target, operator, lambda client: asked(client, "community.get", {"current": True}))
    changes = [each for each in told["log"] if "role" in each]
    lines = [f"{each['account']}  {', '.join(each['roles'])}" for each in told["holders"]]
    output.result(
        {"holders": told["holders"], "changes": changes},
        [*(lines or ["nobody has a role but the operators that nodes' configurations name"])]
        + [log_line(each) for each in changes],
    )


def _change(
    method: str, who: Who, role: str, reason: str, operator: Path | None, target: Target, output: Output
) -> None:
    async def conversation(client: Client) -> dict[str, Any]:
        params = {"account": await who.found(client), "role": role, "reason": reason}
        return await decide(client, method, params)

    told = talk(target, operator, conversation)
    output.result(told, f"{told['account']} is {', '.join(told['roles']) or 'nothing in particular'}")
