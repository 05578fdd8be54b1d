"""In which order an archive is brought to another cluster: records before the operation that ends their keys.

What a revoked key signed stays where it is, and nothing new is taken from it. So an account moves as it has
lived: its operations are made again one after the other, and before each that ends keys, what those have
signed is brought. A key is of use from the operation that added it; whatever is left comes last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from folkmoot.cli.errors import OperatorError
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import account_to_text


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Args:
        devices: the keys whose records are to be brought now.
        operation: what is to be done to the account then; None at the end.
    """

    devices: frozenset[bytes]
    operation: Operation | None


def steps(there: Chain, archived: Chain, devices: Collection[bytes]) -> Iterator[Step]:
    """What is to be done, in order.

    Args:
        there: the account's chain in the cluster it moves to.
        archived: its chain in the archive.
        devices: the keys that signed records.

    Raises:
        OperatorError: the account has gone another way there.
    """
    if not archived.begins_with(there) and not there.begins_with(archived):
        common = next(
            number
            for number, (one, other) in enumerate(zip(there.hashes, archived.hashes, strict=False))
            if one != other
        )
        raise OperatorError(
            f"the account has gone another way in that cluster: they differ from operation {common + 1} on, "
            "and no account can have two histories",
            hint=f"folkmoot user show {account_to_text(there.account)} --history",
        )
    left = set(devices)
    state = there.state
    for entry in archived.entries[there.number :]:
        after = state.after(entry.operation)
        ending = frozenset(key for key in left if state.may_sign(key) and not after.may_sign(key))
        yield Step(ending, entry.operation)
        left -= ending
        state = after
    yield from _last(state, left)


def _last(state: Account, left: Collection[bytes]) -> Iterator[Step]:
    """What can be brought any time, and then what can only be there already."""
    signing = frozenset(key for key in left if state.may_sign(key))
    yield Step(signing, None)
    if rest := frozenset(left) - signing:
        yield Step(rest, None)
