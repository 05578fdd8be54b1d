"""The chain of an account as registers, nodes and archives hold it: every operation, and when it was decided.

The signed operations prove themselves. The time is the word of the node that had the operation decided; it
says from when on a key counts as revoked, which no signer could be trusted with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError


class Entry(NamedTuple):
    """One operation of a chain.

    Args:
        operation: signed.
        decided_us: when it was decided, microseconds since 1970 by the clock of the node that had it decided.
    """

    operation: Operation
    decided_us: int

    @classmethod
    def from_wire(cls, value: object) -> Entry:
        """Read `[payload, signature, decided_us]`.

        Raises:
            WireError: saying which rule is broken.
        """
        match value:
            case [payload, signature, int(decided_us)] if 0 <= decided_us <= limits.STAMP_MAX:
                return cls(Operation.from_wire([payload, signature]), decided_us)
        raise WireError(BAD_REQUEST, "an entry of a chain is [payload, signature, microseconds since 1970]")

    def to_wire(self) -> list[Any]:
        """`[payload, signature, decided_us]`."""
        return [*self.operation.to_wire(), self.decided_us]


class Chain:
    """See the module. Immutable; empty for an account that nothing was ever done to.

    Attributes:
        account: whose (34 bytes).
        entries: in order.

    Args:
        state: what they make of the account, where that is known.

    Raises:
        WireError: the operations do not follow one another, or one was not allowed. Signatures are not
            looked at: see `verify`.
    """

    def __init__(
        self, account: bytes, entries: Sequence[Entry] = (), *, state: Account | None = None
    ) -> None:
        self.account = account
        self.entries = tuple(entries)
        if state is None:
            state = Account.plain(account)
            for entry in self.entries:
                state = state.after(entry.operation)
        self.state = state

    @classmethod
    def decode(cls, account: bytes, data: bytes) -> Self:
        """Read what `encode` made, or a node sent.

        Raises:
            WireError: it is no chain of this account.
        """
        match codec.unpack(data):
            case list(values) if len(values) <= limits.ACCOUNT_OPERATIONS:
                return cls(account, [Entry.from_wire(value) for value in values])
        raise WireError(BAD_REQUEST, f"a chain is a list of at most {limits.ACCOUNT_OPERATIONS} entries")

    def encode(self) -> bytes:
        """As bytes, for registers, stores and nodes."""
        return codec.pack([entry.to_wire() for entry in self.entries])

    def verify(self) -> None:
        """Check every signature: about 100 µs each.

        Raises:
            WireError: `bad_signature`.
        """
        for entry in self.entries:
            entry.operation.verify()

    @property
    def number(self) -> int:
        """Of the newest operation; 0 when there is none."""
        return len(self.entries)

    @cached_property
    def hashes(self) -> tuple[bytes, ...]:
        """Of the operations, in order."""
        return tuple(entry.operation.hash for entry in self.entries)

    def holds(self, operation: Operation) -> bool:
        """Whether an operation is part of it."""
        return operation.hash in self.hashes

    def begins_with(self, other: Chain) -> bool:
        """Whether it is `other`, or what followed upon it."""
        return self.hashes[: other.number] == other.hashes

    def supersedes(self, known: Chain, *, decided: bool = False) -> bool:
        """Whether it goes on from what is known, or replaces what was never decided.

        Args:
            known: of the same account.
            decided: whether the account's register holds this chain, or did.

        Raises:
            WireError: `conflict`: it goes another way, and is not known to have been decided.
        """
        if known.begins_with(self):
            return False
        if decided or self.begins_with(known):
            return True
        raise WireError(CONFLICT, "two chains of one account go different ways")

    def followed_by(self, operation: Operation, decided_us: int) -> Chain:
        """With one operation more, whose signature was verified.

        Raises:
            WireError: see `Account.after`.
        """
        state = self.state.after(operation)
        return Chain(self.account, [*self.entries, Entry(operation, decided_us)], state=state)

    def had_lost(self, key: bytes, when_us: int) -> bool:
        """Whether a key that could once sign could not any more at a time.

        Only the entries that took that from it, or gave it back, are looked at: times are by different
        clocks, and an entry may seem older than the one before.

        Args:
            key: in account id form.
            when_us: microseconds since 1970.
        """
        state, lost = Account.plain(self.account), False
        for entry in self.entries:
            following = state.after(entry.operation)
            if following.may_sign(key) != state.may_sign(key) and entry.decided_us <= when_us:
                lost = not following.may_sign(key)
            state = following
        return lost
