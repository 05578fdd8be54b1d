"""Which keys may sign for which account, as far as this node knows.

The gate asks here, and nothing else does: a join checks bytes and signature only. Accounts that nothing was
ever done to have the one key they are named after, and where there are no others nothing is looked up. What
is known of the others is kept in the store and remembered here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from cachetools import LRUCache
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.errors import BUSY, FORBIDDEN, REVOKED_KEY, WireError
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.store import Store

Watcher = Callable[[bytes, Collection[bytes]], None]
"""Told that an account changed, and which keys may sign for it now."""


class AccountKeys:
    """See the module.

    Attributes:
        damaged: accounts of which what is kept cannot be read, to be learned again.

    Args:
        store: this node's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: LRUCache[bytes, Account] = LRUCache(limits.ACCOUNTS_CACHED)
        self._any = store.knows_accounts()
        self.damaged: set[bytes] = set()
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Have somebody told of every account that changes."""
        self._watchers.append(watcher)

    def chain(self, account: bytes) -> Chain:
        """All that is known to have been done to an account (34 bytes).

        Raises:
            WireError: `busy`, when what is kept of it is damaged; it is being learned again.
        """
        try:
            kept = self._store.account(account)
            return Chain(account) if kept is None else Chain.decode(account, kept)
        except (StoreCorrupt, WireError) as error:
            self.damaged.add(account)
            sentence = "what this node keeps of the account is damaged; it asks the others"
            raise WireError(BUSY, sentence, retry_after_ms=1_000) from error

    def state(self, account: bytes) -> Account:
        """What an account is, by that.

        Raises:
            WireError: as `chain`.
        """
        known = self._known.get(account)
        if known is None:
            known = self._known[account] = self.chain(account).state
        return known

    def has_changes(self, account: bytes) -> bool:
        """Whether anything is known to have been done to an account; or it cannot be read."""
        if not self._any:
            return False
        try:
            return self.state(account).number > 0
        except WireError:
            return True

    def has_changed(self, account: bytes) -> None:
        """What is kept of an account is newer than what is remembered here."""
        self._any = True
        self._known.pop(account, None)
        self.damaged.discard(account)
        state = self.state(account)
        valid = [key for key in state.signing_keys() if state.may_sign(key)]
        for watcher in self._watchers:
            watcher(account, valid)

    def refusal(self, account: bytes, key: bytes) -> WireError | None:
        """Why `key` may not sign for an account today; None if it may."""
        if not self._any:
            return None if account == key else _revoked()
        try:
            state = self.state(account)
        except WireError as error:
            return error
        if state.may_sign(key):
            return None
        if state.closed or (state.suspended and key in state.signing_keys()):
            why = "closed" if state.closed else "suspended: nobody can write for it until it is restored"
            return WireError(FORBIDDEN, f"the account is {why}")
        return _revoked()

    def told(self, account: bytes) -> dict[str, Any]:
        """What clients are told of an account.

        Raises:
            WireError: as `chain`.
        """
        return account_map(self.state(account))

    def with_handle(self, register: str, handle: str) -> bytes | None:
        """The account that calls itself by a handle; None when none is known that does.

        Args:
            register: of the handle.
            handle: in its normal form.
        """
        for account in self._store.handle_holders(register):
            if self.state(account).handle == handle:
                return account
        return None


def account_map(state: Account) -> dict[str, Any]:
    """An account in the words of the contract, what has its default left out."""
    told: dict[str, Any] = {
        "account": state.id,
        "keys": list(state.signing_keys()),
        "number": state.number,
        "devices": [
            {"key": each.key, "added": each.added}
            | ({"name": each.title} if each.title else {})
            | ({} if each.revoked is None else {"revoked": each.revoked})
            for each in state.keys.values()
        ],
        "recoverable": state.recovery is not None,
        "suspended": state.suspended,
        "closed": state.closed,
    }
    if state.handle is not None:
        told["handle"] = state.handle
    if state.head is not None:
        told["head"] = state.head
    return told


def _revoked() -> WireError:
    return WireError(REVOKED_KEY, "signer is not a valid key of the author's account")
