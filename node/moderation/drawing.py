"""Drawing: a node draws posts at random from those that it judged, and keeps them for a blind review.

Each new version of a post that passed the gate, or was put aside by it, is drawn with a probability that does
not turn on anything but whether the gate acted on it, by the environment's randomness, which no author can
foresee; once, when it changed something, so that sending a post again does not make it likelier. What is
drawn is written beside what clients wait for, not before. What was drawn of posts that are gone by now is
looked for, a few at a time, and let go.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Final, Protocol

import trio
from folkmoot.node.commits import Commits
from folkmoot.node.environment import WallClock
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.bounds import DRAWS_CHECK_S, DRAWS_CHECKED, DRAWS_WAITING
from folkmoot.protocol.moderation.sampling import MILLION, Draw
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record
from folkmoot.storage import draws
from folkmoot.storage.draws import NUMBER_BYTES, Drawn
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission

POST: Final = "post"

log = logging.getLogger(__name__)


class Posts(Protocol):
    """Knows which versions there are."""

    async def gone(self, drawn: Sequence[Drawn]) -> list[Drawn]: ...


class Drawing:
    """See the module.

    Args:
        commits: where draws are kept.
        random: of the environment.
        wall: for when something was drawn.
        account: of this node (34 bytes).
        share: of what was let in, 0 to 1; 0 for nothing at all.
        share_actioned: of what the gate labelled or put aside.

    Attributes:
        left_out: how many posts were drawn and not kept, because there was no time or room for it.
    """

    def __init__(
        self,
        commits: Commits,
        random: Random,
        wall: WallClock,
        account: bytes,
        *,
        share: float,
        share_actioned: float,
    ) -> None:
        self._commits = commits
        self._random = random
        self._wall = wall
        self._account = account
        self._accepted = round(share * MILLION)
        self._actioned = max(self._accepted, round(share_actioned * MILLION)) if self._accepted else 0
        self._waiting: deque[Drawn] = deque(maxlen=DRAWS_WAITING)
        self._wanted = trio.Event()
        self._checked = b""
        self.left_out = 0

    def judged(self, judged: Iterable[tuple[Record, Verdict]]) -> None:
        """Draw from what the gate judged and what changed something."""
        for record, verdict in judged:
            if record.kind != POST or record.takes_back:
                continue
            millionths = self._accepted if verdict.action is Action.ACCEPT else self._actioned
            if self._random.randrange(MILLION) < millionths:
                self.left_out += len(self._waiting) == DRAWS_WAITING  # the oldest gives way
                self._waiting.append(self._drawn(record, verdict, millionths))
                self._wanted.set()

    async def run(self, posts: Posts) -> None:
        """Write down what is drawn, and let go what is gone, for ever."""
        check_at = trio.current_time() + DRAWS_CHECK_S
        while True:
            with trio.move_on_at(check_at):
                await self._wanted.wait()
            if self._wanted.is_set():
                self._wanted = trio.Event()
                await self._keep()
            if trio.current_time() >= check_at:
                await self._check(posts)
                check_at = trio.current_time() + DRAWS_CHECK_S

    def kept(self, wanted: Callable[[bytes], bool] = lambda at: True) -> Iterator[Drawn]:
        """What is kept, in the order in which it is given out, each read as it is come to.

        Args:
            wanted: whether what stands at the key of a row is to be read at all.
        """
        last: bytes | None = b""
        while last is not None:
            ats = draws.keys(self._commits.store.engine, last, DRAWS_CHECKED)
            found = (self.find(at) for at in ats if wanted(at))
            yield from (drawn for drawn in found if drawn is not None)
            last = ats[-1] if len(ats) == DRAWS_CHECKED else None

    def find(self, at: bytes) -> Drawn | None:
        """What is kept under the key of a row."""
        return draws.find(self._commits.store.engine, at)

    async def forget(self, ats: Sequence[bytes]) -> None:
        """Let go what was answered, or is gone, by the keys of the rows.

        Raises:
            StorageError: the store does not work.
        """
        if ats:
            await self._commits.run(partial(draws.forget, ats=ats), Admission.ESSENTIAL)

    def _drawn(self, record: Record, verdict: Verdict, millionths: int) -> Drawn:
        said = record.body.get("lang")
        draw = Draw(
            post_item=record.item,
            version=record.id,
            node=self._account,
            drawn_us=self._wall.now_us(),
            millionths=millionths,
            action=verdict.action,
            policy=verdict.policy,
            rule=None if verdict.decisive is None else verdict.decisive.rule,
            labels=tuple(dict.fromkeys(each.label for each in verdict.labels if each.label is not None)),
            language=said.lower() if isinstance(said, str) else "",
        )
        return Drawn(self._random.randbytes(NUMBER_BYTES) + record.key, draw)

    async def _keep(self) -> None:
        written = list(self._waiting)
        self._waiting.clear()
        try:
            await self._commits.run(partial(draws.keep, draws=written), Admission.CLIENT_PUT)
        except (WireError, StorageError) as error:
            self.left_out += len(written)
            # A sample that is smaller by chance is a sample all the same.
            log.warning("%d posts that were drawn for a blind review are not kept: %s", len(written), error)

    async def _check(self, posts: Posts) -> None:
        some = draws.kept(self._commits.store.engine, self._checked, DRAWS_CHECKED)
        self._checked = some[-1][0] if len(some) == DRAWS_CHECKED else b""
        damaged = [at for at, drawn in some if drawn is None]
        try:
            gone = await posts.gone([drawn for _, drawn in some if drawn is not None])
            await self.forget([*damaged, *(each.at for each in gone)])
        except (WireError, StorageError) as error:
            log.info("whether what was drawn is still there could not be found out: %s", error)
