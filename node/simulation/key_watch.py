"""What each node's store knows of accounts at each moment, by its commits and what it is booted on.

The gate goes by its store, and by nothing that another node knows; so this is what its answers are held to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import trio
from folkmoot.protocol import codec
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.history import Account
from folkmoot.storage import rows
from folkmoot.storage.accounts import Unconfirmed
from folkmoot.storage.interface import Table
from folkmoot.storage.memory_engine import Change, MemoryEngine

ALWAYS: Final = float("-inf")

Known = tuple[float, Account]
"""What an account is since a virtual time."""


class KeyWatch:
    """See the module. Nodes are named as their disks are.

    Args:
        now: virtual seconds.

    Attributes:
        chains: of each account the longest that any store ever had.
    """

    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        self._now = now
        self.chains: dict[bytes, Chain] = {}
        self._known: dict[tuple[str, bytes], list[Known]] = defaultdict(list)
        self._boots: dict[str, list[float]] = defaultdict(list)
        self._exchanged: dict[str, list[float]] = defaultdict(list)
        self._noted: set[tuple[str, bytes]] = set()

    # What happens.

    def booted(self, node: str, engine: MemoryEngine) -> None:
        """A process begins on what is on this disk."""
        self._boots[node].append(self._now())
        there = dict(chains_on(engine))
        for (name, account), known in self._known.items():
            if name == node and account not in there:
                known.append((self._now(), Account.plain(account)))
        for chain in there.values():
            self._learn(node, chain)

    def committed(self, node: str, changes: Sequence[Change]) -> None:
        """A node's commit is durable."""
        for change in changes:
            if change.value is None:
                continue
            if change.table is Table.ACCOUNTS:
                self._learn(node, Chain.decode(change.key, _body(change)))
            elif change.table is Table.UNCONFIRMED:
                note = codec.shaped(codec.unpack(_body(change)), Unconfirmed, "a row")
                self._noted.add((node, note.id))

    def exchanged(self, node: str) -> None:
        """Another disk is in the place of a node's, or it is gone."""
        self._exchanged[node].append(self._now())

    def _learn(self, node: str, chain: Chain) -> None:
        self._known[node, chain.account].append((self._now(), chain.state))
        if chain.number > self.chains.get(chain.account, Chain(chain.account)).number:
            self.chains[chain.account] = chain

    # What is asked.

    def states(self, node: str, account: bytes, from_s: float, until_s: float) -> Iterator[Account]:
        """What an account was to a node at any moment between two times."""
        known = self._known.get((node, account), [])
        first = bisect_left(known, from_s, key=_since)
        yield known[first - 1][1] if first else Account.plain(account)
        for since_s, state in known[first:]:
            if since_s > until_s:
                break
            yield state

    def gullible(self, account: bytes, key: bytes) -> list[str]:
        """The nodes that have heard of an account, and by whose stores a key may sign for it now."""
        return [
            node for (node, of), known in self._known.items() if of == account and known[-1][1].may_sign(key)
        ]

    def learned_s(self, node: str, account: bytes, key: bytes, after_s: float) -> float | None:
        """When, since a time, a node first knew that a key may not sign; None for never."""
        known = self._known.get((node, account), [])
        for since_s, state in known[max(0, bisect_left(known, after_s, key=_since) - 1) :]:
            if not state.may_sign(key):
                return max(since_s, after_s)
        return None

    def was_booted(self, node: str, from_s: float, until_s: float) -> bool:
        """Whether a process of a node began between two times."""
        return any(from_s <= at_s <= until_s for at_s in self._boots[node])

    def was_exchanged(self, node: str, from_s: float) -> bool:
        """Whether a node has lost its disk since a time."""
        return any(at_s >= from_s for at_s in self._exchanged[node])

    def has_noted(self, node: str, post: bytes) -> bool:
        """Whether a note of a post (by its id) was ever on a node's disk."""
        return (node, post) in self._noted


def chains_on(engine: MemoryEngine) -> Iterator[tuple[bytes, Chain]]:
    """Every account that a store knows something of, with its chain."""
    with engine.begin() as transaction:
        kept = list(transaction.scan(Table.ACCOUNTS))
    for account, row in kept:
        yield account, Chain.decode(account, rows.unseal(Table.ACCOUNTS, account, row))


def _body(change: Change) -> bytes:
    assert change.value is not None
    return rows.unseal(change.table, change.key, change.value)


def _since(known: Known) -> float:
    return known[0]
