"""Whom a command means: an account, a handle, or the account of a key file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.node.data_directory import read_key_file
from folkmoot.protocol.accounts.handle import check_handle
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.identity import DID_KEY_PREFIX, account_from_text

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody as named on a command line.

    Args:
        account: 34 bytes; None when a node has to be asked.
        handle: what to ask for then, in its normal form.
    """

    account: bytes | None = None
    handle: str = ""

    async def found(self, client: Client) -> bytes:
        """The account.

        Raises:
            OperatorError: nobody has the handle.
        """
        if self.account is not None:
            return self.account
        try:
            return (await client.handle(self.handle)).account
        except WireError as error:
            if error.kind is not NOT_FOUND:
                raise
            raise OperatorError(
                f"no account has the handle {self.handle}, as far as this node knows",
                hint="the account itself, did:key:z6Mk…, or its key file",
            ) from error


class WhoType(click.ParamType[Who]):
    """`did:key:z6Mk…`, a key file that exists, or a handle, with or without an @ before it."""

    name = "who"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Who:
        """Whom it means, as far as that can be told without a node.

        Raises:
            click.BadParameter: it can be none of the three.
            DataDirectoryError: it is a file, and no key.
        """
        if isinstance(value, Who):
            return value
        text = str(value)
        try:
            if text.startswith(DID_KEY_PREFIX[:-1]):
                return Who(account_from_text(text))
            if Path(text).is_file():
                return Who(read_key_file(Path(text)).pair.owner)
            return Who(handle=check_handle(text.removeprefix("@")))
        except WireError as error:
            self.fail(
                f"{text[:80]!r} is no account (did:key:z6Mk…), no key file that exists, and no handle: "
                f"{error.message}",
                param,
                ctx,
            )


class HandleType(click.ParamType[str]):
    """A handle, in any spelling."""

    name = "handle"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The handle in its normal form.

        Raises:
            click.BadParameter: it can be none.
        """
        try:
            return check_handle(str(value).removeprefix("@"))
        except WireError as error:
            self.fail(error.message, param, ctx)


class ShortText(click.ParamType[str]):
    """Words in UTF-8.

    Args:
        longest: characters that are kept; None where the node says how many.
    """

    name = "text"

    def __init__(self, longest: int | None = None) -> None:
        self.longest = longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The words.

        Raises:
            click.BadParameter: there are too many, or they are not UTF-8.
        """
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text[:80]!r} is not text in UTF-8", param, ctx)
        if self.longest is not None and len(text) > self.longest:
            self.fail(f"{len(text)} characters; at most {self.longest} are kept", param, ctx)
        return text
