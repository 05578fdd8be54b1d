"""`role.grant`, `role.revoke` and `community.get`: who has which role, and what was changed by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.community.changing import Agreement
from folkmoot.node.community.roles import Roles
from folkmoot.protocol import codec
from folkmoot.protocol.community.roles import ROLES, Member, granted, revoked
from folkmoot.protocol.community.value import Community, Reason, Role
from folkmoot.protocol.connection import Params
from folkmoot.protocol.consensus.value import RequestId
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.messages import Account
from msgspec import Struct

WHOM: Final = frozenset[str](ROLES)

_Rule = Callable[[Community, bytes, Role, Member, int, str], Community]


class _Change(Struct):
    """`role.grant` and `role.revoke`."""

    account: Account
    role: Role
    reason: Reason = ""
    request: RequestId | None = None


class _Get(Struct):
    """`community.get`: with `current`, as the register holds it now."""

    current: bool = False


class RoleMethods:
    """See the module.

    Args:
        agreement: reads and changes what was agreed upon.
        roles: who has which role here.
    """

    def __init__(self, agreement: Agreement, roles: Roles) -> None:
        self._agreement = agreement
        self._roles = roles

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "role.grant": self.grant,
            "role.revoke": self.revoke,
            "community.get": self.get,
        }

    async def grant(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Give an account a role."""
        return await self._change(asker, params, granted)

    async def revoke(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Take a role from an account."""
        return await self._change(asker, params, revoked)

    async def get(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Who has which role, which policy is in force, and the latest changes of both."""
        self._roles.member(asker, WHOM, "roles and the log of their changes")
        current = codec.shaped(params, _Get, "community.get").current
        known = await self._agreement.read() if current else self._agreement.known
        return {"version": known.version, **known.community.to_wire()}

    async def _change(self, asker: Asker, params: Params, rule: _Rule) -> dict[str, Any]:
        member = self._roles.member(asker, WHOM, "changes of roles")
        asked = codec.shaped(params, _Change, "a change of roles")
        if not is_account(asked.account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")

        def change(present: Community) -> Community:
            now_ms = self._agreement.now_ms()
            return rule(present, asked.account, asked.role, member, now_ms, asked.reason)

        known = await self._agreement.change(change, asked.request)
        return {
            "version": known.version,
            "account": asked.account,
            "roles": sorted(known.community.roles_of(asked.account)),
        }
