"""The policy keeper: brings what the community has put in force to this node's gate.

It goes from the policy it judges by to the one that was decided: has the documents, reads and compiles them,
notes durably that they are in force here, and only then judges by them and says so. Where a step fails the
node goes on judging as before, says why, and tries again. What it judged by it still does after a restart,
whoever can be reached.

    in force ──another is decided──▶ taking ──documents on disk, compiled, noted──▶ in force
                                     ▲    │
                                     └────┘ not to be had, or not to be used: after a pause, and when told
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec
import trio
from folkmoot.node.commits import Commits
from folkmoot.node.community.register import Known
from folkmoot.node.moderation.bench import Bench
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.protocol import codec
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.value import Policy
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.storage.errors import StorageError
from folkmoot.storage.transaction import Admission

log = logging.getLogger(__name__)

_WHY_CODE_POINTS: Final = bounds.PROBLEMS_TOLD_BYTES // 4

STATE: Final = "policy.state"

_STORED: Final = "policy"

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]
State = Literal["running", "fetching", "unusable"]


class Gate(Protocol):
    """Judges by what is in force; see `gatekeeper`."""

    def convene(self, bench: Bench) -> None: ...

    @property
    def judging(self) -> str: ...

    @property
    def own(self) -> PolicyEngine: ...


class Documents(Protocol):
    """What this node keeps; see `community.documents`."""

    def find(self, name: bytes) -> bytes | None: ...

    async def compile(self, document: bytes, region: str | None = None) -> PolicyEngine: ...


class Exchange(Protocol):
    """Finds documents wherever they are; see `community.exchange`."""

    async def find(self, name: bytes) -> bytes: ...


class PolicyKeeper:
    """See the module.

    Args:
        gate: this node's.
        known: what the community's register held last, as far as this node knows.
        documents, exchange: where documents come from.
        commits: this node's store.
    """

    def __init__(
        self,
        gate: Gate,
        known: Callable[[], Known],
        documents: Documents,
        exchange: Exchange,
        commits: Commits,
    ) -> None:
        self._gate = gate
        self._known = known
        self._documents = documents
        self._exchange = exchange
        self._commits = commits
        self._running = Policy()
        self._engines: dict[bytes, PolicyEngine] = {}
        self._state: State = "running"
        self._why = ""
        self._wake = trio.Event()

    def look_now(self) -> None:
        """Another policy may have been decided."""
        self._wake.set()

    def in_use(self) -> frozenset[bytes]:
        """The documents that this node judges by, and those that the community names."""
        running = self._running
        named = {running.hash, running.previous} - {None}
        return frozenset(each for each in named if each) | self._known().community.documents()

    def status(self) -> dict[str, Any]:
        """By which policy this node judges, and why it is not the one that was decided, if it is not."""
        running = self._running
        engines = [self._engines[name] for name in sorted(running.judging) if name in self._engines]
        lacking = "; ".join(problem for engine in engines for problem in engine.problems)
        return {
            "epoch": running.epoch,
            "hash": running.hash,
            "percent": running.percent,
            "judging": self._gate.judging,
            "decided": self._wanted.epoch,
            "state": self._state,
            "why": self._why or lacking[:_WHY_CODE_POINTS],
        }

    async def judge_in(self, region: str) -> PolicyEngine:
        """The policy that judges most accounts here, as it is in another region.

        Raises:
            WireError: `not_found`: the document is nowhere; `bad_request`: it cannot be used any more.
        """
        settled = self._running.settled
        if settled is None:
            return self._gate.own
        try:
            return await self._documents.compile(await self._exchange.find(settled), region)
        except PolicyError as error:
            raise WireError(BAD_REQUEST, f"what is in force cannot be used: {error.problems[0]}") from error

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {STATE: self._tell}

    async def _tell(self, node_id: bytes, params: Any) -> dict[str, Any]:
        return self.status()

    async def open(self) -> None:
        """Judge by what this node judged by before it was started, as far as its disk has that still."""
        try:
            kept = self._commits.store.meta_get(_STORED)
            if kept is None:
                return
            policy = codec.shaped(codec.unpack(kept), Policy, "what was in force here")
            engines = {
                name: await self._compiled(name, self._documents.find(name)) for name in policy.judging
            }
        except (WireError, StorageError, PolicyError) as error:
            log.error("what was in force here cannot be used, and the node's own policy judges: %s", error)
            return
        self._put_in_force(policy, engines)

    async def run(self) -> None:
        """Keep the gate at what was decided, for ever."""
        pause = bounds.DOCUMENT_RETRY_S
        while True:
            self._wake = trio.Event()
            if self._wanted == self._running or await self._try(self._wanted):
                pause = bounds.DOCUMENT_RETRY_S
                if self._wanted == self._running:
                    await self._have_previous()
                    await self._wake.wait()
                continue
            with trio.move_on_after(pause):
                await self._wake.wait()
            pause = min(2 * pause, bounds.DOCUMENT_RETRY_MAX_S)

    @property
    def _wanted(self) -> Policy:
        return self._known().community.policy

    async def _try(self, wanted: Policy) -> bool:
        """Go over to a policy; whether that was done."""
        self._state = "fetching"
        try:
            documents = {name: await self._exchange.find(name) for name in sorted(wanted.judging)}
            self._state = "unusable"
            engines = {name: await self._compiled(name, each) for name, each in documents.items()}
            note = codec.pack(msgspec.to_builtins(wanted, builtin_types=(bytes,)))
            await self._commits.run(
                lambda transaction: transaction.meta_put(_STORED, note), Admission.ESSENTIAL, urgent=True
            )
        except (WireError, StorageError, PolicyError) as error:
            self._why = str(error)
            log.error("policy of epoch %d is not in force here: %s", wanted.epoch, error)
            return False
        self._put_in_force(wanted, engines)
        return True

    async def _compiled(self, name: bytes, document: bytes | None) -> PolicyEngine:
        """An engine: the one there is, or a new one.

        Raises:
            PolicyError: the document is not there, or cannot be used by this edition of the program.
        """
        if (engine := self._engines.get(name)) is not None:
            return engine
        if document is None:
            raise PolicyError([f"the document of policy {name.hex()[:12]} is not on this disk"])
        return await self._documents.compile(document)

    def _put_in_force(self, policy: Policy, engines: dict[bytes, PolicyEngine]) -> None:
        """Judge by it: what was noted is seen from now on."""
        self._running, self._engines = policy, engines
        self._state, self._why = "running", ""
        hash, previous = policy.hash, policy.previous
        self._gate.convene(
            Bench(
                None if hash is None else engines[hash],
                policy.percent,
                None if previous is None else engines.get(previous),
            )
        )
        log.info("policy of epoch %d judges %d %% of the accounts here", policy.epoch, policy.percent)

    async def _have_previous(self) -> None:
        """Have the document at hand that a rollback would bring back; it is looked for again then."""
        previous = self._running.previous
        if previous is None:
            return
        try:
            await self._exchange.find(previous)
        except (WireError, StorageError) as error:
            log.info("the policy before this one is not to be had now: %s", error)
