"""What clients ask about sealed media: `sealed.list`, `show`, `open`, `read`, `hand_over` and `erase`.

All of it is about the node that is asked, which asks no other one: what is sealed is known, and its bytes are
sent, by the node that found it alone. Experts do all of this; operators are told what is sealed and who has
looked. A medium is opened with a reason, which is on the disk before the first of its bytes leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest
from random import Random
from typing import Annotated, Any, Final

import trio
from cachetools import TTLCache
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.media.sealing import Sealing
from folkmoot.protocol import codec
from folkmoot.protocol.community.value import EXPERT, OPERATOR
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, FORBIDDEN, UNAUTHENTICATED, WireError
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.custody import Case, Entry, Reason, What, check_words
from folkmoot.protocol.media.manifest import Hash, Index
from folkmoot.protocol.messages import Account
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Name
from folkmoot.storage.media.sealed import Sealed
from msgspec import Meta, Struct

ACCESS_BYTES: Final = 16

Limit = Annotated[int, Meta(ge=1, le=bounds.SEALED_PAGE)]
Access = Annotated[bytes, Meta(min_length=ACCESS_BYTES, max_length=ACCESS_BYTES)]


class List(Struct):
    """`sealed.list`: a page of what is sealed, or waits to be handed over, after one."""

    waiting: bool = False
    after: tuple[Account, Hash] | None = None
    limit: Limit = bounds.SEALED_PAGE


class Show(Struct):
    """`sealed.show`: one sealed medium, and its custody record from an entry on."""

    account: Account
    hash: Hash
    first: Annotated[int, Meta(ge=0, le=2 * bounds.SEALED_LINES)] = 0


class Open(Struct):
    """`sealed.open`, and `sealed.erase`: one sealed medium, and why."""

    account: Account
    hash: Hash
    reason: Reason


class Read(Struct):
    """`sealed.read`: a chunk of what was opened."""

    account: Account
    hash: Hash
    access: Access
    index: Index = 0


class HandOver(Struct):
    """`sealed.hand_over`: somebody competent has it now, under a reference."""

    account: Account
    hash: Hash
    case: Case
    reason: Reason


class SealedMethods:
    """See the module.

    Args:
        sealing: what is sealed here.
        random: draws what an access is named by.
    """

    def __init__(self, sealing: Sealing, random: Random) -> None:
        self._sealing = sealing
        self._random = random
        self._accesses: TTLCache[bytes, tuple[bytes, Name]] = TTLCache(
            bounds.SEALED_ACCESSES, bounds.SEALED_ACCESS_S, timer=trio.current_time
        )

    def client_methods(self) -> Mapping[str, Method]:
        """What clients may ask, by name."""
        return {
            "sealed.list": self.list,
            "sealed.show": self.show,
            "sealed.open": self.open,
            "sealed.read": self.read,
            "sealed.hand_over": self.hand_over,
            "sealed.erase": self.erase,
        }

    async def list(self, asker: Asker, params: Params) -> dict[str, Any]:
        """A page of what is sealed at this node."""
        _check_role(asker, {EXPERT, OPERATOR})
        asked = codec.shaped(params, List, "sealed.list")
        known = self._sealing.media.known()
        after = None if asked.after is None else Name(*asked.after)
        names = [
            name
            for name, each in known.items()
            if (after is None or name > after) and (not asked.waiting or each.state == "sealed")
        ]
        page = nsmallest(asked.limit, names)
        items = [_item(name, known[name]) for name in page]
        told = {"items": items, "waiting": self._sealing.waiting, "experts": self._sealing.experts}
        return told if len(names) <= len(page) else {**told, "next": [*page[-1]]}

    async def show(self, asker: Asker, params: Params) -> dict[str, Any]:
        """One sealed medium, and a page of its custody record."""
        _check_role(asker, {EXPERT, OPERATOR})
        asked = codec.shaped(params, Show, "sealed.show")
        name = _name(asked.account, asked.hash)
        custody = await self._stored(self._sealing.custody, name)
        ends = asked.first + bounds.SEALED_PAGE
        entries = [each.to_wire() for each in custody.entries[asked.first : ends]]
        told = {**_item(name, self._sealing.media.known()[name]), "entries": entries}
        return told if len(custody.entries) <= ends else {**told, "next": ends}

    async def open(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Let an expert read a medium, once it is on the disk that they do, and why."""
        account = _check_role(asker, {EXPERT})
        if not asker.is_private:
            raise WireError(FORBIDDEN, "sealed media are sent over TLS only, and this connection has none")
        asked = codec.shaped(params, Open, "sealed.open")
        name, reason = _name(asked.account, asked.hash), check_words(asked.reason, "a reason")
        manifest = await self._stored(self._sealing.manifest, name)
        await self._note(asker, name, "opened", reason)
        access = self._random.randbytes(ACCESS_BYTES)
        self._accesses[access] = (account, name)
        return {"access": access, **manifest.to_wire()}

    async def read(self, asker: Asker, params: Params) -> dict[str, Any]:
        """One chunk of what the asker has opened."""
        account = _check_role(asker, {EXPERT})
        asked = codec.shaped(params, Read, "sealed.read")
        name = Name(asked.account, asked.hash)
        if not asker.is_private or self._accesses.get(asked.access) != (account, name):
            raise WireError(
                FORBIDDEN,
                "this account has not opened that medium here, or not within the hour: sealed.open, with a "
                "reason",
            )
        data = await self._stored(self._sealing.read, name, asked.index)
        return {"index": asked.index, "data": data}

    async def hand_over(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Note that somebody competent has the medium now."""
        _check_role(asker, {EXPERT})
        asked = codec.shaped(params, HandOver, "sealed.hand_over")
        case, reason = check_words(asked.case, "a case"), check_words(asked.reason, "a reason")
        name = _name(asked.account, asked.hash)
        return _item(name, await self._note(asker, name, "handed_over", reason, case))

    async def erase(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Erase what was handed over."""
        _check_role(asker, {EXPERT})
        asked = codec.shaped(params, Open, "sealed.erase")
        name, reason = _name(asked.account, asked.hash), check_words(asked.reason, "a reason")
        return _item(name, await self._note(asker, name, "erased", reason))

    async def _note(self, asker: Asker, name: Name, what: What, reason: str, case: str = "") -> Sealed:
        at_us = self._sealing.wall.now_us()
        entry = Entry(what, at_us, asker.account, asker.device, reason, case)
        noted: Sealed = await self._stored(self._sealing.note, name, entry)
        return noted

    async def _stored(self, work: Callable[..., Any], *of: Any) -> Any:
        """Do what reads and writes files, and say what went wrong in the words of the contract."""
        try:
            return await work(*of)
        except StorageError as error:
            raise error.to_wire_error() from error


def _check_role(asker: Asker, roles: set[str]) -> bytes:
    """Who asks, if they have one of the roles.

    Raises:
        WireError: `unauthenticated` or `forbidden`, for everybody else.
    """
    if asker.account is None:
        raise WireError(UNAUTHENTICATED, "sealed media are for experts: send auth first")
    if not asker.roles.intersection(roles):
        whom = "experts and operators" if OPERATOR in roles else "experts"
        raise WireError(FORBIDDEN, f"this is for {whom}, and this account is none of them (folkmoot role ls)")
    return asker.account


def _name(account: bytes, digest: bytes) -> Name:
    if not is_account(account):
        raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
    return Name(account, digest)


def _item(name: Name, sealed: Sealed) -> dict[str, Any]:
    """What is told of one sealed medium, without its bytes."""
    told: dict[str, Any] = {
        "account": name.account,
        "hash": name.hash,
        "state": sealed.state,
        "sealed_us": sealed.sealed_us,
        "last_us": sealed.last_us,
        "opened": sealed.opened,
        "case": sealed.case,
        "damaged": sealed.damaged,
    }
    found = sealed.found
    if found is None:
        return told
    return {**told, **{field: getattr(found, field) for field in found.__struct_fields__}}
