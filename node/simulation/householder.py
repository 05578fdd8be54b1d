"""Householders: people with a recovery key and a few devices, which come, go, get lost and are stolen.

A householder has the account's chain of operations grow: adds, revokes and rotates devices, has two of them
revoke each other at once, recovers, and wants handles that another householder wants as well, or one that
looks like it. A change that was not answered is asked for again, as the same operation, at whatever node; now
and then it is given up, and the next one begins from what the register holds.

All devices post, those that were revoked as well: the thief who has them tries one gate after another, above
all right after the revocation, and has the luck to find those that do not know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.simulation.caller import UNANSWERED, Caller
from folkmoot.node.simulation.history import KEPT, Ack
from folkmoot.node.simulation.key_history import Answer, DevicePost, KeyChange
from folkmoot.node.simulation.town import WRITE_LEVELS, Asker, Town
from folkmoot.protocol.accounts.actions import (
    Action,
    AddKey,
    Create,
    Recover,
    RevokeKey,
    RotateKey,
    SetHandle,
    SetRecovery,
)
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import REVOKED_KEY, WireError
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record

DEVICES_MOST: Final = 4
ASK_AGAIN: Final = 3
POST_AGAIN: Final = 2
RETRY_S: Final = 0.5
SETTLE_S: Final = 60.0
GIVEN_UP: Final = 0.3
QUARREL: Final = 0.15
BY_RECOVERY: Final = 0.3
NEW_RECOVERY: Final = 0.3
NO_HANDLE: Final = 0.2
HANDLES: Final = ("paula.{}", "pau1a.{}", "paula-{}", "anna{}")  # the first two look alike
HANDLE_EVERY_S: Final = 30.0  # one that was given up is kept from others, so new ones are wanted now and then
THEFTS: Final = 3
LUCK: Final = 0.6  # of a thief, to find a gate that does not know yet
THIEF_LEVELS: Final = ("one", "one", *WRITE_LEVELS)
RECENTLY_REVOKED: Final = 3


class Householder:
    """See the module.

    Args:
        town: where it lives.
        random: decides what it does, and makes its keys.
        wall: its clock.
        caller: whom it asks.
        thief: whom those ask who have its revoked devices.
        pause_s: mean time between two things it does.
        clocks: what the wall clock of each node says now, by the node's name.
        gullible: the nodes that do not know of the revocation of an account's key.
    """

    def __init__(
        self,
        town: Town,
        random: Random,
        wall: WallClock,
        caller: Asker,
        thief: Caller,
        pause_s: float,
        clocks: Callable[[], Mapping[str, int]],
        gullible: Callable[[bytes, bytes], Collection[str]],
    ) -> None:
        self._town, self._history = town, town.history
        self._random = random
        self._wall = wall
        self._caller, self._thief = caller, thief
        self._pause_s = pause_s
        self._clocks, self._gullible = clocks, gullible
        self._keys: dict[bytes, KeyPair] = {}
        self._account = self._new_key()
        self._recovery: KeyPair | None = None
        self._chain = Chain(self._account)
        self._open: tuple[Operation, float] | None = None
        self._is_behind = False
        self._stamp = 0

    async def live(self, over: Callable[[], bool]) -> None:
        """Do things until `over` says so, one of each sort to begin with."""
        for doing in (self.device_post, self.account_change, self.account_change, self.handle_change):
            with self._town.watched(doing.__name__):
                await doing()
        doings = (self.account_change, self.handle_change, self.device_post, self.thief_post)
        while not over():
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            [doing] = self._random.choices(doings, weights=(4, 2, 3, 4))
            with self._town.watched(doing.__name__):
                await doing()

    async def settle(self) -> None:
        """Have an answer to the last change, for a minute at most; then say something more."""
        until_s = trio.current_time() + SETTLE_S
        while (self._open is not None or self._is_behind) and trio.current_time() < until_s:
            await self._catch_up()
            await trio.sleep(RETRY_S)
        await self.device_post()
        await self.thief_post()

    # Changes.

    async def account_change(self) -> None:
        """Do something to the keys of the account."""
        if not await self._catch_up():
            return
        valid = self._valid_keys()
        if len(valid) > 1 and self._random.random() < QUARREL:
            await self._quarrel(valid)
        else:
            await self._do(*self._next_change(valid))

    async def handle_change(self) -> None:
        """Want to be called otherwise, or by nothing."""
        if await self._catch_up() and self._chain.number and (valid := self._valid_keys()):
            handle: str | None = None
            if self._random.random() >= NO_HANDLE:
                handle = self._random.choice(HANDLES).format(int(trio.current_time() // HANDLE_EVERY_S))
            await self._do(SetHandle(handle), self._random.choice(valid))

    def _next_change(self, valid: Sequence[KeyPair]) -> tuple[Action, KeyPair | None]:
        """What is done next, and who signs it."""
        if not self._chain.number:
            return Create(self._new_recovery()), valid[0]
        actions: list[type[Action]] = [Recover, SetRecovery]
        if len(valid) < DEVICES_MOST:
            actions += [AddKey] * 6 * bool(valid)
        if len(valid) > 1:
            actions += [RevokeKey] * 6
        actions += [RotateKey] * 3 * bool(valid)
        action = self._random.choice(actions)
        if action is AddKey:
            return AddKey(self._new_key(), "another device"), self._random.choice(valid)
        if action is RotateKey:
            old = self._random.choice(valid)
            return RotateKey(old.account, self._new_key()), self._random.choice(valid)
        if action is RevokeKey:
            lost, finder = self._random.sample(valid, 2)
            by_recovery = self._random.random() < BY_RECOVERY
            return RevokeKey(lost.account, "lost"), self._recovery if by_recovery else finder
        recovery = self._recovery
        if action is SetRecovery:
            return SetRecovery(self._new_recovery()), recovery
        with_another = self._random.random() < NEW_RECOVERY
        return Recover((self._new_key(),), self._new_recovery() if with_another else None), recovery

    async def _quarrel(self, valid: Sequence[KeyPair]) -> None:
        """Have two devices revoke each other, at two nodes at once."""
        one, other = self._random.sample(valid, 2)
        self._is_behind = True
        async with trio.open_nursery() as nursery:
            for signer, lost, caller in ((one, other, self._caller), (other, one, self._thief)):
                operation = self._sign(RevokeKey(lost.account, "mine"), signer)
                nursery.start_soon(self._ask_for, operation, trio.current_time(), caller)

    async def _do(self, action: Action, signer: KeyPair | None) -> None:
        """Sign a change and ask for it; what it revoked is then used by a thief."""
        assert signer is not None, "whoever has a chain has a recovery key"
        before = self._chain.state.signing_keys()
        operation = self._sign(action, signer)
        self._open = operation, trio.current_time()
        await self._ask_for_open()
        if self._chain.holds(operation):
            revoked = [key for key in before if not self._chain.state.may_sign(key)]
            for key in revoked[:1]:
                for _ in range(THEFTS):
                    with self._town.watched(self.thief_post.__name__):
                        await self._steal(key)

    def _sign(self, action: Action, signer: KeyPair) -> Operation:
        previous = self._chain.entries[-1].operation if self._chain.entries else None
        return Operation.sign(signer, self._account, action, previous=previous, stamp=self._next_stamp())

    async def _catch_up(self) -> bool:
        """Have an answer to what was asked for last, and know the chain; whether both is so."""
        if self._open is not None:
            await self._ask_for_open()
        if self._open is None and self._is_behind:
            answer = await self._ask(
                self._caller, "account.history", {"account": self._account, "current": True}
            )
            if isinstance(answer, dict):
                entries = [Entry.from_wire(entry) for entry in answer["operations"]]
                self._chain, self._is_behind = Chain(self._account, entries), False
                self._recovery = self._keys.get(self._chain.state.recovery or b"")
        return self._open is None and not self._is_behind

    async def _ask_for_open(self) -> None:
        assert self._open is not None
        operation, sent_s = self._open
        settled = await self._ask_for(operation, sent_s, self._caller)
        if settled is None and self._random.random() >= GIVEN_UP:
            return  # and ask again when there is something to do next
        self._open = None
        if settled:
            self._chain = self._chain.followed_by(operation, self._wall.now_us())
            self._recovery = self._keys.get(self._chain.state.recovery or b"")
        else:
            self._is_behind = True

    async def _ask_for(self, operation: Operation, sent_s: float, caller: Asker) -> bool | None:
        """Ask for an operation, a few times; whether it was done, None when nobody says."""
        for _ in range(ASK_AGAIN):
            answer = await self._ask(caller, "account.change", {"operation": operation.to_wire()})
            if isinstance(answer, dict):
                self._history.key_changes.append(KeyChange(operation, sent_s, trio.current_time()))
                return True
            if answer is not None and not answer.kind.retryable:
                return False
            await trio.sleep(RETRY_S * self._random.uniform(0.5, 1.5))
        return None

    # Posts.

    async def device_post(self) -> None:
        """Say something on a device that may, as far as its owner knows."""
        if valid := self._valid_keys():
            level = self._random.choice(WRITE_LEVELS)
            await self._post(self._random.choice(valid), level, self._caller)

    async def thief_post(self) -> None:
        """Say something on a device that was revoked of late."""
        state = self._chain.state
        revoked = sorted((each.revoked, each.key) for each in state.keys.values() if each.revoked is not None)
        if revoked:
            _, key = self._random.choice(revoked[-RECENTLY_REVOKED:])
            await self._steal(key)

    async def _steal(self, key: bytes) -> None:
        lucky = self._random.random() < LUCK
        self._thief.preferred = self._gullible(self._account, key) if lucky else ()
        self._thief.leave()
        await self._post(self._keys[key], self._random.choice(THIEF_LEVELS), self._thief)

    async def _post(self, key: KeyPair, level: str, caller: Asker) -> None:
        """Sign a post and send it, and the same bytes again if the answer is not certain."""
        item = make_uuid7(self._wall.now_us() // 1000, self._random.getrandbits(74))
        body = {"text": f"good morning {self._random.getrandbits(64):x}"}
        record = Record.sign(
            key, author=self._account, kind="post", item=item, body=body, stamp=self._next_stamp()
        )
        self._town.written((self._account, "post", item))
        asked = {"records": [record.to_wire()], "level": level}
        for attempt in range(POST_AGAIN):
            sent_s, before = trio.current_time(), self._clocks()
            answer = await self._ask(caller, "record.put", asked)
            if isinstance(answer, dict):
                [result] = answer["results"]
                self._note(record, result, caller.node, sent_s, before, level, first=attempt == 0)
                if result["status"] in KEPT or not result.get("error", {}).get("retryable"):
                    return
            await trio.sleep(RETRY_S * self._random.uniform(0.5, 1.5))

    def _note(
        self,
        record: Record,
        result: Mapping[str, Any],
        gate: str,
        sent_s: float,
        before: Mapping[str, int],
        level: str,
        *,
        first: bool,
    ) -> None:
        """Write down what was answered, if it says something of the key."""
        at_s, after = trio.current_time(), self._clocks()
        self._history.count(f"device posts {result['status']}")
        if result["status"] in KEPT:
            answer = Answer.KEPT
            ack = Ack(record, sent_s, at_s, level, result["achieved"]["level"], None)
            self._history.acks.append(ack)
            self._town.acknowledged(ack)
            self._town.posts.append((record.author, record.item))
        elif result.get("error", {}).get("name") == REVOKED_KEY.name:
            answer = Answer.REVOKED
        else:
            return
        wall_us = before.get(gate, 0), after.get(gate, 0)  # 0 for what was lost meanwhile, or is new
        self._history.device_posts.append(DevicePost(record, gate, answer, sent_s, at_s, wall_us, first))

    # Both.

    async def _ask(
        self, caller: Asker, method: str, params: Mapping[str, Any]
    ) -> dict[str, Any] | WireError | None:
        """The result, the error, or None when nobody answered; why is counted."""
        try:
            result: dict[str, Any] = await caller.call(method, params)
        except WireError as error:
            self._history.count(f"{method} answered {error.kind.name}")
            return error
        except UNANSWERED as error:
            self._history.count(f"{method} unanswered: {type(error).__name__}")
            return None
        self._history.count(f"{method} answered")
        return result

    def _valid_keys(self) -> list[KeyPair]:
        state = self._chain.state
        return [self._keys[key] for key in state.signing_keys() if state.may_sign(key)]

    def _new_key(self) -> bytes:
        pair = KeyPair(self._random.randbytes(SEED_BYTES))
        self._keys[pair.account] = pair
        return pair.account

    def _new_recovery(self) -> bytes:
        recovery = self._new_key()
        if self._recovery is None:
            self._recovery = self._keys[recovery]
        return recovery

    def _next_stamp(self) -> int:
        self._stamp = max(self._stamp + 1, self._wall.now_us())
        return self._stamp
