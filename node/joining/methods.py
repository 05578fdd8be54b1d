"""Join tokens as operators ask for them: `join.create`, `join.list`, `join.revoke`.

The token leaves this node once, in the answer to `join.create`. What is kept of it is its grant, in a
register.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Any, Protocol

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.environment import Executor
from folkmoot.node.joining.grant_register import GrantRegister
from folkmoot.node.joining.signing import Signing
from folkmoot.node.operators import operators_only
from folkmoot.protocol import codec, grants, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.grants import Grant
from folkmoot.protocol.join_token import Addresses, GrantId, JoinToken, JoinTokenError, digest_of
from folkmoot.protocol.ring.errors import RingError
from folkmoot.protocol.ring.roster import CAPACITY_STEPS, Roster, Slug, check_slug
from msgspec import Meta, Struct

_WHAT = "join tokens"


class _Create(Struct):
    """`join.create`; the capacity in thousandths. Without addresses the asked node names its own."""

    lifetime_s: Annotated[int, Meta(ge=1, le=int(limits.JOIN_LIFETIME_S))]
    uses: Annotated[int, Meta(ge=1, le=limits.JOIN_USES)] = 1
    capacity: Annotated[int, Meta(ge=1, le=limits.CAPACITY_MAX * CAPACITY_STEPS)] = CAPACITY_STEPS
    name: Slug | None = None
    region: Slug | None = None
    addresses: Addresses | None = None


class _Revoke(Struct):
    """`join.revoke`: a grant."""

    id: GrantId


class Members(Protocol):
    """Who belongs to the cluster, as this node knows it."""

    @property
    def roster(self) -> Roster | None: ...


@dataclass(frozen=True, slots=True)
class JoinMethods:
    """See the module.

    Args:
        cluster: the cluster's id.
        register: keeps the grants.
        signing: says by what the cluster is known.
        members: see above.
        own_address: this node's clients' port.
        executor: reads files.
        random: draws secrets.
        now_ms: the wall clock.
    """

    cluster: str
    register: GrantRegister
    signing: Signing
    members: Members
    own_address: Callable[[], str]
    executor: Executor
    random: Random
    now_ms: Callable[[], int]

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"join.create": self.create, "join.list": self.list, "join.revoke": self.revoke}

    async def create(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Make a token; the one answer that has its secret."""
        operators_only(asker, _WHAT)
        asked = codec.shaped(params, _Create, "join.create")
        self._check(asked)
        # A token that leads to a node which cannot let anybody in would fail on another machine, and later.
        look = self.signing.pin if asked.addresses else self.signing.ready
        pin = await self.executor.run(look)
        secret = self.random.randbytes(limits.JOIN_SECRET_BYTES)
        token = JoinToken(
            cluster=self.cluster,
            addresses=asked.addresses or [self.own_address()],
            authority=pin,
            id=self.random.randbytes(limits.GRANT_ID_BYTES),
            secret=secret,
            expires_ms=self.now_ms() + asked.lifetime_s * 1000,
            name=asked.name,
            region=asked.region,
        )
        try:
            text = token.encode()
        except JoinTokenError as error:
            raise WireError(BAD_REQUEST, str(error)) from error
        grant = Grant(
            id=token.id,
            digest=digest_of(secret),
            uses=asked.uses,
            expires_ms=token.expires_ms,
            capacity=asked.capacity,
            name=asked.name,
            region=asked.region,
        )
        await self.register.change(lambda present: grants.created(present, grant, self.now_ms()))
        return {"token": text, **self._told(grant)}

    async def list(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The grants there are; secrets are not among what is known of them."""
        operators_only(asker, _WHAT)
        present = await self.register.read()
        kept = sorted((each for each in present if each.is_kept(self.now_ms())), key=lambda g: g.expires_ms)
        return {"tokens": [self._told(each) for each in kept]}

    async def revoke(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Take a token back."""
        operators_only(asker, _WHAT)
        grant_id = codec.shaped(params, _Revoke, "join.revoke").id
        revoke = partial(grants.revoked, grant_id=grant_id, now_ms=self.now_ms())
        present = await self.register.change(revoke)
        [grant] = [each for each in present if each.id == grant_id]
        return self._told(grant)

    def _check(self, asked: _Create) -> None:
        """Refuse what no newcomer could fulfil.

        Raises:
            WireError: `bad_request`; `conflict`, when a name is taken.
        """
        try:
            for what, slug in (("the name", asked.name), ("the region", asked.region)):
                if slug is not None:
                    check_slug(slug, what)
        except RingError as error:
            raise WireError(BAD_REQUEST, str(error)) from error
        if asked.name is not None and asked.uses > 1:
            raise WireError(BAD_REQUEST, "a name belongs to one node: a token with a name has one use")
        roster = self.members.roster
        if roster is not None and any(each.name == asked.name for each in roster.nodes):
            raise WireError(
                CONFLICT, f"the name {asked.name} belongs to another node of the cluster (folkmoot node ls)"
            )

    def _told(self, grant: Grant) -> dict[str, Any]:
        roster = self.members.roster
        return {
            "id": grant.id,
            "state": grant.state(self.now_ms()),
            "uses": grant.uses,
            "expires_ms": grant.expires_ms,
            "capacity": grant.capacity,
            "name": grant.name,
            "region": grant.region,
            "admitted": [
                {
                    "node": each.node,
                    "name": each.name,
                    "region": each.region,
                    "member": roster is not None and each.node in roster,
                }
                for each in grant.admitted
            ],
        }
