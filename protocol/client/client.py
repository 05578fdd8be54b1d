"""A client that keeps going: it fails over, reconnects, resends what may be resent, and carries its token.

Every call has one deadline and a bounded number of attempts. A call is sent again when the node said that
this can help, after the time it asked for, and when the link broke before the answer, if the method is
idempotent: sending the same records again stores them once. Everything else that goes wrong is raised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.client.accounts import (
    AccountInfo,
    HandleHolder,
    History,
    account_info,
    handle_holder,
    history_of,
)
from folkmoot.protocol.client.backoff import backoff_s
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.errors import ClientError, Unreachable
from folkmoot.protocol.client.failover import FIRST_ROUNDS, Failover
from folkmoot.protocol.client.feeds import Pages
from folkmoot.protocol.client.following import CREDIT, Events, Follow
from folkmoot.protocol.client.idempotent import IDEMPOTENT, NOT_DONE
from folkmoot.protocol.client.link import OnNotification
from folkmoot.protocol.client.link_terms import LinkBroken, NoAnswer
from folkmoot.protocol.client.puts import Frame, PutResult, put_in_batches
from folkmoot.protocol.client.session import Session, Welcome
from folkmoot.protocol.client.settings import ClientSettings
from folkmoot.protocol.client.tokens import joined_tokens
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import SHUTTING_DOWN, FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair


@asynccontextmanager
async def connect(
    addresses: str | Sequence[str],
    *,
    ca: str | Path | None = None,
    tls: bool = True,
    settings: ClientSettings | None = None,
    random: Random | None = None,
    on_notification: OnNotification | None = None,
) -> AsyncIterator[Client]:
    """Open a client of a cluster.

    Args:
        addresses: `host:port` of one node's clients' port, or of several to fail over among.
        ca: the cluster's CA certificate; needed unless `tls` is off.
        tls: False for a node on loopback that was started with TLS off.
        settings: how patient to be.
        random: draws the jitter of pauses.
        on_notification: called with notifications that belong to no stream of `Client.follow`; must not wait.

    Raises:
        Unreachable: no node answered at any address.
        UntrustedNode: who answered is not a node of the CA's cluster.
        ClientError: an address or the CA file cannot be used.
    """
    if tls and ca is None:
        raise ClientError("give the cluster's CA file (ca=…), or tls=False for a node with TLS off")
    texts = [addresses] if isinstance(addresses, str) else list(addresses)
    if not texts:
        raise ClientError("no address to connect to")
    endpoints = [Endpoint.parse(text) for text in texts]
    settings = settings or ClientSettings()
    random = random or Random()  # noqa: S311  # spreads load, protects nothing
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        failover = Failover(
            nursery,
            Dialler(Path(ca) if tls and ca is not None else None),
            endpoints,
            client=settings.name,
            random=random,
            on_notification=(events := Events(on_notification)).heard,
        )
        try:
            await failover.session(trio.current_time() + settings.deadline_s, rounds=FIRST_ROUNDS)
            yield Client(failover, settings, random, events)
        except Exception as error:
            failure = error  # raised below as itself: a nursery would wrap it in a group
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Client:
    """See `connect`, which makes one.

    Args:
        failover: opens sessions.
        settings: how patient to be.
        random: draws the jitter of pauses.
        events: hands the events of live streams over.
    """

    def __init__(self, failover: Failover, settings: ClientSettings, random: Random, events: Events) -> None:
        self.settings = settings
        self.token: bytes | None = None
        self._failover = failover
        self._random = random
        self._events = events

    async def call(
        self, method: str, params: Params | None = None, *, deadline_s: float | None = None
    ) -> Any:
        """Ask for anything, and wait for the result.

        Args:
            method: for example `cluster.status`.
            params: its parameters.
            deadline_s: for this call; the settings' if not given.

        Raises:
            WireError: the node's error, when sending again cannot help or did not; `NoAnswer` when the time
                was up before anything could be sent.
            LinkBroken: the link ended and the method may not be resent.
            Unreachable: no node answered in time.
        """
        within_s = self.settings.deadline_s if deadline_s is None else deadline_s
        deadline = trio.current_time() + within_s
        last: FolkmootError | None = None
        for attempt in range(self.settings.attempts):
            if attempt:
                assert last is not None
                pause_s = self._pause_s(last, attempt)
                if trio.current_time() + pause_s >= deadline:
                    raise last
                await trio.sleep(pause_s)
            try:
                session = await self._failover.session(deadline)
            except Unreachable as error:
                if last is None:
                    raise
                raise last from error
            left_s = deadline - trio.current_time()
            if left_s <= 0:  # an open session is handed out however late it is
                raise last or NoAnswer(method, within_s)
            patience_s = min(self.settings.attempt_s, left_s)
            try:
                return await session.link.call(method, params or {}, timeout_s=patience_s)
            except (LinkBroken, WireError) as error:
                self._judge(error, method, session)
                last = error
        assert last is not None
        raise last

    async def put_records(self, records: Sequence[Frame], level: str = "quorum") -> list[PutResult]:
        """Write signed records, as many as you like.

        Records of uncertain outcome, and those refused for a passing reason, are sent again.

        Args:
            records: `(payload, signature)` each.
            level: what a write waits for.

        Returns:
            One result a record, in order.

        Raises:
            WireError: a whole request was refused.
            Unreachable: no node answered in time.
        """
        return await put_in_batches(
            self._call_with_token, records, level, self.settings.attempts, self._random
        )

    async def get(
        self, keys: Sequence[tuple[bytes, str, bytes]], *, level: str = "one", history: bool = False
    ) -> list[dict[str, Any] | None]:
        """Read cells.

        Args:
            keys: at most 256 `(place, kind, item)`.
            level: what a read asks.
            history: also superseded records.

        Returns:
            One cell a key, None where there is none; see the contract for its keys.
        """
        params: Params = {"keys": [list(key) for key in keys], "level": level}
        if history:
            params["history"] = True
        cells: list[dict[str, Any] | None] = (await self._call_with_token("record.get", params))["cells"]
        return cells

    def author_feed(
        self, account: bytes, *, limit: int = limits.PAGE_ITEMS_DEFAULT, level: str = "one"
    ) -> Pages:
        """An account's posts, newest first, page by page: `async for page in client.author_feed(account)`.

        Args:
            account: 34 bytes.
            limit: items a page, 1–200.
            level: what each read asks.
        """
        asked: Params = {"account": account, "limit": limit, "level": level}
        return Pages(self._call_with_token, "feed.author", asked)

    def ranked_feed(self, account: bytes, algorithm: str | Mapping[str, Any], **more: Any) -> Pages:
        """An account's feed by an algorithm, page by page; `more` are `limit` and `explain` of `feed.ranked`.

        Args:
            account: 34 bytes.
            algorithm: `latest`, `best` or `discover`, or `{"account": owner, "name": name}`.
        """
        return Pages(
            self._call_with_token, "feed.ranked", {"account": account, "algorithm": algorithm, **more}
        )

    def notifications(
        self, account: bytes, *, requests: bool = False, limit: int = limits.PAGE_ITEMS_DEFAULT
    ) -> Pages:
        """What others did that concerns an account, newest first, page by page; after `auth` as that account.

        Args:
            account: 34 bytes.
            requests: what strangers did, instead.
            limit: notices a page, 1–200.
        """
        tab = "requests" if requests else "notifications"
        return Pages(self.call, "notice.list", {"account": account, "tab": tab, "limit": limit})

    async def search(self, query: str, **how: Any) -> dict[str, Any]:
        """The result of `search.posts`, a page of posts that meet a query; `how` are further parameters."""
        return await self._call_with_token("search.posts", {"query": query, **how})

    def follow(
        self,
        what: Mapping[str, Any],
        *,
        credit: int = CREDIT,
        cursor: bytes | None = None,
        since_ms: int | None = None,
        silence_s: float | None = None,
    ) -> Follow:
        """What happens, as it happens: `async for event in client.follow({"author": account})`.

        The stream goes on over broken connections and lost nodes, repeats are left out, and stretches that
        may be missing are told as events with a `gap`.

        Args:
            what: `{"author": account}`, `{"home": account}`, `{"tag": text}`, `{"range": number}` or, after
                `auth`, `{"notifications": account}`.
            credit: how many items may be on their way.
            cursor: of an earlier event, after which to begin; now if not given.
            since_ms: without a cursor: begin with what came at this time or later, milliseconds since 1970; 0
                is the beginning.
            silence_s: after which a silent connection is dropped; three heartbeats of the node if not given.
        """
        return Follow(
            self._failover,
            self._events,
            what,
            credit=credit,
            cursor=cursor,
            since_ms=since_ms,
            deadline_s=self.settings.deadline_s,
            silence_s=silence_s,
            random=self._random,
        )

    async def account(self, account: bytes, *, current: bool = False) -> AccountInfo:
        """What is known of an account.

        Args:
            account: 34 bytes.
            current: ask most seats, so that no change is missed, instead of what the node knows.

        Raises:
            WireError: `no_quorum`, with `current`.
        """
        return account_info(await self.call("account.get", _asked(account, current)))

    async def account_history(self, account: bytes, *, after: int = 0, current: bool = False) -> History:
        """The operations on an account.

        Args:
            account: 34 bytes.
            after: leave out so many, the oldest.
            current: as in `account`.

        Raises:
            WireError: `no_quorum`, with `current`.
        """
        params = _asked(account, current) | ({"after": after} if after else {})
        return history_of(await self.call("account.history", params), account)

    async def account_change(self, operation: Operation) -> AccountInfo:
        """Append an operation to an account's chain; what the account is then. Asking again changes nothing.

        Raises:
            WireError: `conflict`: it does not follow the newest one, or its handle is taken; `revoked_key` or
                `forbidden`: its signer may not do that; `no_quorum`; `uncertain`: it may yet be appended.
        """
        return account_info(await self.call("account.change", {"operation": operation.to_wire()}))

    async def handle(self, handle: str) -> HandleHolder:
        """Who has a handle, however it is spelled.

        Raises:
            WireError: `not_found`; `bad_request` for what can be no handle.
        """
        return handle_holder(await self.call("handle.get", {"handle": handle}))

    async def status(self) -> dict[str, Any]:
        """How the cluster is, as the connected node sees it."""
        result: dict[str, Any] = await self.call("cluster.status")
        return result

    async def where(self, account: bytes) -> dict[str, Any]:
        """Which nodes keep an account."""
        result: dict[str, Any] = await self.call("cluster.where", {"account": account})
        return result

    async def auth(self, keypair: KeyPair, account: bytes | None = None) -> dict[str, Any]:
        """Act for an account from now on, after reconnections too.

        Args:
            keypair: one of the account's keys.
            account: 34 bytes; the key pair's owner if not given.

        Raises:
            WireError: the node does not believe it; the client goes on without.
        """
        deadline = trio.current_time() + self.settings.deadline_s
        return await self._failover.authenticate(keypair, account or keypair.owner, deadline)

    async def ready(self) -> Welcome:
        """Connect if need be; what the connected node said of itself.

        Raises:
            Unreachable: no node answered in time.
        """
        return (await self.session()).welcome

    async def session(self) -> Session:
        """The open session, for those who pipeline on its link themselves."""
        return await self._failover.session(trio.current_time() + self.settings.deadline_s)

    def abandon(self, session: Session) -> None:
        """Go on with another node, if there is one: what this session's said is not so.

        Many may say it of the same session.
        """
        self._failover.abandon(session)

    def _judge(self, error: LinkBroken | WireError, method: str, session: Session) -> None:
        """Return when sending again may help, having given up a link of no use; otherwise raise `error`."""
        if isinstance(error, LinkBroken | NoAnswer):
            self._failover.abandon(session)
            if method not in IDEMPOTENT:
                raise error
        elif not error.kind.retryable or (method not in IDEMPOTENT and error.kind not in NOT_DONE):
            raise error
        elif error.kind == SHUTTING_DOWN:
            self._failover.abandon(session)

    def _pause_s(self, error: FolkmootError, attempt: int) -> float:
        if isinstance(error, LinkBroken) and attempt == 1:
            return 0.0
        asked_ms = error.retry_after_ms if isinstance(error, WireError) else None
        return (asked_ms or 0) / 1000 + backoff_s(attempt, self._random)

    async def _call_with_token(self, method: str, params: Params) -> dict[str, Any]:
        """Carry the session's token there, and what came back from then on."""
        sent = self.token if self.settings.carry_token else None
        result: dict[str, Any] = await self.call(method, params if sent is None else params | {"token": sent})
        received = result.get("token")
        if isinstance(received, bytes) and self.settings.carry_token:
            self.token = received if self.token == sent else joined_tokens(self.token, received)
        return result


def _asked(account: bytes, current: bool) -> Params:
    return {"account": account} | ({"current": True} if current else {})
