"""What a node has for accounts, put together: the room of the wiring in `daemon` that concerns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio
from folkmoot.node.accounts.attesting import Attesting, Standing
from folkmoot.node.accounts.key_gate import Coordination, KeyGate
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.accounts.methods import AccountMethods, ChangeQuota
from folkmoot.node.accounts.reactions import AccountReactions
from folkmoot.node.actors.account_follower import AccountFollower
from folkmoot.node.actors.session import Method
from folkmoot.node.contracts import EpochCheck, FeedReading, Reading
from folkmoot.node.registers.accounts import AccountRegisters
from folkmoot.node.routing import Router
from folkmoot.node.slice_search import Around
from folkmoot.node.wired import Wired

Handler = Callable[[bytes, Any], Awaitable[Any]]


class AccountParts:
    """See the module.

    Attributes:
        keys: what is known of accounts.
        follower: how it comes to be known.
        gate: what the gate makes of it; made by `key_gate`.

    Args:
        wired: the node's.
    """

    def __init__(self, wired: Wired) -> None:
        self._wired = wired
        self._environment = environment = wired.environment
        self._commits = wired.commits
        self._registers = AccountRegisters(wired.registers.registrar, environment.wall.now_us)
        self.keys = AccountKeys(wired.commits.store)
        self.media_of: Callable[[bytes], int] = lambda account: 0
        self.follower = AccountFollower(
            wired.node_id,
            self.keys,
            wired.commits,
            self._registers,
            wired.registers.acceptor,
            wired.topology,
            wired.membership,
            wired.links,
            environment.executor,
            environment.random,
        )

    def key_gate(self, coordination: Coordination, cut_off_hours: float) -> KeyGate:
        """What the gate asks about keys."""
        environment = self._environment
        self.gate = KeyGate(
            self.keys,
            self.follower,
            self._commits,
            coordination,
            environment.secrets.service(),
            environment.wall,
            cut_off_hours * 3600,
        )
        return self.gate

    def peer_methods(self, router: Router, standing: Standing, epochs: EpochCheck) -> Mapping[str, Handler]:
        """What other nodes may ask, by name; `client_methods` comes after."""
        wired, environment = self._wired, self._environment
        self._attesting = Attesting(
            router,
            wired.topology,
            wired.links,
            wired.commits.store,
            standing,
            self.keys,
            environment.executor,
            environment.secrets.service(),
            wired.config.cluster.id,
            environment.wall.now_us,
            self.media_of,
        )
        store = wired.commits.store
        around = Around(router, wired.topology, wired.links, environment.executor)
        self._reactions = AccountReactions(around, store)
        found = self._reactions.peer_methods(epochs)
        return {**self.follower.methods(), **self._attesting.peer_methods(), **found}

    def client_methods(
        self, reading: Reading, feeds: FeedReading, reviews: Callable[[bytes], bool], quota: ChangeQuota
    ) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        environment = self._environment
        methods = AccountMethods(
            self.keys,
            self._registers,
            self.follower,
            feeds,
            reviews,
            quota,
            environment.executor,
            environment.wall.now_us,
            trio.current_time,
        )
        found = self._reactions.client_methods(reading)
        return {**methods.table(), **self._attesting.client_methods(), **found}

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        return {"accounts": self.follower.run, "key gate": self.gate.run}
