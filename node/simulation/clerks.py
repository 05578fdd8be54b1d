"""Clerks: whoever reads and changes registers of a cluster, simulated or real, as operators over real links.

A clerk reads a register, or sets it to something new if it still is what the clerk saw last. What became of a
change that was not answered is asked again under its request id, at whatever node, and if that is never
answered it stays in doubt. All of it is kept for the checker of linearizability.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.node.simulation.checkers.linearizability import UNKNOWN, Operation
from folkmoot.node.simulation.checkers.models import Call
from folkmoot.node.simulation.history import History
from folkmoot.node.simulation.town import Asker, Watched, unwatched
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.limits import REQUEST_ID_BYTES

REGISTERS: Final = ("probe/0", "probe/1")
READ_SHARE: Final = 0.4
ASK_AGAIN: Final = 3
RETRY_S: Final = 0.5

Version = tuple[int, bytes]


class Clerk:
    """See the module.

    Args:
        history: where everything answered goes.
        name: its tag.
        random: decides what it does.
        caller: whom it asks, as an operator.
        pause_s: mean time between two things it does.
        watched: entered with the name of each thing it does, for as long as it takes.
    """

    def __init__(
        self,
        history: History,
        name: str,
        random: Random,
        caller: Asker,
        pause_s: float,
        watched: Watched = unwatched,
    ) -> None:
        self._name = name
        self._history = history
        self._random = random
        self._caller = caller
        self._pause_s = pause_s
        self._watched = watched
        self._seen: dict[str, Version | None] = dict.fromkeys(REGISTERS)
        self._doings = 0

    async def begin(self) -> None:
        """Take down what the registers hold, as if that was written now: for those that were used before."""
        for register in REGISTERS:
            called_at = self._history.next_event()
            answer = await self._ask("register.read", {"name": register})
            if isinstance(answer, dict):
                self._note(register, Call("write", _version(answer)), None, called_at)

    async def live(self, over: Callable[[], bool]) -> None:
        """Do things until `over` says so."""
        while not over():
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            register = self._random.choice(REGISTERS)
            if self._random.random() < READ_SHARE:
                with self._watched("register_read"):
                    await self._read(register)
            else:
                with self._watched("register_set"):
                    await self._set(register)

    async def _read(self, register: str) -> None:
        called_at = self._history.next_event()
        answer = await self._ask("register.read", {"name": register})
        if isinstance(answer, dict):
            self._seen[register] = _version(answer)
            self._note(register, Call("read"), self._seen[register], called_at)

    async def _set(self, register: str) -> None:
        """Change what was seen last, or find out that it is something else by now."""
        seen, request = self._seen[register], self._random.randbytes(REQUEST_ID_BYTES)
        version = 0 if seen is None else seen[0]
        params = {"name": register, "body": request, "request": request, "version": version}
        call = Call("cas", (seen, (version + 1, request)))
        called_at = self._history.next_event()
        for asked in range(ASK_AGAIN):
            answer = await self._ask("register.set", params)
            if isinstance(answer, dict):
                self._seen[register] = _version(answer)
                self._note(register, call, True, called_at)
                return
            if answer is not None and answer.kind is CONFLICT:
                forgotten = asked > 0 and (answer.details or {}).get("forgotten")
                self._note(register, call, UNKNOWN if forgotten else False, called_at)
                await self._read(register)
                return
            await trio.sleep(RETRY_S * self._random.uniform(0.5, 1.5))
        self._note(register, call, UNKNOWN, called_at)

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any] | WireError | None:
        """The result, the error, or None when nobody answered; why is counted."""
        try:
            result: dict[str, Any] = await self._caller.call(method, params)
        except WireError as error:
            self._history.count(f"{method} answered {error.kind.name}")
            return error
        except UNANSWERED as error:
            self._history.count(f"{method} unanswered: {type(error).__name__}")
            return None
        self._history.count(f"{method} answered")
        return result

    def _note(self, register: str, call: Call, result: Any, called_at: int) -> None:
        # Every operation is a process of its own: one that is in doubt may take effect long after the next.
        self._doings += 1
        process = f"{self._name}/{self._doings}"
        operation = Operation(process, call, result, called_at, self._history.next_event())
        self._history.registers.setdefault(register, []).append(operation)


def _version(answer: dict[str, Any]) -> Version | None:
    value = answer["value"]
    return None if value is None else (value["version"], value["body"])
