"""The gatekeeper: holds the policy and the quota, and answers for every record before it is accepted.

Judging is a plain call, so that the coordinator's batches cost no task and no message. The task only keeps
the policy current: it looks at the file now and then, loads what changed off the event loop, and puts the
new engine in place whole. A batch is judged by the engine it began with. A policy that cannot be used leaves
the old one in force and is reported, in the log and in `status`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.quota import Quota, QuotaRates
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.policy import EMPTY, PolicyError
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record

POLL_INTERVAL_S: Final = 2.0

_Signature = tuple[int, int, int] | None

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
    """

    policy: str
    name: str
    file: str | None
    loaded_at_us: int
    errors: tuple[str, ...]
    unjudged: int

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
        poll_interval_s: how often the file is looked at.
    """

    def __init__(
        self,
        policy: Path | None,
        rates: QuotaRates,
        *,
        wall: WallClock,
        executor: Executor,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self._file = policy
        self._rates = rates
        self._quota = Quota(rates)
        self._wall = wall
        self._executor = executor
        self._poll_interval_s = poll_interval_s
        self._errors: tuple[str, ...] = ()
        self._wanted = trio.Event()
        self._watched = _Watched()
        self._put_in_force(PolicyEngine(EMPTY))

    async def open(self) -> None:
        """Load the policy a first time.

        Raises:
            PolicyError: it cannot be used; a node does not start on a policy nobody wrote.
        """
        if self._file is not None:
            self._watched.settled = await self._executor.run(partial(_signature, self._file))
            self._put_in_force(await self._executor.run(partial(load_engine, self._file)))

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
        engine, quota = self._engine, self._quota
        answers: list[Verdict | WireError] = []
        for record in records:
            limited = None if account_exempt else quota.admit(record.author, address, now)
            if limited is not None:
                answers.append(limited)
                continue
            answer = _judge(engine, record)
            if isinstance(answer, WireError) and not account_exempt:
                quota.settle(record.author, address, now, changed=False)
            answers.append(answer)
        return answers

    def settle_batch(
        self,
        records: Sequence[Record],
        changed: Sequence[bool],
        account_exempt: bool,
        address: str,
        now: float,
    ) -> None:
        """Have the authors of records pay for what they changed, once that is known.

        Args:
            records: those that `judge_batch` gave a verdict.
            changed: of each, whether it changed something.
            account_exempt, address, now: as for `judge_batch`.
        """
        if account_exempt:
            return
        for record, each in zip(records, changed, strict=True):
            self._quota.settle(record.author, address, now, changed=each)

    def appeal(self) -> str:
        """The sentence of the policy in force about whom to ask for another look."""
        return self._engine.document.appeal

    def status(self) -> GatekeeperStatus:
        """What the gate is doing now."""
        document = self._engine.document
        return GatekeeperStatus(
            policy=document.hash,
            name=document.name,
            file=None if self._file is None else str(self._file),
            loaded_at_us=self._loaded_at_us,
            errors=self._errors,
            unjudged=self._engine.unjudged_count,
        )

    async def _refresh(self) -> None:
        wanted = self._wanted.is_set()
        if wanted:
            self._wanted = trio.Event()
        file = self._file
        if file is None:
            if self._engine.document is not EMPTY:
                self._put_in_force(PolicyEngine(EMPTY))
            self._errors = ()
            return
        signature = await self._executor.run(partial(_signature, file))
        if self._watched.changed(signature) or wanted:
            self._watched.settled = signature
            await self._load(file)

    async def _load(self, file: Path) -> None:
        try:
            engine = await self._executor.run(partial(load_engine, file))
        except PolicyError as error:
            self._errors = error.problems
            logger.error("policy %s stays in force, the new one is unusable:\n%s", self._short_hash, error)
            return
        self._errors = ()
        if engine.document.hash != self._engine.document.hash:
            self._put_in_force(engine)
            logger.info("policy %s (%s) is in force", self._short_hash, engine.document.name)

    def _put_in_force(self, engine: PolicyEngine) -> None:
        self._engine = engine
        self._loaded_at_us = self._wall.now_us()

    @property
    def _short_hash(self) -> str:
        return self._engine.document.hash[:12]


class _Watched:
    """Tells a file that changed and came to rest from one that is still being written.

    Attributes:
        settled: the signature of what was loaded, or tried, last.
    """

    def __init__(self) -> None:
        self.settled: _Signature = None
        self._before: _Signature = None

    def changed(self, signature: _Signature) -> bool:
        """Whether the file differs from what was loaded and looked the same when last asked."""
        rested = signature == self._before
        self._before = signature
        return rested and signature != self.settled


def _signature(file: Path) -> _Signature:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _judge(engine: PolicyEngine, record: Record) -> Verdict | WireError:
    texts = _SHOWN_TEXTS.get(record.kind)
    if texts is None:
        return engine.accepted
    verdict = engine.judge_fields(texts(record))
    if verdict.action is Action.REFUSE:
        return verdict.to_error(engine.document.appeal)
    return verdict


def _texts_of_post(record: Record) -> Iterator[tuple[str, str]]:
    body = record.body
    for name in ("text", "warning", "tags", "labels"):
        if name in body:
            yield from _texts_in(name, body[name])
    for index, medium in enumerate(body.get("media") or ()):
        if "alt" in medium:
            yield f"media.{index}.alt", medium["alt"]


def _texts_of_profile(record: Record) -> Iterator[tuple[str, str]]:
    yield "item", record.item.decode()
    yield from _texts_in("value", record.body["value"])


def _texts_of_label(record: Record) -> Iterator[tuple[str, str]]:
    for name in ("value", "reason"):
        if name in record.body:
            yield name, record.body[name]


def _texts_of_list(record: Record) -> Iterator[tuple[str, str]]:
    for name in ("name", "about"):
        if name in record.body:
            yield name, record.body[name]


def _texts_of_algorithm(record: Record) -> Iterator[tuple[str, str]]:
    document = record.body.get("document", {})
    yield "name", record.item.decode()
    for name in ("title", "about"):
        if name in document:
            yield name, document[name]
    for number, term in enumerate(document.get("terms", ())):
        yield f"terms.{number}.name", term["name"]


# The texts that people are shown, by kind; nothing else is judged.
_SHOWN_TEXTS: Final[dict[str, Callable[[Record], Iterator[tuple[str, str]]]]] = {
    "post": _texts_of_post,
    "profile": _texts_of_profile,
    "label": _texts_of_label,
    "list": _texts_of_list,
    "algorithm": _texts_of_algorithm,
}


def _texts_in(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in a value of a body, however nested (records are at most 16 deep), with its path; the keys
    of maps too, each under the path of what it names."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _texts_in(f"{name}.{index}", entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield f"{name}.{key}", key
            yield from _texts_in(f"{name}.{key}", entry)
