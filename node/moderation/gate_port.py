"""Taking a record through the gate, for methods that do more with it than `record.put` does."""

from __future__ import annotations

from typing import Any, Protocol

import trio
from folkmoot.node.actors.session import Asker
from folkmoot.node.contracts import PutRequest
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token


class Intake(Protocol):
    """Takes in records; see `intake`."""

    def submit(self, request: PutRequest) -> None: ...


async def through_the_gate(
    intake: Intake, record: Record, level: Level, token: Token, asker: Asker
) -> dict[str, Any]:
    """Take a record through the gate, as `record.put` does; what that answers.

    Raises:
        WireError: from the intake.
    """
    answered = trio.Event()
    answers: list[dict[str, Any] | WireError] = []

    def answer(value: dict[str, Any] | WireError) -> None:
        answers.append(value)
        answered.set()

    intake.submit(PutRequest([record.to_wire()], level, token, asker.origin, answer))
    await answered.wait()
    [answer_given] = answers
    if isinstance(answer_given, WireError):
        raise answer_given
    return answer_given
