"""Which accounts a canary judges.

The share is drawn over accounts, and not over nodes: an account is judged alike wherever it is taken in, and
whoever is refused by one node gains nothing by asking the next. The candidate's hash takes part, so that it
is not the same people each time. Anybody can work it out.
"""

from __future__ import annotations

import hashlib

from folkmoot.protocol.community.value import ALL_PERCENT


def is_judged_by(hash: bytes, account: bytes, percent: int) -> bool:
    """Whether a policy that judges a share of the accounts judges this one.

    Args:
        hash: of the policy's document (32 bytes).
        account: 34 bytes.
        percent: of the accounts.
    """
    if percent >= ALL_PERCENT:
        return True
    drawn = int.from_bytes(hashlib.sha256(hash + account).digest()[:8], "big")
    return drawn % ALL_PERCENT < percent
