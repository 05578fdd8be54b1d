"""Letting newcomers in: `join.authority` and `join.admit` for who is no node yet, `join.member` for who is.

    newcomer                               this node                             the register of grants
    join.authority {}                ──▶   the CA's certificate, to be compared with the token's hash
    join.admit {secret, request, …}  ──▶   who does not know the secret is refused
                                           a node id is drawn, the use is noted  ──▶  decided, once
                                     ◀──   certificate, CA, gossip keys, seeds
    (it runs, and has dialled a peer)
    join.member {}                   ──▶   the roster gets it; so is noted

The first two are asked by anybody: they are bounded in size, in number at a time and in rate, and nothing is
proposed to a register before the secret was proven. Secrets are in no log and no error.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.environment import Executor, Secrets
from folkmoot.node.joining.grant_register import GrantRegister
from folkmoot.node.joining.signing import Signing
from folkmoot.node.moderation.quota import Rate, TokenBuckets
from folkmoot.protocol import codec, grants, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, FORBIDDEN, RATE_LIMITED, FolkmootError, WireError
from folkmoot.protocol.grants import Admission, Grants
from folkmoot.protocol.join_token import GrantId, Secret
from folkmoot.protocol.messages import Account
from folkmoot.protocol.ring.errors import blame_peer
from folkmoot.protocol.ring.roster import Roster, RosterNode, Slug
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

MEMBER: Final = "join.member"
_EVERYBODY: Final = "everybody"

Handler = Callable[[bytes, Any], Awaitable[Any]]


class _Admit(Struct):
    """`join.admit`: the token's id and secret, a request for a certificate, and who wants to be let in."""

    id: GrantId
    secret: Secret
    request: Annotated[bytes, Meta(min_length=1, max_length=limits.JOIN_REQUEST_BYTES)]
    name: Slug
    region: Slug
    service: Account


class Members(Protocol):
    """Puts newcomers on the roster."""

    async def admit(self, newcomer: RosterNode) -> Roster: ...


class Topology(Protocol):
    """Who is on the roster, as this node knows it."""

    @property
    def roster(self) -> Roster | None: ...


@dataclass(slots=True)
class Admitting:
    """See the module.

    Args:
        config: of this node.
        register: keeps the grants.
        signing: signs certificates.
        members, topology: see above.
        secrets: have the gossip keys.
        seeds: peers' ports for a newcomer to dial first.
        executor: reads files and signs.
        random: draws node ids.
        now_ms: the wall clock.
    """

    config: NodeConfig
    register: GrantRegister
    signing: Signing
    members: Members
    topology: Topology
    secrets: Secrets
    seeds: Callable[[], list[str]]
    executor: Executor
    random: Random
    now_ms: Callable[[], int]

    _addresses: TokenBuckets = field(init=False, repr=False)
    _all: TokenBuckets = field(init=False, repr=False)
    _working: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._addresses = TokenBuckets(_rate(limits.JOINS_PER_MINUTE), limits.JOIN_BUCKETS)
        self._all = TokenBuckets(_rate(limits.JOINS_OF_ALL_PER_MINUTE), 1)

    def client_methods(self) -> Mapping[str, Method]:
        """What anybody may ask, by name."""
        return {"join.authority": self.authority, "join.admit": self.admit}

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {MEMBER: self.member}

    async def authority(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The CA's certificate: public, and worth nothing to who has no hash to compare it with."""
        self._spend(asker)
        return {"certificate": await self.executor.run(self.signing.certificate)}

    async def admit(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Let a newcomer in that has a token."""
        self._spend(asker)
        asked = codec.shaped(params, _Admit, "join.admit")
        if self._working >= limits.JOINS_AT_ONCE:
            raise WireError(BUSY, "several nodes are being let in here at the moment", retry_after_ms=500)
        self._working += 1
        try:
            return await self._admit(asked)
        finally:
            self._working -= 1

    async def member(self, asker: bytes, params: Any) -> dict[str, Any]:
        """Make the asker a member, if a token let it in and it is none yet."""
        roster = self.topology.roster
        if roster is not None and asker in roster:
            return {"epoch": roster.epoch}
        newcomer = grants.waiting(await self.register.read(), asker, self.now_ms())
        if newcomer is None:
            raise WireError(FORBIDDEN, "no join token makes this node a member")
        roster = await self.members.admit(newcomer)
        log.info("node %s has joined with a token", newcomer.name)
        try:
            await self.register.change(partial(grants.become, node_id=asker, now_ms=self.now_ms()))
        except FolkmootError as error:
            # It is a member. What is not noted is that it was made one, and it will expire.
            log.info("that %s has joined could not be noted: %s", newcomer.name, error)
        return {"epoch": roster.epoch}

    async def _admit(self, asked: _Admit) -> dict[str, Any]:
        grants.found(await self.register.read(), asked.id, asked.secret)
        await self.executor.run(self.signing.ready)
        key = await self.executor.run(partial(self.signing.key_of, asked.request))
        drawn = self.random.randbytes(limits.NODE_ID_BYTES)
        with blame_peer():
            RosterNode(drawn, asked.name, asked.region, 1.0, asked.service)
        newcomer = Admission(node=drawn, key=key, name=asked.name, region=asked.region, service=asked.service)

        def admit(present: Grants) -> Grants:
            roster = self.topology.roster
            names = {node.name for node in roster.nodes} if roster is not None else set()
            return grants.admitted(present, asked.id, asked.secret, newcomer, names, self.now_ms())

        found = grants.admission_of(await self.register.change(admit), key)
        if found is None:
            raise WireError(FORBIDDEN, "the join token was revoked meanwhile", details={"token": "revoked"})
        _, admission = found
        certificate, authority = await self.executor.run(
            partial(self.signing.sign, asked.request, admission.node)
        )
        log.info("a join token lets %s in as node %s", admission.name, admission.node.hex())
        return {
            "node": admission.node,
            "name": admission.name,
            "region": admission.region,
            "capacity": found[0].capacity,
            "certificate": certificate,
            "authority": authority,
            "gossip": list(self.secrets.gossip_ring()),
            "profile": self.config.gossip.profile,
            "seeds": self.seeds(),
            "operators": list(self.config.operators.accounts),
        }

    def _spend(self, asker: Asker) -> None:
        """Let so many requests through, of each address and of all together.

        Raises:
            WireError: `rate_limited`.
        """
        now = trio.current_time()
        wait_s = max(self._addresses.wait_s(asker.address, now), self._all.wait_s(_EVERYBODY, now))
        if wait_s:
            raise WireError(
                RATE_LIMITED, "too many joins are tried at this node", retry_after_ms=int(wait_s * 1000) + 1
            )
        self._addresses.take(asker.address, now)
        self._all.take(_EVERYBODY, now)


def _rate(per_minute: int) -> Rate:
    """So many a minute, and a quarter of a minute's at once."""
    return Rate(per_minute / 60, per_minute // 4)
