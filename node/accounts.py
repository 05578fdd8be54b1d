"""Which keys may write for which account.

Until an account has a register of its own, its only key is the one it is named after. The gate asks here,
and nothing else does: a join checks bytes and signature only.
"""

from __future__ import annotations


class AccountKeys:
    """The keys of accounts whose keys differ from the default; everyone else needs no look-up."""

    def may_write(self, account: bytes, device: bytes) -> bool:
        """Whether `device` (34 bytes) is a valid key of `account` (34 bytes)."""
        return account == device

    def keys_of(self, account: bytes) -> list[bytes]:
        """The valid keys of `account`, the first one first."""
        return [account]
