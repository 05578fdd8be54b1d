"""One change of an account: read it as it is, see what is left to do, sign that, send it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED, FAILED
from folkmoot.protocol.accounts.actions import Action
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import (
    CONFLICT,
    FORBIDDEN,
    NO_QUORUM,
    REVOKED_KEY,
    TIMEOUT,
    UNCERTAIN,
    WireError,
)
from folkmoot.protocol.identity import KeyPair, account_to_text

if TYPE_CHECKING:
    from folkmoot.protocol.accounts.chain import Chain
    from folkmoot.protocol.client import Client

ATTEMPTS: Final = 2
PATIENCE_S: Final = 30.0
Decide = Callable[[Account], Action | None]


class Done(NamedTuple):
    """What became of a change.

    Args:
        account: as it is now.
        action: what was done; None when there was nothing left to do.
    """

    account: Account
    action: Action | None


class NotDone(OperatorError):
    """The account was not changed, or nobody knows yet."""


async def change(client: Client, account: bytes, signer: KeyPair, decide: Decide) -> Done:
    """Do what is left to do to an account.

    If somebody else is faster it is read again, once, and done if it still makes sense then.

    Args:
        client: of the cluster.
        account: whose (34 bytes).
        signer: the key that signs.
        decide: see `decisions`.

    Raises:
        OperatorError: it makes no sense, was refused, or the outcome is not known.
        WireError: from the node.
    """
    for attempt in range(ATTEMPTS):
        chain = await _present(client, account)
        action = decide(chain.state)
        if action is None:
            return Done(chain.state, None)
        previous = chain.entries[-1].operation if chain.entries else None
        stamp = time.time_ns() // 1000
        operation = Operation.sign(signer, account, action, previous=previous, stamp=stamp)
        try:
            state = chain.state.after(operation)  # what cannot be done costs nobody a decision
            await client.account_change(operation)
        except WireError as error:
            if _was_overtaken(error) and attempt + 1 < ATTEMPTS:
                continue
            raise explained(error, account) from error
        return Done(state, action)
    raise AssertionError("the last attempt returns or raises")


async def _present(client: Client, account: bytes) -> Chain:
    """The chain of an account as it is now.

    Raises:
        NotDone: too few nodes answer that know.
        WireError: from the node.
    """
    try:
        return (await client.account_history(account, current=True)).chain()
    except WireError as error:
        if error.kind is TIMEOUT:  # of the last attempt; those before were told that most seats are silent
            error = WireError(NO_QUORUM, error.message)
        raise explained(error, account) from error


def _was_overtaken(error: WireError) -> bool:
    """Whether another operation came in between, after which this one may still be done."""
    return error.kind is CONFLICT and "number" in (error.details or {})


def explained(error: WireError, account: bytes) -> WireError | NotDone:
    """The error with what to do about it, where that is known."""
    show = f"folkmoot user show {account_to_text(account)}"
    details = {"kind": error.kind.name, **({"details": error.details} if error.details else {})}
    if error.kind in (UNCERTAIN, TIMEOUT):
        return NotDone(
            f"it is not known yet whether the account was changed: {error.message}",
            hint="the same command again, which is safe: what is done already is not done twice",
            exit_code=DEGRADED,
            details=details,
        )
    if error.kind is NO_QUORUM:
        return NotDone(
            f"nothing was changed, since too few nodes can be reached that decide: {error.message}",
            hint="the same command again later; folkmoot status says who is missing",
            exit_code=DEGRADED,
            details=details,
        )
    if error.kind in (REVOKED_KEY, FORBIDDEN) or _was_overtaken(error):
        return NotDone(error.message, hint=show, exit_code=FAILED, details=details)
    told = error.details or {}
    if error.kind is CONFLICT and "handle" in told:
        hint = f"folkmoot user handle who {told['taken']}" if "taken" in told else None
        if "given_up" in told:
            hint = f"{show} --history"
        return NotDone(error.message, hint=hint, exit_code=FAILED, details=details)
    return error
