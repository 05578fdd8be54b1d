"""The gatekeeper: holds the policy and the quota, and answers for every record before it is accepted.

Judging is a plain call, so that the coordinator's batches cost no task and no message. The task only keeps
the policy current: it looks at the file now and then, loads what changed off the event loop, and puts the
new engine in place whole. A batch is judged by the engine it began with. A policy that cannot be used leaves
the old one in force and is reported, in the log and in `status`. What the community has put in force goes
before the file (`convene`), which is kept current all the same, for the day it is rolled back to.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.bench import OWN_FILE, Bench
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_file import PolicyFiles, Signature, signature_of
from folkmoot.node.moderation.quota import Quota, QuotaRates
from folkmoot.node.moderation.submissions import Counting, Submission, texts_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.flood import Flood
from folkmoot.protocol.moderation.policy import EMPTY, PolicyError
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record

POLL_INTERVAL_S: Final = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GatekeeperStatus:
    """What the gate is doing.

    Args:
        policy, name: hash and name of the policy in force.
        file: where it came from; None when the node was given no policy.
        loaded_at_us: when it came into force, microseconds since 1970.
        errors: why what is in the file now is not in force; empty when it is.
        unjudged: records held because judging failed, since this policy came into force.
        warnings: what of the policy is not in force: models that are not there, rules that have expired.
    """

    policy: str
    name: str
    file: str | None
    loaded_at_us: int
    errors: tuple[str, ...]
    unjudged: int
    warnings: tuple[str, ...] = ()

    def to_wire(self, *, for_operator: bool) -> dict[str, Any]:
        """As a map, with what is absent left out.

        Args:
            for_operator: whether to tell where the file is and what is wrong with it: paths, and lines of a
                policy that is not in force, are nobody else's business.
        """
        wire: dict[str, Any] = {
            "policy": self.policy,
            "name": self.name,
            "loaded_at_us": self.loaded_at_us,
            "outdated": bool(self.errors),
            "unjudged": self.unjudged,
        }
        if for_operator:
            wire["errors"] = list(self.errors)
            wire["warnings"] = list(self.warnings)
            if self.file is not None:
                wire["file"] = self.file
        return wire


class Gatekeeper:
    """The gate's policy and quota. Call `open`, then keep `run` running.

    Args:
        policy: the policy file; without one every text is accepted.
        rates: the quota.
        wall: for `loaded_at_us`.
        executor: where policies are read and compiled.
        secret: of this node alone, by which texts are compared; see `flood`.
        models: where text models lie, besides those beside the policy.
        poll_interval_s: how often the file is looked at.
    """

    def __init__(
        self,
        policy: Path | None,
        rates: QuotaRates,
        *,
        wall: WallClock,
        executor: Executor,
        secret: bytes,
        models: Path | None = None,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self._file = policy
        self._rates = rates
        self._quota = Quota(rates)
        self._flood = Flood(secret)
        self._models = models
        self._wall = wall
        self._executor = executor
        self._poll_interval_s = poll_interval_s
        self._errors: tuple[str, ...] = ()
        self._wanted = trio.Event()
        self._watched = _Watched()
        self._bench = OWN_FILE
        self._put_in_force(PolicyEngine(EMPTY))

    async def open(self) -> None:
        """Load the policy a first time.

        Raises:
            PolicyError: it cannot be used; a node does not start on a policy nobody wrote.
        """
        if self._file is not None:
            self._put_in_force(await self._read(self._file))

    async def run(self) -> None:
        """Keep the policy current, for ever."""
        while True:
            with trio.move_on_after(self._poll_interval_s):
                await self._wanted.wait()
            await self._refresh()

    def reload(self) -> None:
        """Have the file loaded now, changed or not; the outcome shows in `status`."""
        self._wanted.set()

    def reconfigure(self, policy: Path | None, rates: QuotaRates) -> None:
        """Use another file or other rates, and reload. Other rates start with full buckets."""
        self._file = policy
        if rates != self._rates:
            self._rates = rates
            self._quota = Quota(rates)
        self.reload()

    def convene(self, bench: Bench) -> None:
        """Judge by what the community has put in force, until it is something else; the file then waits."""
        self._bench = bench
        self._loaded_at_us = self._wall.now_us()

    @property
    def judging(self) -> str:
        """The hash of the policy that judges all accounts, or all but those of a canary."""
        return self._bench.settled(self._own).document.hash

    def admit_change(self, address: str, now: float) -> WireError | None:
        """See `Quota.admit_change`."""
        return self._quota.admit_change(address, now)

    def look_at_batch(
        self, records: Sequence[Record], account_exempt: bool, address: str, now: float
    ) -> list[WireError | None]:
        """Have the address pay for having records verified, before they are.

        Args:
            records: of one request, read and not verified.
            account_exempt, address, now: as for `judge_batch`.

        Returns:
            For each record None, or the `rate_limited` error it is turned away with unseen.
        """
        if account_exempt:
            return [None] * len(records)
        before: Counter[bytes] = Counter()
        answers: list[WireError | None] = []
        for record in records:
            limited = self._quota.look_at(record.author, address, now, before[record.author])
            before[record.author] += limited is None
            answers.append(limited)
        return answers

    def judge_batch(
        self, records: Sequence[Record], account_exempt: bool, address: str, now: float
    ) -> list[Verdict | WireError]:
        """Judge records that were put together, in their order.

        Args:
            records: read and verified.
            account_exempt: whether the sender's quota is unlimited, as an operator's import is.
            address: where they came from, without the port.
            now: monotonic seconds.

        Returns:
            For each record the verdict it is accepted, labelled or held with, or the error it is turned
            away with (`rate_limited`, `refused_by_policy`). Those with a verdict must be settled.
        """
        bench, own, quota, now_us = self._bench, self._own, self._quota, self._wall.now_us()
        answers: list[Verdict | WireError] = []
        for record in records:
            limited = None if account_exempt else quota.admit(record.author, address, now)
            if limited is not None:
                answers.append(limited)
                continue
            counting = None if account_exempt else self._counting(record, address, now)
            answer = _judge(bench.judge_of(record.author, own), record, counting, now_us)
            if isinstance(answer, WireError) and not account_exempt:
                quota.settle(record.author, address, now, changed=False)
                self._flood.settle(record.id, changed=False)
            elif not account_exempt and isinstance(answer, Verdict) and answer.action is Action.HOLD:
                quota.hold(record.author, address)
            answers.append(answer)
        return answers

    def _counting(self, record: Record, address: str, now: float) -> Counting:
        return lambda text: self._flood.look(record.id, record.author, address, text, now)

    def settle_batch(
        self,
        records: Sequence[Record],
        changed: Sequence[bool],
        held: Sequence[bool],
        account_exempt: bool,
        address: str,
        now: float,
    ) -> None:
        """Have the authors of records pay for what they changed, once that is known.

        Args:
            records: those that `judge_batch` gave a verdict.
            changed: of each, whether it changed something.
            held: of each, whether that verdict held it.
            account_exempt, address, now: as for `judge_batch`.
        """
        if account_exempt:
            return
        for record, each, waits in zip(records, changed, held, strict=True):
            self._quota.settle(record.author, address, now, changed=each, held=waits)
            self._flood.settle(record.id, changed=each)

    def appeal(self) -> str:
        """The sentence of the policy in force about whom to ask for another look."""
        return self._bench.settled(self._own).document.appeal

    def status(self) -> GatekeeperStatus:
        """What the gate is doing now."""
        engine = self._bench.settled(self._own)
        document = engine.document
        return GatekeeperStatus(
            policy=document.hash,
            name=document.name,
            file=None if self._file is None else str(self._file),
            loaded_at_us=self._loaded_at_us,
            errors=self._errors,
            unjudged=engine.unjudged_count,
            warnings=tuple(engine.warnings(self._wall.now_us())),
        )

    async def _refresh(self) -> None:
        wanted = self._wanted.is_set()
        if wanted:
            self._wanted = trio.Event()
        file = self._file
        if file is None:
            if self._own.document is not EMPTY:
                self._put_in_force(PolicyEngine(EMPTY))
            self._errors = ()
            return
        files = self._watched.files(file)
        signature = await self._executor.run(partial(signature_of, files))
        if self._watched.changed(signature) or wanted:
            await self._load(file)

    async def _read(self, file: Path) -> PolicyEngine:
        """Read a policy, and watch the files it is made of, whether or not it can be used.

        Raises:
            PolicyError: it cannot.
        """
        files = PolicyFiles(file, self._models)
        try:
            return await self._executor.run(files.load)
        finally:
            self._watched.settled = files.signature

    async def _load(self, file: Path) -> None:
        try:
            engine = await self._read(file)
        except PolicyError as error:
            self._errors = error.problems
            logger.error("policy %s stays in force, the new one is unusable:\n%s", self._short_hash, error)
            return
        self._errors = ()
        before = self._own
        if (engine.document.hash, engine.problems) != (before.document.hash, before.problems):
            self._put_in_force(engine)
            logger.info("policy %s (%s) is in force", self._short_hash, engine.document.name)

    def _put_in_force(self, engine: PolicyEngine) -> None:
        self._own = engine
        self._loaded_at_us = self._wall.now_us()

    @property
    def _short_hash(self) -> str:
        return self._own.document.hash[:12]


class _Watched:
    """Tells a file that changed and came to rest from one that is still being written.

    Attributes:
        settled: the signature of what was loaded, or tried, last.
    """

    def __init__(self) -> None:
        self.settled: Signature = ()
        self._before: Signature = ()

    def files(self, file: Path) -> list[Path]:
        """What is to be looked at: the policy's file, and what it had last to do with."""
        return list(dict.fromkeys((file, *(each for each, _state in self.settled))))

    def changed(self, signature: Signature) -> bool:
        """Whether the file differs from what was loaded and looked the same when last asked."""
        rested = signature == self._before
        self._before = signature
        return rested and signature != self.settled


def _judge(
    engine: PolicyEngine, record: Record, counting: Counting | None, now_us: int
) -> Verdict | WireError:
    texts = texts_of(record)
    if texts is None:
        return engine.accepted
    verdict = engine.judge_record(Submission(texts, record, counting), now_us)
    if verdict.action is Action.REFUSE:
        return verdict.to_error(engine.document.appeal)
    return verdict
