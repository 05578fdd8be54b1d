"""What the gate makes of keys: who may sign, and what is done while nobody can tell this node.

A node that a majority of the seats has not answered of late is *cut off*: a key it takes for good may have
been revoked. It goes on taking records by what it knows, for a bounded time, and keeps a note of every post
it takes so. Once it is connected again it looks at each of them. A post whose key could no longer sign when
it was taken stays, since other nodes may have it by then, and is labelled by this node's service account.

A node that is not cut off may hear of a revocation late, too, when it was not reached at first. So the last
posts are remembered, those of accounts that anything is known to have been done to apart from the others, and
looked at when their account changes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Protocol

import trio
from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.commits import Commits
from folkmoot.node.contracts import Put, PutResult, Settle
from folkmoot.node.environment import WallClock
from folkmoot.protocol import limits
from folkmoot.protocol.errors import NO_QUORUM, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.label import KIND as LABEL
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import Level
from folkmoot.storage.accounts import Unconfirmed
from folkmoot.storage.errors import StorageError, StoreCorrupt
from folkmoot.storage.transaction import Admission, WriteTransaction

log = logging.getLogger(__name__)

REVOKED_LABEL: Final = "revoked-key"
REASON: Final = "a node that was cut off took this when its key had been revoked already"
LEVEL: Final[Level] = "quorum"
RETRY_MS: Final = 5_000
PAGE: Final = 64
PAUSE_S: Final = 5.0
_CONFIRMED: Final = "accounts-confirmed"


class Follower(Protocol):
    """See `actors.account_follower`."""

    @property
    def confirmed(self) -> bool: ...

    @property
    def confirmed_at(self) -> float | None: ...

    async def wait_confirmed(self) -> None: ...


class Coordination(Protocol):
    """Brings puts to their replicas."""

    async def put(self, puts: Sequence[Put], level: Level, settle: Settle) -> None: ...


class KeyGate:
    """See the module. Once `open` has returned it can be asked; `run` must be running.

    Args:
        keys: what is known of accounts.
        follower: whether that is all there is to know.
        commits: where notes are kept.
        coordination: where labels go.
        service: this node's key pair, which signs them.
        wall: says how long this node has been cut off, across restarts.
        limit_s: for how long records are taken meanwhile.
    """

    def __init__(
        self,
        keys: AccountKeys,
        follower: Follower,
        commits: Commits,
        coordination: Coordination,
        service: KeyPair,
        wall: WallClock,
        limit_s: float,
    ) -> None:
        self._keys = keys
        self._follower = follower
        self._commits = commits
        self._coordination = coordination
        self._service = service
        self._wall = wall
        self._limit_s = limit_s
        self._confirmed_us = wall.now_us()
        self._kept_us = 0
        # By whether anything is known to have been done to the account: the others cannot crowd these out.
        self._recent = {
            changed: deque[Unconfirmed](maxlen=limits.UNCONFIRMED_RECENT) for changed in (False, True)
        }
        self._taken_at: dict[bytes, float] = {}  # of what was noted since this node was started, by id
        self._late: list[Unconfirmed] = []
        self._is_late = trio.Event()
        keys.watch(self._account_changed)

    async def open(self) -> None:
        """Find out since when keys have not been confirmed; for a new store, since now.

        Where that is damaged, for too long: nothing is taken until they are confirmed, which is soon unless
        this node is cut off.
        """
        try:
            kept = self._commits.store.meta_get(_CONFIRMED)
        except StoreCorrupt as error:
            log.error("since when keys have not been confirmed is not known any more: %s", error)
            self._confirmed_us -= int(self._limit_s * 1e6) + 1
            return
        if kept is None:
            await self._keep()
        else:
            self._confirmed_us = self._kept_us = int.from_bytes(kept, "big")

    @property
    def unconfirmed_s(self) -> float:
        """For how long this node has not been able to confirm keys; at most a few seconds while it can."""
        at = self._follower.confirmed_at
        if at is not None:
            return max(0.0, trio.current_time() - at)
        return max(0.0, (self._wall.now_us() - self._confirmed_us) / 1e6)

    def status(self) -> dict[str, Any]:
        """Whether keys are confirmed, for how long they have not been, and for how long records are taken."""
        return {
            "confirmed": self._follower.confirmed,
            "unconfirmed_s": round(self.unconfirmed_s, 1),
            "limit_s": self._limit_s,
        }

    def refusal(self, author: bytes, key: bytes) -> WireError | None:
        """Why nothing that `key` signs for an account can be taken now; None if it can."""
        error = self._keys.refusal(author, key)
        if error is None and self.unconfirmed_s > self._limit_s:
            return WireError(
                NO_QUORUM,
                f"this node has been cut off from most seats for {self.unconfirmed_s / 3600:.1f} hours, and "
                "takes nothing any more: it cannot know which keys have been revoked; try another node",
                retry_after_ms=RETRY_MS,
            )
        return error

    async def take(self, records: Sequence[Record]) -> None:
        """Note what is about to be taken, if this node is cut off.

        Raises:
            StorageError: the notes cannot be kept, so the records must not be taken.
        """
        posts = [record for record in records if record.kind == "post" and not record.deleted]
        if not posts:
            return
        now, now_us = trio.current_time(), self._wall.now_us()
        notes = [_note(each, now_us) for each in posts]
        if not self._follower.confirmed:
            await self._note(notes)
            self._taken_at |= dict.fromkeys((note.id for note in notes), now)
            return
        for note in notes:
            self._recent[self._keys.has_changes(note.author)].append(note)
        # Some may have waited for their turn while their keys were revoked.
        self._look_again([note for note in notes if self._keys.refusal(note.author, note.signer)])

    async def run(self) -> None:
        """Look at what was noted whenever keys are confirmed, and when one turns out to have been revoked."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_when_confirmed)
            nursery.start_soon(self._look_when_late)

    async def _look_when_confirmed(self) -> None:
        while True:
            await self._follower.wait_confirmed()
            self._confirmed_us = self._wall.now_us()
            try:
                if self._confirmed_us - self._kept_us > self._limit_s * 1e6 / 100:
                    await self._keep()
                while await self._settle_some():
                    pass
            except (WireError, StorageError) as error:
                log.warning("posts that were taken while cut off are not looked at yet: %s", error)
                await trio.sleep(PAUSE_S)

    async def _look_when_late(self) -> None:
        while True:
            await self._is_late.wait()
            self._is_late = trio.Event()
            late = list(self._late)
            try:
                await self._note(late)
                del self._late[: len(late)]
                await self._settle_some()
            except (WireError, StorageError) as error:
                log.warning("posts that were taken too late are not looked at yet: %s", error)
                await trio.sleep(PAUSE_S)
                self._is_late.set()

    def _account_changed(self, account: bytes, valid: Collection[bytes]) -> None:
        """Have the posts looked at again that an account's revoked keys signed of late."""
        if len(valid) == len(self._keys.state(account).keys):
            return  # no key has ever lost anything, as after most changes
        recent = chain.from_iterable(self._recent.values())
        self._look_again([note for note in recent if note.author == account and note.signer not in valid])

    def _look_again(self, notes: Sequence[Unconfirmed]) -> None:
        """Have posts looked at that were remembered, by what is known now."""
        if not notes:
            return
        self._late += notes
        self._is_late.set()
        ids = {note.id for note in notes}
        for changed, recent in self._recent.items():
            left = (note for note in recent if note.id not in ids)
            self._recent[changed] = deque(left, maxlen=recent.maxlen)

    async def _note(self, notes: Sequence[Unconfirmed]) -> None:
        def job(transaction: WriteTransaction) -> None:
            transaction.accounts.note(notes)

        await self._commits.run(job, Admission.CLIENT_PUT, rows=len(notes))

    async def _keep(self) -> None:
        """Have a later start of this node know when keys were confirmed last, to a hundredth of the bound."""
        confirmed_us = self._confirmed_us

        def job(transaction: WriteTransaction) -> None:
            transaction.meta_put(_CONFIRMED, confirmed_us.to_bytes(8, "big"))

        await self._commits.run(job, Admission.ESSENTIAL)
        self._kept_us = confirmed_us

    async def _settle_some(self) -> bool:
        """Look at the first notes; whether there may be more.

        Raises:
            WireError: a label could not be brought to its replicas; the notes stay.
        """
        found = self._commits.store.unconfirmed(PAGE)
        notes = [note for _, note in found if note is not None]
        if damaged := len(found) - len(notes):
            log.error("%d notes of posts taken while cut off are damaged: these are not labelled", damaged)
        lost = [note for note in notes if self._had_lost(note)]
        if lost:
            await self._put([self._label(note) for note in lost])
            log.warning("%d posts that this node took while cut off had revoked keys: labelled", len(lost))
        settled = [(at, note) for at, note in found if note is None or note in lost or self._is_judged(note)]
        if settled:

            def job(transaction: WriteTransaction) -> None:
                transaction.accounts.settle(at for at, _ in settled)

            await self._commits.run(job, Admission.ESSENTIAL)
            for _, note in settled:
                if note is not None:
                    self._taken_at.pop(note.id, None)
        return len(settled) == PAGE

    def _had_lost(self, note: Unconfirmed) -> bool:
        return self._keys.chain(note.author).had_lost(note.signer, note.taken_us)

    def _is_judged(self, note: Unconfirmed) -> bool:
        """Whether all that had been acknowledged when a post was taken is known by now."""
        confirmed_at = self._follower.confirmed_at
        return confirmed_at is not None and self._taken_at.get(note.id, confirmed_at) <= confirmed_at

    def _label(self, note: Unconfirmed) -> Record:
        """The label on a post, under the post's own stamp: labelling it twice says the same twice."""
        label = Label(note.item, REVOKED_LABEL, self._service.account, note.id, REASON)
        return Record.sign(
            self._service,
            kind=LABEL,
            item=label.item,
            body=label.body(),
            stamp=note.stamp,
            place=note.author,
        )

    async def _put(self, labels: Sequence[Record]) -> None:
        failed: list[str] = []

        def settle(results: Mapping[int, PutResult]) -> None:
            failed.extend(
                each.status for each in results.values() if each.status not in ("stored", "duplicate")
            )

        await self._coordination.put([Put(label) for label in labels], LEVEL, settle)
        if failed:
            raise WireError(NO_QUORUM, f"{len(failed)} labels did not reach their replicas: {failed[0]}")


def _note(post: Record, taken_us: int) -> Unconfirmed:
    return Unconfirmed(post.author, post.device, post.item, post.id, post.stamp, taken_us)
