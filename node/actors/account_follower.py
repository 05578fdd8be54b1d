"""The follower of accounts: knows of every account whose keys are not the ones it began with.

A change is *told* to all nodes at once by the one that had it decided. And now and then every node asks the
seats which registers of accounts they have kept since it last asked, and reads those it does not know. What
was decided a majority of the seats has kept; so whoever has just heard from a majority of them knows of every
change that was acknowledged before, and its keys are *confirmed*. A node for which that was too long ago is
cut off, and says so (`confirmed`); what is made of that is for the gate to decide.

What a seat is asked for is named by the number of a change of its store, which means something for as long as
that node runs; after a restart it names all of them again, and what is known is not read again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import Random
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Liveness, Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.registers.accounts import ACCOUNT
from folkmoot.node.registers.seat_change import each_of
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.consensus import wire
from folkmoot.protocol.consensus.configuration import Configuration
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.messages import Account
from folkmoot.protocol.ring.roster import Roster
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission, WriteTransaction
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

TELL: Final = "account.tell"
CHANGES: Final = "account.changes"
LOG_BYTES: Final = 16
NONE: Final = bytes(32)

_Data = Annotated[bytes, Meta(max_length=limits.REGISTER_BYTES)]
Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]


class _Tell(Struct):
    """`account.tell`: what an account's chain is now."""

    account: Account
    chain: _Data


class _Changes(Struct):
    """`account.changes`: which accounts changed after one change of the answering node's store; `log` is what
    it called its log when it last answered, and 16 zero bytes the first time."""

    log: Annotated[bytes, Meta(min_length=LOG_BYTES, max_length=LOG_BYTES)]
    after: Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)]


class _Changed(Struct):
    """The answer: accounts, each with the hash of the newest operation that the seat has accepted, and up to
    which change that is all."""

    log: Annotated[bytes, Meta(min_length=LOG_BYTES, max_length=LOG_BYTES)]
    accounts: Annotated[list[tuple[Account, bytes]], Meta(max_length=limits.ACCOUNTS_TOLD)]
    through: Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)]
    more: bool


class Registers(Protocol):
    """See `registers.accounts`."""

    async def read(self, account: bytes) -> Chain: ...


class Seats(Protocol):
    """Which seats there are."""

    @property
    def configuration(self) -> Configuration | None: ...


class Members(Protocol):
    """Who is a member."""

    @property
    def roster(self) -> Roster | None: ...


class AccountFollower:
    """See the module.

    Args:
        node_id: this node's (16 bytes).
        keys: told of what changes.
        commits: this node's store.
        registers: settles what two nodes tell differently.
        seats, members: whom to ask, and whom to tell.
        liveness, peers: see `contracts`.
        executor: where signatures are verified.
        random: names this run's log.
    """

    def __init__(
        self,
        node_id: bytes,
        keys: AccountKeys,
        commits: Commits,
        registers: Registers,
        seats: Seats,
        members: Members,
        liveness: Liveness,
        peers: Peers,
        executor: Executor,
        random: Random,
    ) -> None:
        self._node_id = node_id
        self._keys = keys
        self._commits = commits
        self._registers = registers
        self._seats = seats
        self._members = members
        self._liveness = liveness
        self._peers = peers
        self._executor = executor
        self._random = random
        self._log = random.randbytes(LOG_BYTES)
        self._heard: dict[bytes, tuple[bytes, int]] = {}
        self._confirmed_at: float | None = None
        self._wake = trio.Event()
        self._confirming = trio.Event()

    # What the rest of the node asks.

    @property
    def confirmed_at(self) -> float | None:
        """When all that had been acknowledged was last known here, on trio's clock; None for never."""
        return self._confirmed_at

    @property
    def confirmed(self) -> bool:
        """Whether keys are known well enough: a majority of the seats is there, and was asked of late."""
        configuration = self._seats.configuration
        if configuration is None or self._confirmed_at is None:
            return False
        there = {seat.id for seat in configuration.all_seats if self._is_there(seat.node)}
        late = trio.current_time() > self._confirmed_at + limits.ACCOUNTS_CONFIRMED_S
        return not late and configuration.is_quorum(there)

    async def wait_confirmed(self) -> None:
        """Wait until keys are next confirmed."""
        await self._confirming.wait()

    def look_now(self) -> None:
        """Ask at once: somebody is back, or something kept is damaged."""
        self._wake.set()

    async def tell(self, chain: Chain) -> None:
        """Keep a chain that was decided, and have the others keep it, as far as they can be reached.

        Raises:
            StorageError: it could not be kept here.
        """
        await self._keep(chain, decided=True)
        params = {"account": chain.account, "chain": chain.encode()}

        async def tell(node_id: bytes) -> None:
            try:
                await self._peers.call(node_id, TELL, params, limits.ACCOUNT_TELL_TIMEOUT_S)
            except (WireError, PeerUnreachable) as error:
                log.info("node %s was not told of a change of an account: %s", node_id.hex()[:8], error)

        async with trio.open_nursery() as nursery:
            for node_id in self._others():
                nursery.start_soon(tell, node_id)

    # What peers ask.

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {TELL: self._told, CHANGES: self._changes}

    async def _told(self, node_id: bytes, params: Any) -> dict[str, Any]:
        told = codec.shaped(params, _Tell, TELL)
        await self._learn(told.account, told.chain)
        return {}

    async def _changes(self, node_id: bytes, params: Any) -> dict[str, Any]:
        asked = codec.shaped(params, _Changes, CHANGES)
        return await self._executor.run(partial(self._since, asked.after if asked.log == self._log else 0))

    def _since(self, after: int) -> dict[str, Any]:
        """Which registers of accounts this node's seat has kept after a change of its store."""
        store = self._commits.store
        through = store.sequence
        found = store.registers_since(after, limits.ACCOUNTS_TOLD)
        more = len(found) == limits.ACCOUNTS_TOLD
        return {
            "log": self._log,
            "accounts": [newest_accepted(name, store.register(name)) for _, name in found],
            "through": found[-1][0] if more else through,
            "more": more,
        }

    # How it comes to know.

    async def run(self) -> None:
        """Ask the nodes of the seats now and then, for ever."""
        while True:
            try:
                await self._round()
            except (WireError, StorageError) as error:
                log.warning("accounts cannot be followed now: %s", error)
            with trio.move_on_after(limits.ACCOUNTS_FOLLOW_S * self._random.uniform(0.75, 1.0)):
                await self._wake.wait()
            self._wake = trio.Event()

    async def _round(self) -> None:
        """Ask each of them once, all at the same time."""
        await each_of(list(self._keys.damaged), self._read)
        began = trio.current_time()
        answered: set[bytes] = set()

        async def ask(node_id: bytes) -> None:
            try:
                await self._catch_up(node_id)
            except (WireError, PeerUnreachable, StorageError) as error:
                log.info("node %s does not say which accounts changed: %s", node_id.hex()[:8], error)
            else:
                answered.add(node_id)

        if (configuration := self._seats.configuration) is None:
            return
        seats = configuration.all_seats
        async with trio.open_nursery() as nursery:
            for node_id in sorted({seat.node for seat in seats}):
                if self._is_there(node_id):
                    nursery.start_soon(ask, node_id)
        unchanged = configuration == self._seats.configuration
        if unchanged and configuration.is_quorum({seat.id for seat in seats if seat.node in answered}):
            self._confirmed_at = began
            self._confirming.set()
            self._confirming = trio.Event()

    async def _catch_up(self, node_id: bytes) -> None:
        """Learn of what one seat has kept since it was last asked.

        Raises:
            WireError, PeerUnreachable, StorageError: it did not come to its end.
        """
        while True:
            known, after = self._heard.get(node_id, (bytes(LOG_BYTES), 0))
            if node_id == self._node_id:
                answer: Any = await self._executor.run(partial(self._since, after))
            else:
                params = {"log": known, "after": after}
                answer = await self._peers.call(node_id, CHANGES, params, limits.REQUEST_TIMEOUT_S)
            told = codec.shaped(answer, _Changed, f"the answer to {CHANGES}")
            await each_of(
                [account for account, newest in told.accounts if self._lacks(account, newest)], self._read
            )
            if told.more and told.log == known and told.through <= after:
                raise PeerUnreachable(f"node {node_id.hex()[:8]} tells the same changes for ever")
            self._heard[node_id] = (told.log, told.through)
            if not told.more:
                return

    async def _learn(self, account: bytes, data: bytes) -> None:
        """Take a chain that another node tells, if it goes on from what is known here.

        Raises:
            WireError: it is no chain, or a signature does not hold; or registers cannot be asked.
            StorageError: it could not be kept.
        """
        chain = Chain.decode(account, data)
        try:
            if not chain.supersedes(self._known(account)):
                return
            await self._executor.run(chain.verify)
            await self._keep(chain)
        except WireError as error:
            if error.kind is not CONFLICT:
                raise
            log.error("two chains of account %s go different ways; its register decides", account.hex())
            await self._read(account)

    async def _read(self, account: bytes) -> None:
        """Have what is kept of an account be what its register holds.

        Raises:
            WireError: registers cannot be asked.
            StorageError: it could not be kept.
        """
        chain = await self._registers.read(account)
        await self._executor.run(chain.verify)
        await self._keep(chain, decided=True)

    def _lacks(self, account: bytes, newest: bytes) -> bool:
        """Whether a seat has accepted an operation that is not known here, or what is known is damaged."""
        if newest == NONE:
            return False  # it has promised; what was decided others have accepted
        return newest not in self._known(account).hashes

    def _known(self, account: bytes) -> Chain:
        """What is kept of an account; nothing, when it is damaged."""
        try:
            return self._keys.chain(account)
        except WireError:
            return Chain(account)

    async def _keep(self, chain: Chain, *, decided: bool = False) -> None:
        """Make a chain durable, unless a longer one came first; then go by it.

        Args:
            chain: verified.
            decided: whether it was read from the register, before which any other gives way.

        Raises:
            WireError: `conflict`: it goes another way than what came first.
        """

        def job(transaction: WriteTransaction) -> None:
            accounts = transaction.accounts
            if chain.supersedes(accounts.chain(chain.account), decided=decided):
                accounts.put(chain)

        await self._commits.run(job, Admission.ESSENTIAL, urgent=True)
        self._keys.has_changed(chain.account)

    def _others(self) -> list[bytes]:
        """The members that can be reached."""
        roster = self._members.roster
        nodes = [] if roster is None else [node.node_id for node in roster.nodes]
        return [node for node in nodes if node != self._node_id and self._liveness.reachable(node)]

    def _is_there(self, node_id: bytes) -> bool:
        return node_id == self._node_id or self._liveness.reachable(node_id)


def newest_accepted(register: str, kept: bytes | None) -> tuple[bytes, bytes]:
    """The account that a register is of, and the hash of the newest operation a seat has accepted for it: 32
    zero bytes, which none has, where it has promised only."""
    value = wire.decode_state(kept).value
    entries = [] if value is None else codec.unpack(value.body)
    newest = hashlib.sha256(entries[-1][0]).digest() if entries else NONE
    return bytes.fromhex(register.removeprefix(ACCOUNT)), newest
