"""The magistrate: an operator who reviews what somebody of doubtful habits writes, and decides about it.

Nobody else looks at these posts, so what is expected of others' posts is not of these: that they are shown.
Each decision is asked for until there is an answer, and what must then be so is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.environment import WallClock
from folkmoot.node.simulation.caller import UNANSWERED
from folkmoot.node.simulation.history import History, Review
from folkmoot.node.simulation.layout import OPERATOR
from folkmoot.node.simulation.phrases import JUDGED_PHRASES
from folkmoot.node.simulation.town import Asker
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.decision import KIND, Action, Decision, Role, Subject
from folkmoot.protocol.record import Record

RETRY_S: Final = 0.5
GIVE_UP_S: Final = 100.0
DOUBTFUL: Final = JUDGED_PHRASES[1]
UNSOUGHT: Final = "hear, hear"  # which nobody searches for, so that nobody expects to find it
DONE: Final = frozenset({"stored", "duplicate"})
REASON: Final = "The magistrate has thought about it."


class Magistrate:
    """See the module.

    Args:
        history: where it is written down what must be so.
        accused: whose posts are reviewed.
        random: decides what is written and decided.
        wall: the accused's clock, and the magistrate's.
        caller: whom they ask, as an operator.
        pause_s: mean time between two cases.
        watched: says that something is under way.
    """

    def __init__(
        self,
        history: History,
        accused: KeyPair,
        random: Random,
        wall: WallClock,
        caller: Asker,
        pause_s: float,
        watched: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._history, self._accused, self._random = history, accused, random
        self._wall, self._caller, self._pause_s, self._watched = wall, caller, pause_s, watched
        self._stamp = 0

    async def live(self, until_s: float) -> None:
        """Try cases until the virtual time `until_s`, and end the last."""
        for action in (Action.RELEASE, Action.REMOVE, Action.REJECT):
            await self._case(action, restores=False)
        while trio.current_time() < until_s:
            await trio.sleep(self._random.expovariate(1 / self._pause_s))
            action = self._random.choice((Action.RELEASE, Action.REJECT, Action.REMOVE))
            await self._case(action, restores=self._random.random() < 0.5)

    async def _case(self, action: Action, *, restores: bool) -> None:
        text = UNSOUGHT if action is Action.REMOVE else DOUBTFUL
        item = make_uuid7(self._wall.now_us() // 1000, self._random.getrandbits(74))
        body = {"text": text}
        post = Record.sign(self._accused, kind="post", item=item, body=body, stamp=self._next_stamp())
        with self._watched("review"):
            answer = await self._until_done("record.put", {"records": [post.to_wire()]})
            wanted = "held" if action.is_of_version else "stored"
            if answer is None or answer["results"][0]["status"] not in (wanted, "duplicate"):
                return
            decided = await self._decide(post, action)
            if decided is not None and action is Action.REMOVE and restores:
                await self._decide(post, Action.RESTORE, decided)

    async def _decide(self, post: Record, action: Action, before: Decision | None = None) -> Decision | None:
        """Decide about a post, and write down what must be so once that is acknowledged."""
        stamp = self._next_stamp()
        reverses = () if before is None else (before.mark,)
        subject = Subject("post", post.item)
        decision = Decision(
            *(subject, post.id, action, Role.OPERATOR, OPERATOR.account, stamp, REASON), reverses=reverses
        )
        item, body = decision.item, decision.body()
        record = Record.sign(
            OPERATOR, kind=KIND, item=item, body=body, stamp=stamp, place=self._accused.account
        )
        # Whatever becomes of it, what was so before need not be so any more.
        self._history.reviews.pop(post.key, None)
        answer = await self._until_done("moderation.decide", {"record": record.to_wire()})
        if answer is None:
            return None
        self._history.reviews[post.key] = Review(post, action.word)
        return decision

    async def _until_done(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask until it is done at its level; None when it is refused for good, or takes too long."""
        with trio.move_on_after(GIVE_UP_S):
            while True:
                try:
                    answer = await self._caller.call(method, params)
                    results = answer.get("results", [answer, answer.get("released", answer)])
                    if all(each["status"] in (*DONE, "held") for each in results):
                        return answer
                    if any(each["status"] == "refused" for each in results):
                        self._history.count("reviews refused")
                        return None
                except (*UNANSWERED, WireError):
                    pass
                await trio.sleep(RETRY_S)
        self._history.count("reviews given up")
        return None

    def _next_stamp(self) -> int:
        self._stamp = max(self._wall.now_us(), self._stamp + 1)
        return self._stamp
