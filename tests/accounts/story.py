"""Accounts made for tests, operation by operation."""

from __future__ import annotations

from folkmoot.protocol.accounts.actions import Action, AddKey, Close, Create, RevokeKey, Suspend
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import KeyPair

FIRST, SECOND, REVOKED, RECOVERY, STRANGER, NEW, NEXT_RECOVERY = (
    KeyPair(bytes([number]) * 32) for number in range(1, 8)
)
STAMP = 1_700_000_000_000_000


class Story:
    """A chain in the making.

    Attributes:
        operations: so far.
        account: what they make of the account.
    """

    def __init__(self, *steps: tuple[KeyPair, Action]) -> None:
        self.operations: list[Operation] = []
        self.account = Account.plain(FIRST.account)
        for key, action in steps:
            self.do(key, action)

    def signed(self, key: KeyPair, action: Action) -> Operation:
        """The operation that would be next."""
        previous = self.operations[-1] if self.operations else None
        return Operation.sign(key, self.account.id, action, previous=previous, stamp=STAMP)

    def do(self, key: KeyPair, action: Action) -> None:
        """Append it.

        Raises:
            WireError: as `Account.after`.
        """
        operation = self.signed(key, action)
        self.account = self.account.after(operation)
        self.operations.append(operation)


def story(state: str) -> Story:
    """An account in one of five states, with two keys that may sign and one that was revoked."""
    if state == "plain":
        return Story()
    recovery = None if state == "without recovery" else RECOVERY.account
    told = Story(
        (FIRST, Create(recovery)),
        (FIRST, AddKey(SECOND.account, "laptop")),
        (SECOND, AddKey(REVOKED.account)),
        (FIRST, RevokeKey(REVOKED.account, "lost")),
    )
    if state == "suspended":
        told.do(STRANGER, Suspend("flooding"))
    if state == "closed":
        told.do(FIRST, Close())
    return told
