"""Accounts on a command line."""

from __future__ import annotations

from typing import Any

import click
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_from_text


class AccountType(click.ParamType[bytes]):
    """An account as people write it, `did:key:z6Mk…`; looked at before any node is asked for."""

    name = "account"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """The account's 34 bytes.

        Raises:
            click.BadParameter: it is none.
        """
        if isinstance(value, bytes):
            return value
        try:
            return account_from_text(str(value))
        except WireError as error:
            self.fail(error.message, param, ctx)
