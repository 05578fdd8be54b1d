"""Chains of accounts, and posts whose keys wait to be confirmed."""

from __future__ import annotations

from folkmoot.protocol.accounts.actions import Action, Create, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.storage.accounts import Unconfirmed

from tests.storage.making import NOW_US


def followed(chain: Chain, key: KeyPair, action: Action) -> Chain:
    """With one operation more."""
    previous = chain.entries[-1].operation if chain.entries else None
    stamp = NOW_US + chain.number
    operation = Operation.sign(key, chain.account, action, previous=previous, stamp=stamp)
    return chain.followed_by(operation, stamp)


def named(key: KeyPair, handle: str) -> Chain:
    """Of an account that has a handle."""
    return followed(followed(Chain(key.account), key, Create()), key, SetHandle(handle))


def noted(post: Record) -> Unconfirmed:
    """A post that a node took while it was cut off."""
    return Unconfirmed(post.author, post.device, post.item, post.id, post.stamp, NOW_US)
