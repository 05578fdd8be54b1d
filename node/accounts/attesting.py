"""`account.attest`: what one node, which the asker names, says of what is left with it of an account.

The asked node passes the question on. The named one looks through a slice of its own store, off the event
loop and one slice at a time, and signs what it found. It says nothing while it does not know whether its disk
has all that it acknowledged, and nothing about a slice in which something is damaged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.contracts import Peers, Topology, nodes_of
from folkmoot.node.environment import Executor
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.accounts.attestation import VERSION, Found, Statement, marks_bytes
from folkmoot.protocol.community.value import OPERATOR
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.identity import KeyPair, is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.storage.errors import StorageError
from folkmoot.storage.examination import Examined, examine
from folkmoot.storage.store import Store
from msgspec import Meta, Struct

ATTEST: Final = "replica.attest"


class _Asked(Struct):
    """`replica.attest`: a slice of an account, after a key."""

    account: messages.Account
    after: Annotated[bytes, Meta(max_length=limits.STORE_KEY_BYTES)] | None = None


class _Told(Struct):
    statement: tuple[bytes, bytes]


class Standing(Protocol):
    """Which life of this node it is."""

    @property
    def mark(self) -> list[int]: ...


class Attesting:
    """See the module.

    Args:
        router: says which node this is, and whether it counts.
        topology, peers: see `contracts`.
        store: this node's.
        standing: see `Standing`.
        keys: which accounts are closed.
        executor: where the store is looked through.
        service: signs.
        cluster: the cluster's id.
        now_us: the wall clock, microseconds since 1970.
        media_of: how many files of an account's media lie here; blocks.
    """

    def __init__(
        self,
        router: Router,
        topology: Topology,
        peers: Peers,
        store: Store,
        standing: Standing,
        keys: AccountKeys,
        executor: Executor,
        service: KeyPair,
        cluster: str,
        now_us: Callable[[], int],
        media_of: Callable[[bytes], int],
    ) -> None:
        self._router = router
        self._topology = topology
        self._peers = peers
        self._store = store
        self._standing = standing
        self._keys = keys
        self._executor = executor
        self._service = service
        self._cluster = cluster
        self._now_us = now_us
        self._media_of = media_of
        self._one_at_a_time = trio.CapacityLimiter(1)

    def peer_methods(self) -> Mapping[str, Callable[[bytes, Params], Awaitable[Any]]]:
        """What other nodes may ask, by name."""
        return {ATTEST: self._answer}

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {"account.attest": self.attest}

    async def attest(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A node's statement on a slice of an account."""
        asked = codec.shaped(params, messages.AccountAttest, "account.attest")
        _check(asked.account, asked.after)
        self._allow(asker, asked.account)
        if asked.node == self._router.node_id:
            statement = await self._state(asked.account, asked.after)
            return {"statement": statement.to_wire()}
        question = {"account": asked.account} | ({} if asked.after is None else {"after": asked.after})
        answer = await self._peers.call(asked.node, ATTEST, question, limits.ATTEST_TIMEOUT_S)
        statement = Statement(*codec.shaped(answer, _Told, "a statement").statement)
        if (statement.found.account, statement.found.node) != (asked.account, asked.node):
            raise WireError(BAD_REQUEST, "the node made a statement on something else")
        return {"statement": statement.to_wire()}

    async def _answer(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, _Asked, ATTEST)
        _check(asked.account, asked.after)
        return {"statement": (await self._state(asked.account, asked.after)).to_wire()}

    def _allow(self, asker: Asker, account: bytes) -> None:
        """Let the account itself ask, operators, and everybody about what is closed: nobody else is left.

        Raises:
            WireError: `unauthenticated` or `forbidden`.
        """
        if asker.account == account or OPERATOR in asker.roles or self._keys.state(account).closed:
            return
        if asker.account is None:
            raise WireError(UNAUTHENTICATED, "statements on an account are for itself: send auth first")
        raise WireError(FORBIDDEN, "statements on an account are for itself and for operators")

    async def _state(self, account: bytes, after: bytes | None) -> Statement:
        """Look through a slice and sign what was found.

        Raises:
            WireError: `busy`: this node does not know what it should have.
            StorageError: something is damaged.
        """
        async with self._one_at_a_time:
            self._require_counted()
            boot = self._standing.mark[0]
            try:
                examined = await self._executor.run(partial(examine, self._store.engine, account, after))
                media = await self._executor.run(partial(self._media_of, account))
            except StorageError as error:
                self._store.damage.note(error)
                raise
            self._require_counted()
            return Statement.sign(self._service, self._found(account, after, boot, examined, media))

    def _found(self, account: bytes, after: bytes | None, boot: int, examined: Examined, media: int) -> Found:
        owner = self._topology.where(place_prefix(account))
        return Found(
            account=account,
            boot=boot,
            change=examined.change,
            cluster=self._cluster,
            epoch=owner.epoch,
            gone=examined.gone.count,
            left=examined.left,
            marks=marks_bytes(examined.gone),
            media=media,
            moved=examined.moved,
            node=self._router.node_id,
            others=examined.others,
            pointers=examined.pointers,
            proven=examined.proven,
            range=owner.id,
            replica=self._router.node_id in nodes_of(owner.slots),
            service=self._service.account,
            staying=examined.staying,
            time=self._now_us(),
            version=VERSION,
            after=after,
            compacted=examined.compacted,
            through=examined.through,
        )

    def _require_counted(self) -> None:
        if not self._router.counts_itself:
            raise WireError(
                BUSY, "this replica does not know that it has all it acknowledged", retry_after_ms=250
            )


def _check(account: bytes, after: bytes | None) -> None:
    if not is_account(account):
        raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
    if after is not None and not after.startswith(place_prefix(account)):
        raise WireError(BAD_REQUEST, "after is not what an earlier statement on this account ended with")
