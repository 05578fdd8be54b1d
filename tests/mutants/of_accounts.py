"""Bugs of accounts: who may sign, who gets to know of it, and whose a handle is."""

from __future__ import annotations

from typing import Any

import trio
from folkmoot.node.accounts.key_gate import KeyGate
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.actors.account_follower import AccountFollower
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.claim import Bearing, bearing
from folkmoot.protocol.errors import REVOKED_KEY, WireError
from folkmoot.storage.accounts import Unconfirmed

from tests.mutants.mutant import Plant, mutant, plant_everywhere


@mutant("revocations-are-not-looked-at", "the gate takes posts of every key an account ever had", "keys")
def revocations_are_not_looked_at(plant: Plant) -> None:
    real = AccountKeys.refusal

    def refusal(self: AccountKeys, account: bytes, key: bytes) -> WireError | None:
        error = real(self, account, key)
        if error is not None and error.kind is REVOKED_KEY and key in self.state(account).keys:
            return None
        return error

    plant.setattr(AccountKeys, "refusal", refusal)


@mutant("added-keys-are-not-looked-at", "the gate takes posts of accounts' first keys alone", "keys")
def added_keys_are_not_looked_at(plant: Plant) -> None:
    real = AccountKeys.refusal

    def refusal(self: AccountKeys, account: bytes, key: bytes) -> WireError | None:
        return real(self, account, key) or (None if key == account else WireError(REVOKED_KEY, "planted"))

    plant.setattr(AccountKeys, "refusal", refusal)


@mutant("late-posts-are-not-labelled", "what a gate took while it was cut off is forgotten", "keys")
def late_posts_are_not_labelled(plant: Plant) -> None:
    def had_lost(self: KeyGate, note: Unconfirmed) -> bool:
        return False

    plant.setattr(KeyGate, "_had_lost", had_lost)


@mutant("confirmed-by-nobody", "keys count as confirmed whoever answered", "keys")
def confirmed_by_nobody(plant: Plant) -> None:
    real = AccountFollower._round

    async def round_(self: AccountFollower) -> None:
        began = trio.current_time()
        await real(self)
        self._confirmed_at = began
        self._confirming.set()
        self._confirming = trio.Event()

    plant.setattr(AccountFollower, "_round", round_)


@mutant("handles-are-taken-over", "whoever wants a handle has it, whatever its account's chain says", "keys")
def handles_are_taken_over(plant: Plant) -> None:
    def stale(*args: Any) -> Bearing:
        return bearing(*args)._replace(names=False, named=False, stale=True)

    plant_everywhere(plant, bearing, stale)


@mutant("the-told-chain-is-taken", "a node takes what it is told of an account, newer or not", "keys")
def the_told_chain_is_taken(plant: Plant) -> None:
    def supersedes(self: Chain, known: Chain, *, decided: bool = False) -> bool:
        return True

    plant.setattr(Chain, "supersedes", supersedes)


@mutant("nobody-asks-the-seats", "a node that was not told of a change never comes to know of it", "keys")
def nobody_asks_the_seats(plant: Plant) -> None:
    async def catch_up(self: AccountFollower, node_id: bytes) -> None: ...

    plant.setattr(AccountFollower, "_catch_up", catch_up)


@mutant("two-devices-revoke-each-other", "an operation is made the next one wherever it comes", "keys")
def two_devices_revoke_each_other(plant: Plant) -> None:
    real = Chain.holds

    def holds(self: Chain, operation: Any) -> bool:
        return real(self, operation) or any(
            entry.operation.number == operation.number for entry in self.entries
        )

    plant.setattr(Chain, "holds", holds)
