"""The gatekeeper: holds the policy and the quota, and answers for every record before it is accepted.

Judging is a plain call, so that the coordinator's batches cost no task and no message. It goes on for a
moment: what is left of a batch then is for the next call, so that others can go first. The task only keeps
the policy current: it looks at the file now and then, loads what changed off the event loop, and puts the
new engine in place whole. One call judges by the engines it began with. A policy that cannot be used leaves
the old one in force and is reported, in the log and in `status`. What the community has put in force goes
before the file (`convene`), which is kept current all the same, for the day it is rolled back to.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.bench import OWN_FILE, Bench
from folkmoot.node.moderation.budget import Budget
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.figures import GateFigures
from folkmoot.node.moderation.gate_status import GatekeeperStatus
from folkmoot.node.moderation.lookups import NOTHING, LookedUp, Lookup, look_up
from folkmoot.node.moderation.noting import Noting
from folkmoot.node.moderation.policy_file import PolicyFiles, Watched, signature_of
from folkmoot.node.moderation.quota import Quota, QuotaRates
from folkmoot.node.moderation.scorers import Scorers
from folkmoot.node.moderation.submissions import Counting, Submission, texts_of
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.moderation.bounds import JUDGING_MOMENT_S
from folkmoot.protocol.moderation.definitions import Definitions
from folkmoot.protocol.moderation.flood import NO_FLOOD, Flood
from folkmoot.protocol.moderation.policy import EMPTY, PolicyError
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record

POLL_INTERVAL_S: Final = 2.0

logger = logging.getLogger(__name__)


class Gatekeeper:
    """The gate's policy and quota. Call `open`, then keep `run` running.

    Args:
        policy: the policy file; without one every text is accepted.
        rates: the quota.
        wall: for `loaded_at_us`.
        executor: where policies are read and compiled.
        secret: of this node alone, by which texts are compared; see `flood`.
        models: where text models lie, besides those beside the policy.
        region: where the node stands, whose layer of the policy judges.
        poll_interval_s: how often the file is looked at.

    Attributes:
        lookups: where signals come from that have to be looked up, by their families.
        refused: told of each record that a policy sends back.
        figures: what it counts.
        noting: tells what was known of posts when they were judged.
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
        region: str = "",
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self._file = policy
        self._rates = rates
        self._quota = Quota(rates)
        self._flood = Flood(secret)
        self.noting = Noting()
        self._models = models
        self._region = region
        self._wall = wall
        self._executor = executor
        self._poll_interval_s = poll_interval_s
        self._errors: tuple[str, ...] = ()
        self._wanted = trio.Event()
        self._watched = Watched()
        self._bench = OWN_FILE
        self.refused: Callable[[Record, Verdict], None] = lambda record, verdict: None
        self.figures = GateFigures()
        self.lookups: dict[str, Lookup] = {}
        self._failed_lookups: Counter[str] = Counter()
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
        for engine in bench.engines(self._own):
            engine.unknown = self.figures.unknown
        self._loaded_at_us = self._wall.now_us()

    @property
    def own(self) -> PolicyEngine:
        """The policy of this node's own file."""
        return self._own

    @property
    def engine(self) -> PolicyEngine:
        """The policy that judges all accounts, or all but those of a canary."""
        return self._bench.settled(self._own)

    @property
    def judges_by(self) -> frozenset[str]:
        """The hashes of the policies that judge anybody here."""
        return frozenset(each.document.hash for each in self._bench.engines(self._own))

    @property
    def judging(self) -> str:
        """Its hash."""
        return self.engine.document.hash

    def admit_change(self, address: str, now: float) -> WireError | None:
        """See `Quota.admit_change`."""
        return self._quota.admit_change(address, now)

    def admit_handle(self, account: bytes, handle: str) -> WireError | None:
        """Why an account may not be called so: what lists or patterns find in it is held or refused."""
        engine = self._bench.judge_of(account, self._own)
        verdict = engine.judge(handle, "handle")
        if verdict.action not in (Action.HOLD, Action.REFUSE) or verdict.span is None:
            return None
        return verdict.to_error(engine.document.appeal)

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

    async def look_up(self, records: Sequence[Record]) -> LookedUp:
        """Find out what the policies in force may ask about records and judging cannot wait for.

        Args:
            records: of one pass, read and verified.
        """
        asked = {family for engine in self._bench.engines(self._own) for family in engine.families}
        return await look_up(self.lookups, asked, records, self._failed_lookups)

    def judge_batch(
        self,
        records: Sequence[Record],
        account_exempt: bool,
        address: str,
        now: float,
        looked_up: LookedUp = NOTHING,
    ) -> list[Verdict | WireError]:
        """Judge records that were put together, in their order: the first of them, and more as time allows.

        Args:
            records: read and verified.
            account_exempt: whether the sender's quota is unlimited, as an operator's import is.
            address: where they came from, without the port.
            now: monotonic seconds.
            looked_up: what `look_up` found out about these records, and perhaps others.

        Returns:
            For each record that was judged the verdict it is accepted, labelled or held with, or the error it
            is turned away with (`rate_limited`, `refused_by_policy`). Those with a verdict must be settled.
        """
        bench, own, quota, now_us = self._bench, self._own, self._quota, self._wall.now_us()
        noting = self.noting if self.noting.wanted else None
        answers: list[Verdict | WireError] = []
        spent_s, at_s = self._executor.spent_s, self._executor.spent_s()
        ends_s = at_s + JUDGING_MOMENT_S
        for record in records:
            if at_s > ends_s:
                break
            limited = None if account_exempt else quota.admit(record.author, address, now)
            if limited is not None:
                answers.append(limited)
                continue
            counting = None if account_exempt else self._counting(record, address, now)
            engine = bench.judge_of(record.author, own)
            known, scored = looked_up.get(record.id, {}), dict[str, list[float]]()
            verdict = _judge(engine, record, counting, known, scored, now_us, Budget(spent_s, at_s))
            at_s = spent_s()
            self.figures.count(verdict)
            if verdict.action is Action.REFUSE:
                self._refuse(record, verdict, account_exempt, address, now)
                answers.append(verdict.to_error(engine.document.appeal))
                continue
            if verdict.action is Action.HOLD and not account_exempt:
                quota.hold(record.author, address)
            if noting is not None and record.kind == "post" and not record.takes_back:
                told = NO_FLOOD if counting is None else self._flood.told(record.id) or counting("")
                noting.look(record, now_us, told, counting is None or engine.compares, known, scored)
            answers.append(verdict)
        return answers

    def _refuse(
        self, record: Record, verdict: Verdict, account_exempt: bool, address: str, now: float
    ) -> None:
        """A record is sent back: it changes nothing, and is told of."""
        self.refused(record, verdict)
        if not account_exempt:
            self._quota.settle(record.author, address, now, changed=False)
            self._flood.settle(record.id, changed=False)

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
        for record, each, waits in zip(records, changed, held, strict=True):
            self.noting.settle(record.id, changed=each)
            if not account_exempt:
                self._quota.settle(record.author, address, now, changed=each, held=waits)
                self._flood.settle(record.id, changed=each)

    def appeal(self) -> str:
        """The sentence of the policy in force about whom to ask for another look."""
        return self.engine.document.appeal

    def notices(self, policy: str, rule: str, reason: str) -> Mapping[str, str]:
        """What a rule says in other languages, by their tags, if its policy (a hash in hex) judges here.

        Another region's layer may have another rule of that name, so it has to have said the same reason.
        """
        for engine in self._bench.engines(self._own):
            if engine.document.hash == policy:
                found = (each for each in engine.document.rules if each.id == rule)
                return next((each.notices for each in found if each.has_said(reason)), {})
        return {}

    def label_values(self) -> list[str]:
        """What the policy in force may call a record, each once: by its models, and by its rules."""
        document = self.engine.document
        of_models = [label for model in document.models for label in model.labels]
        return list(dict.fromkeys([*of_models, *(each.label for each in document.rules if each.label)]))

    def wanting(self) -> list[Scorers]:
        """The models of policies in force here, of each policy some of whose models are not at hand."""
        engines = self._own, self._bench.engine, self._bench.others
        return [each.scorers for each in dict.fromkeys(engines) if each is not None and each.scorers.wanted]

    def labels(self) -> Definitions:
        """What the policy in force says of labels, by their values."""
        return self.engine.document.labels

    def status(self) -> GatekeeperStatus:
        """What the gate is doing now."""
        engine = self.engine
        document = engine.document
        return GatekeeperStatus(
            policy=document.hash,
            name=document.name,
            file=None if self._file is None else str(self._file),
            loaded_at_us=self._loaded_at_us,
            errors=self._errors,
            unjudged=engine.unjudged_count,
            warnings=tuple(engine.warnings(self._wall.now_us(), self._unavailable())),
        )

    def _unavailable(self) -> Mapping[str, str]:
        return {signal: why for each in self.lookups.values() for signal, why in each.unavailable.items()}

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
        files = PolicyFiles(file, self._models, self._region)
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
        engine.unknown = self.figures.unknown
        self._loaded_at_us = self._wall.now_us()

    @property
    def _short_hash(self) -> str:
        return self._own.document.hash[:12]


def _judge(
    engine: PolicyEngine,
    record: Record,
    counting: Counting | None,
    known: Mapping[str, Value],
    scored: dict[str, list[float]],
    now_us: int,
    budget: Budget,
) -> Verdict:
    texts = texts_of(record)
    if texts is None:
        return engine.accepted
    return engine.judge_record(Submission(texts, record, counting, known, scored, budget), now_us)
