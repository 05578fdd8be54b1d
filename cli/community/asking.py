"""How the commands about roles and policies ask nodes, and what they make of the answers."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from folkmoot.cli.connection import Target, converse
from folkmoot.protocol.community.bounds import COMMUNITY_REASON_CODE_POINTS
from folkmoot.protocol.errors import UNCERTAIN, WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.limits import REQUEST_ID_BYTES

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

PATIENCE_S: Final = 30.0
ASK_AGAIN: Final = 3
SHOWN_DIGITS: Final = 12

Result = TypeVar("Result")


def _reason(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if len(value) > COMMUNITY_REASON_CODE_POINTS:
        raise click.BadParameter(f"{len(value)} characters; the log takes {COMMUNITY_REASON_CODE_POINTS}")
    return value


reason_option: Callable[..., Any] = click.option(
    "--reason", default="", callback=_reason, help="Why, for the log: one sentence that everybody can read."
)


def talk(
    target: Target, operator: Path | None, conversation: Callable[[Client], Awaitable[Result]]
) -> Result:
    """Talk to a node as an operator, or whoever else the key is of."""
    from folkmoot.cli.clients import operator_of

    return converse(target, conversation, operator=operator_of(target, operator), patience_s=PATIENCE_S)


async def decide(client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Ask for a change, once: when it may have been made or not, the same is asked again.

    Raises:
        WireError: what the node answered; `uncertain`, when it is not known after several times either.
    """
    params = {**params, "request": secrets.token_bytes(REQUEST_ID_BYTES)}
    for _ in range(ASK_AGAIN - 1):
        try:
            return await asked(client, method, params)
        except WireError as error:
            if error.kind is not UNCERTAIN:
                raise
    return await asked(client, method, params)


async def asked(client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question, in the forms of people: accounts as they are written, hashes in hex."""
    answer = _plain(await client.call(method, params))
    assert isinstance(answer, dict), "every method answers with a map"
    return answer


def short(hash: str | None) -> str:
    """A policy in a line of text."""
    return "each node's own file" if hash is None else hash[:SHOWN_DIGITS]


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case bytes() if len(value) == 34:
            return account_to_text(value)
        case bytes():
            return value.hex()
        case _:
            return value
