"""A pen: signs what an account with one device says, and sends it until the answer is certain."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.node.simulation.history import KEPT, Ack
from folkmoot.node.simulation.town import WRITE_LEVELS, Asker, Town
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

ATTEMPTS: Final = 3
RETRY_S: Final = 0.25
SETTLE_S: Final = 60.0


class Pen:
    """See the module.

    Args:
        town: where what is answered is written down.
        key: the account's, and its device's.
        random: decides levels and pauses.
        wall: the device's clock.
        caller: who is asked.
    """

    def __init__(self, town: Town, key: KeyPair, random: Random, wall: WallClock, caller: Asker) -> None:
        self.account = key.account
        self._town = town
        self._key = key
        self._random = random
        self._wall = wall
        self._caller = caller
        self._stamp = 0
        self._unsettled: deque[Record] = deque()

    def new_item(self) -> bytes:
        """The item of a new post."""
        return make_uuid7(self._wall.now_us() // 1000, self._random.getrandbits(74))

    async def write(self, kind: str, item: bytes, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Say something in the account's own place.

        Returns:
            The result for the record, when it settles the matter; else None: `settle` goes on.
        """
        self._stamp = max(self._stamp + 1, self._wall.now_us())
        record = Record.sign(self._key, kind=kind, item=item, body=dict(body), stamp=self._stamp)
        self._town.written((self.account, kind, item))
        self._town.history.submitted.append(record)
        for attempt in range(ATTEMPTS):
            result = await self._send(record)
            if result is not None:
                return result
            await trio.sleep(RETRY_S * 2**attempt * self._random.uniform(0.5, 1.5))
        self._unsettled.append(record)
        return None

    async def settle(self) -> None:
        """Send again whatever has no certain answer yet, until it has one, or for a minute."""
        until_s = trio.current_time() + SETTLE_S
        while self._unsettled and trio.current_time() < until_s:
            record = self._unsettled.popleft()
            if await self._send(record) is None:
                self._unsettled.append(record)
            await trio.sleep(RETRY_S)

    async def ask(self, method: str, params: Mapping[str, Any]) -> Any:
        """The answer, the error, or None when nobody answered; why is counted."""
        history = self._town.history
        try:
            answer = await self._caller.call(method, params)
        except WireError as error:
            history.count(f"{method} answered {error.kind.name}")
            return error
        except UNANSWERED as error:
            history.count(f"{method} unanswered: {type(error).__name__}")
            return None
        history.count(f"{method} answered")
        return answer

    async def _send(self, record: Record) -> Mapping[str, Any] | None:
        sent_s, level = trio.current_time(), self._random.choice(WRITE_LEVELS)
        answer = await self.ask("record.put", {"records": [record.to_wire()], "level": level})
        if not isinstance(answer, dict):
            return None
        result: Mapping[str, Any]
        [result] = answer["results"]
        self._town.history.count(f"writes {result['status']}")
        if result["status"] in KEPT:
            achieved = result["achieved"]["level"]
            ack = Ack(record, sent_s, trio.current_time(), level, achieved, None)
            self._town.history.acks.append(ack)
            self._town.acknowledged(ack)
            return result
        refused = result["status"] == "refused" and not result["error"]["retryable"]
        return result if refused else None
