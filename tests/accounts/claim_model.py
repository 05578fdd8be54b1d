"""Accounts that want one handle, as steps between which anything may happen.

A process does what a node does for `set_handle`; it stops after every step that others can see or that takes
time, and may stop for ever. Registers are what CASPaxos makes of them: a change is atomic, and rewriting one
as it is lets no attempt through that began before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, cast

from folkmoot.protocol import limits
from folkmoot.protocol.accounts.actions import SetHandle
from folkmoot.protocol.accounts.claim import Bearing, Claim, bearing, lapse, release, take
from folkmoot.protocol.accounts.handle import register_name
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair

SECOND: Final = 1_000_000
QUARANTINE: Final = int(limits.HANDLE_QUARANTINE_S) * SECOND
ACCOUNTS: Final = tuple(KeyPair(bytes([number]) * 32).account for number in (1, 2, 3))
HANDLE: Final = "lily"
ALIKE: Final = "li1y"  # has the same register
OTHER: Final = "rose"

HANDLES: Final = (HANDLE, ALIKE, OTHER, None)
WAITS: Final = (1, 50, 70, 660, 15 * 86_400, 31 * 86_400)

Steps = Generator[str, None, None]
Move = tuple[str, int]


class Named(NamedTuple):
    """Of an operation, what `bearing` looks at."""

    action: SetHandle


@dataclass
class Chain:
    """The register of an account.

    Args:
        handles: what each operation set.
        attempt: the number of the newest; earlier ones are refused.
    """

    handles: list[str | None] = field(default_factory=list)
    attempt: int = 0

    @property
    def handle(self) -> str | None:
        return self.handles[-1] if self.handles else None


@dataclass(frozen=True)
class Rules:
    """What may be left out to see that it is missed."""

    rewrites_the_chain: bool = True
    appends_timely: bool = True
    notes_time_before: bool = True
    compares_claims: bool = True
    releases_by_number: bool = True


class World:
    """All registers, the time, and what was promised."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.now = 1_700_000_000 * SECOND
        self.skew = dict.fromkeys(ACCOUNTS, 0)
        self.claims: dict[str, Claim | None] = {}
        self.chains = {account: Chain() for account in ACCOUNTS}
        self.given_up: dict[tuple[str, bytes], int] = {}
        self.conflicts = 0

    def clock(self, account: bytes) -> int:
        """What the node thinks that works for an account."""
        return self.now + self.skew[account]

    def set_handle(self, account: bytes, handle: str | None) -> Steps:
        """All that is done for the operation; may be begun again whenever it broke off."""
        chain = self.chains[account]
        number = len(chain.handles) + 1
        claim = None
        if handle is not None:
            claim = yield from self._claim(account, handle, number)
            if claim is None:
                self.conflicts += 1
                return
        for _ in range(2):
            chain.attempt += 1
            attempt = chain.attempt
            yield "prepared to append"
            if len(chain.handles) + 1 != number:
                return
            if claim and self.rules.appends_timely and not claim.is_timely(self.clock(account)):
                return
            yield "found it timely"
            if chain.attempt == attempt:
                former = chain.handle
                self._append(account, handle)
                yield "appended"
                yield from self._give_up(account, former, number)
                return
            yield "was overtaken"

    def _claim(self, account: bytes, handle: str, number: int) -> Generator[str, None, Claim | None]:
        name = register_name(handle)
        seen = self.claims.get(name)
        found: Bearing | None = None
        if seen is not None and seen.account != account and seen.released_us is None:
            yield "saw a claim"
            found = yield from self._look(account, seen)
            self.claims[name] = lapse(self.claims.get(name), found, self.clock(account))
            yield "let it lapse, if it was to"
        present = self.claims.get(name)
        if found and not self.rules.compares_claims and present and present.account == found.claim.account:
            found = found._replace(claim=present)
        try:
            taken = take(present, account, handle, number, self.clock(account), found)
        except WireError:
            return None
        self.claims[name] = taken
        yield "claimed"
        return taken

    def _look(self, account: bytes, seen: Claim) -> Generator[str, None, Bearing]:
        before = self.clock(account)
        chain = self.chains[seen.account]
        if self.rules.rewrites_the_chain:
            chain.attempt += 1
        handles = list(chain.handles)
        yield "rewrote its chain"
        asked = before if self.rules.notes_time_before else self.clock(account)
        state = replace(
            Account.plain(seen.account), handle=handles[-1] if handles else None, number=len(handles)
        )
        operations = cast("list[Operation]", [Named(SetHandle(each)) for each in handles])
        return bearing(seen, state, operations, asked)

    def _append(self, account: bytes, handle: str | None) -> None:
        chain = self.chains[account]
        if chain.handle is not None:
            self.given_up[register_name(chain.handle), account] = self.now
        chain.handles.append(handle)
        if handle is None:
            return
        for other, theirs in self.chains.items():
            if other == account:
                continue
            named = theirs.handle
            assert named is None or register_name(named) != register_name(handle), "two chains name one"
            since = self.given_up.get((register_name(handle), other))
            assert since is None or self.now - since >= QUARANTINE - self._drift, "named within quarantine"

    @property
    def _drift(self) -> int:
        return 2 * max(abs(skew) for skew in self.skew.values())

    def _give_up(self, account: bytes, former: str | None, number: int) -> Steps:
        present = self.chains[account].handle
        if former is None or (present is not None and register_name(present) == register_name(former)):
            return
        name = register_name(former)
        number = number if self.rules.releases_by_number else limits.ACCOUNT_OPERATIONS
        self.claims[name] = release(self.claims.get(name), account, number, self.clock(account))
        yield "released"

    def check(self) -> None:
        """What holds at every moment.

        Raises:
            AssertionError: it does not.
        """
        for account, chain in self.chains.items():
            if chain.handle is None:
                continue
            claim = self.claims[register_name(chain.handle)]
            assert claim is not None and claim.account == account, "a chain names what its account has not"
            assert claim.released_us is None, "a handle in force is in quarantine"


def play(world: World, moves: Iterable[Move]) -> None:
    """Let things happen: begin something, do a step of it, break it off, let time pass.

    Raises:
        AssertionError: from `World`.
    """
    running: list[Steps] = []
    for kind, which in moves:
        match kind:
            case "begin" if len(running) < 4:
                running.append(world.set_handle(ACCOUNTS[which % 3], HANDLES[which // 3 % len(HANDLES)]))
            case "step" if running:
                if next(running[which % len(running)], None) is None:
                    running.pop(which % len(running))
            case "end" if running:
                for _ in running.pop(which % len(running)):
                    world.check()
            case "break off" if running:
                running.pop(which % len(running))
            case "wait":
                world.now += WAITS[which % len(WAITS)] * SECOND
        world.check()
