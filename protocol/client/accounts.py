"""What nodes tell of accounts, in shapes that are checked when they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from folkmoot.protocol import codec, messages
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from msgspec import Struct


class Device(Struct, frozen=True):
    """A key that may sign for an account, or once might.

    Args:
        key: in account id form (34 bytes).
        added: the number of the operation since which it may; 0 for the account's first key.
        name: what its owner calls it.
        revoked: the number of the operation since which it may not; None while it may.
    """

    key: messages.Account
    added: int
    name: str = ""
    revoked: int | None = None


class AccountInfo(Struct, frozen=True):
    """An account, as a node knows it.

    Args:
        account: 34 bytes.
        keys: those that are not revoked, oldest first.
        devices: every key there ever was.
        number: of the newest operation; 0 when nothing was ever changed.
        recoverable: whether there is a recovery key.
        suspended, closed: whether nobody may sign for it for now, or ever again.
        head: the hash of the newest operation (32 bytes); None at number 0.
        handle: what the account calls itself.
        profile: the shown value of each field; only `Client.account` asks for it.
        counts: empty in this edition.
        profile_cut: whether there are more fields than these.
    """

    account: messages.Account
    keys: list[messages.Account]
    devices: list[Device]
    number: int
    recoverable: bool
    suspended: bool
    closed: bool
    head: bytes | None = None
    handle: str | None = None
    profile: dict[str, Any] = {}
    counts: dict[str, int] = {}
    profile_cut: bool = False


class HandleHolder(Struct, frozen=True):
    """Who has a handle.

    Args:
        handle: in the form in which it is stored and shown.
        account: 34 bytes.
    """

    handle: str
    account: messages.Account


class History(NamedTuple):
    """Operations on an account, read and not verified; see `chain`.

    Args:
        account: 34 bytes.
        number: of the newest operation there is.
        entries: in order, the last of them the newest.
    """

    account: bytes
    number: int
    entries: tuple[Entry, ...]

    def chain(self) -> Chain:
        """The whole chain, every signature verified: a node can leave out the newest operations, and no more.

        Raises:
            WireError: a signature does not hold, something is missing, or was not allowed.
        """
        chain = Chain(self.account, self.entries)
        chain.verify()
        if chain.number != self.number:
            raise WireError(
                BAD_REQUEST, f"a history of {self.number} operations in which {chain.number} were told"
            )
        return chain


class _History(Struct):
    account: messages.Account
    number: int
    operations: list[Any]


def account_info(answer: object) -> AccountInfo:
    """Read what `account.get` and `account.change` answer.

    Raises:
        WireError: `bad_request`: it has another shape.
    """
    return codec.shaped(answer, AccountInfo, "what a node tells of an account")


def handle_holder(answer: object) -> HandleHolder:
    """Read what `handle.get` answers.

    Raises:
        WireError: `bad_request`: it has another shape.
    """
    return codec.shaped(answer, HandleHolder, "what a node tells of a handle")


def history_of(answer: Mapping[str, Any], account: bytes) -> History:
    """Read what `account.history` answers.

    Args:
        answer: the result.
        account: whose history was asked for (34 bytes).

    Raises:
        WireError: `bad_request`: it has another shape, or is another account's.
    """
    told = codec.shaped(answer, _History, "what a node tells of an account's history")
    entries = tuple(Entry.from_wire(value) for value in told.operations)
    if {told.account, *(entry.operation.account for entry in entries)} != {account}:
        raise WireError(BAD_REQUEST, "the history of another account was told")
    return History(account, told.number, entries)
