"""The methods of the client contract, but for `record.put` (see `actors.intake`).

Each takes who asks and the request's one map, and returns the result's map or raises a `WireError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from folkmoot.node.accounts.keys import AccountKeys
from folkmoot.node.actors.session import Asker, Immediate, Method
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.contracts import Read, Reading
from folkmoot.node.projections.authors import AuthorPages
from folkmoot.node.rpc import Packed
from folkmoot.protocol import codec, limits, messages
from folkmoot.protocol.community.value import OPERATOR
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell, summary
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BAD_SIGNATURE,
    FORBIDDEN,
    UNAUTHENTICATED,
    UNSUPPORTED_VERSION,
    WireError,
)
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.pages import PackedPage, pack_result
from folkmoot.protocol.identity import is_account, verify
from folkmoot.protocol.key import HELD, KINDS_PRIVATE, KINDS_UNDER_SUBJECT, cell_key
from folkmoot.protocol.ring.levels import parse_level
from folkmoot.protocol.token import Token

AUTH_PREFIX: Final = b"folkmoot-auth-v1\x00"
AUTH_LIFETIME_MS: Final = 24 * 3600 * 1000
OMIT_FROM_BYTES: Final = limits.MESSAGE_BYTES - limits.CELL_BYTES


NO_TOKEN: Final = Token()
_NO_TOKEN_BYTES: Final = NO_TOKEN.encode()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, as `hello` tells it.

    Args:
        node_id: 32 hex digits.
        name, region, cluster: labels.
        versions: of the contract on the wire, the lowest and the highest that it speaks.
    """

    node_id: str
    name: str
    region: str
    cluster: str
    versions: tuple[int, int]

    @classmethod
    def of(cls, config: NodeConfig, node_id: bytes, versions: tuple[int, int]) -> Identity:
        """Of the node with a configuration and an id (16 bytes)."""
        return cls(node_id.hex(), config.node.name, config.node.region, config.cluster.id, versions)


class ClusterView(Protocol):
    """Describes the cluster as this node sees it."""

    def status(self, *, for_operator: bool) -> dict[str, Any]: ...

    def where(self, account: bytes) -> dict[str, Any]: ...


class Methods:
    """See the module.

    Args:
        identity: this node.
        reading: answers reads of cells.
        authors: pages of authors' posts, as those who ask see them.
        accounts: which keys an account has.
        roles_of: the roles of an account.
        now_ms: the wall clock.
        cluster: see `ClusterView`.
    """

    def __init__(
        self,
        identity: Identity,
        reading: Reading,
        authors: AuthorPages,
        accounts: AccountKeys,
        roles_of: Callable[[bytes], Iterable[str]],
        now_ms: Callable[[], int],
        cluster: ClusterView,
    ) -> None:
        self._identity = identity
        self._reading = reading
        self._authors = authors
        self._accounts = accounts
        self._roles_of = roles_of
        self._now_ms = now_ms
        self._cluster = cluster

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "auth": self.auth,
            "ping": self.ping,
            "record.get": self.record_get,
            "feed.author": self.feed_author,
            "cluster.status": self.cluster_status,
            "cluster.where": self.cluster_where,
        }

    def immediate(self) -> Mapping[str, Immediate]:
        """Methods that can often be answered at once, by their names on the wire."""
        return {"feed.author": self.feed_author_now}

    def hello(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Agree on a version, the highest both speak; tell who this node is, its limits and the challenge."""
        hello = codec.shaped(params, messages.Hello, "hello")
        lowest, highest = hello.versions
        if lowest > highest:
            raise WireError(BAD_REQUEST, f"hello: versions is [lowest, highest], not [{lowest}, {highest}]")
        me = self._identity
        least, most = me.versions
        version = min(highest, most)
        if version < max(lowest, least):
            ours = f"version {most}" if least == most else f"versions {least} to {most}"
            raise WireError(
                UNSUPPORTED_VERSION,
                f"this node speaks {ours}; the client offers {lowest} to {highest}",
                details={"versions": list(me.versions)},
            )
        return {
            "version": version,
            "node": {"id": me.node_id, "name": me.name, "region": me.region},
            "cluster": me.cluster,
            "features": [],
            "limits": limits.announced(),
            "challenge": asker.challenge,
            "time_ms": self._now_ms(),
        }

    async def auth(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Prove an account by its signature over this connection's challenge."""
        auth = codec.shaped(params, messages.Auth, "auth")
        if not is_account(auth.account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
        device = auth.signer or auth.account
        if error := self._accounts.refusal(auth.account, device):
            raise error
        message = AUTH_PREFIX + asker.challenge + self._identity.node_id.encode()
        if not verify(device, auth.signature, message):
            raise WireError(
                BAD_SIGNATURE, "the signature is not over this connection's challenge and this node's id"
            )
        asker.account, asker.device = auth.account, device
        asker.roles = frozenset(self._roles_of(auth.account))
        asker.expires_ms = self._now_ms() + AUTH_LIFETIME_MS
        return {
            "account": auth.account,
            "roles": sorted(asker.roles),
            "expires_ms": asker.expires_ms,
        }

    async def ping(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The node's clock."""
        return {"time_ms": self._now_ms()}

    async def record_get(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Cells by key, the display winner first."""
        get = codec.shaped(params, messages.RecordGet, "record.get")
        for place, kind, item in get.keys:
            _check_private(asker, place, kind, item)
        keys = [cell_key(place, kind, item) for place, kind, item in get.keys]
        token = Token.decode(get.token, self._now_ms()) if get.token else Token()
        unique = list(dict.fromkeys(keys))
        read = await self._reading.get(unique, parse_level(get.level), token)
        labels = await self._reading.labels(
            [key for key, (_, kind, _) in zip(keys, get.keys, strict=True) if kind == "post"]
        )
        found = dict(zip(unique, read.cells, strict=True))
        return {
            "cells": _cells(get, keys, found, labels),
            "achieved": read.achieved,
            "token": token.join(_seen(read, unique)).encode(),
        }

    def feed_author_now(self, asker: Asker, params: Params) -> Packed | None:
        """`feed.author`, when this node can answer it at once: no task, nothing waited for."""
        if asker.account is not None:
            return None
        asked, before, token = _page_of(params, self._now_ms())
        page = self._authors.page_now(asked.account, before, asked.limit, parse_level(asked.level), token)
        return None if page is None else _packed(asked, page)

    async def feed_author(self, asker: Asker, params: Params) -> Packed:
        """A page of an account's posts, newest first, without those that the asker is not to see."""
        asked, before, token = _page_of(params, self._now_ms())
        page = await self._authors.page(
            asked.account, before, asked.limit, parse_level(asked.level), token, asker.account
        )
        return _packed(asked, page)

    async def cluster_status(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The cluster as this node sees it; operators are told more of the node itself."""
        return self._cluster.status(for_operator=OPERATOR in asker.roles)

    async def cluster_where(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Which range and nodes keep an account."""
        account = codec.shaped(params, messages.AccountGet, "cluster.where").account
        if not is_account(account):
            raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
        return self._cluster.where(account)


def _page_of(params: Params, now_ms: int) -> tuple[messages.FeedAuthor, bytes | None, Token]:
    """What a `feed.author` asks for: its parameters, the item before which the page begins, the token."""
    asked = codec.shaped(params, messages.FeedAuthor, "feed.author")
    if not is_account(asked.account):
        raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
    before = None
    if asked.cursor is not None:
        before = cursors.decode(CursorKind.AUTHOR, asked.account, asked.cursor)
    return asked, before, Token.decode(asked.token, now_ms) if asked.token else NO_TOKEN


def _packed(asked: messages.FeedAuthor, page: PackedPage) -> Packed:
    cursor = None
    if page.resume is not None:
        cursor = cursors.encode(CursorKind.AUTHOR, asked.account, page.resume)
    return Packed(pack_result(page, cursor, asked.token or _NO_TOKEN_BYTES))


def _check_private(asker: Asker, place: bytes, kind: str, item: bytes) -> None:
    """What is private is its author's alone to read."""
    if kind not in KINDS_PRIVATE:
        return
    author = item[-limits.ACCOUNT_BYTES :] if kind in KINDS_UNDER_SUBJECT else place
    what = "held record" if kind == HELD else kind
    if asker.account is None:
        raise WireError(UNAUTHENTICATED, f"a {what} is private: send auth first")
    if asker.account != author:
        raise WireError(FORBIDDEN, f"this {what} belongs to another account")


def _cells(
    get: messages.RecordGet,
    keys: list[bytes],
    found: Mapping[bytes, bytes | None],
    labels: Mapping[bytes, list[Any]],
) -> list[dict[str, Any] | None]:
    """What the result says of each cell; once the message is nearly full the rest are only named."""
    cells: list[dict[str, Any] | None] = []
    size = 0
    for wanted, key in zip(get.keys, keys, strict=True):
        data = found[key]
        if data is None:
            cells.append(None)
            continue
        attached = labels.get(key, [])
        size += len(data) + sum(len(part) for frame in attached for part in frame)
        if size > OMIT_FROM_BYTES and len(cells):
            cells.append({"key": list(wanted), "omitted": True})
            continue
        told = summary(Cell.decode(data), history=get.history)
        cells.append({"key": list(wanted), **told, "labels": attached})
    return cells


def _seen(read: Read, keys: list[bytes]) -> Token:
    """What the client has now seen, so that no later read shows it less."""
    return Token.of(
        (key, Cell.decode(data).clock) for key, data in zip(keys, read.cells, strict=True) if data is not None
    )
