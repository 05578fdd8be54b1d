"""What clients ask about media: `media.begin`, `put`, `finish`, `get`, `stat` and `list`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from cachetools import LRUCache
from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.configuration.media_section import MediaSection
from folkmoot.node.contracts import Peers, PeerUnreachable, Reading, Topology
from folkmoot.node.media import messages
from folkmoot.node.media.admitting import Admitting
from folkmoot.node.media.checking import check_kind
from folkmoot.node.media.fetching import Fetcher
from folkmoot.node.media.keeping import NOWHERE, Keeping, check_quota
from folkmoot.node.media.screening import Screening
from folkmoot.node.media.spreading import Spreader
from folkmoot.node.moderation.media.outcome import Outcome
from folkmoot.node.moderation.media_cases import Known
from folkmoot.node.routing import Router
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.crdt.cell import Cell
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    CONFLICT,
    INTERNAL,
    NOT_FOUND,
    REFUSED_BY_POLICY,
    TOO_LARGE,
    UNAUTHENTICATED,
    WireError,
)
from folkmoot.protocol.identity import is_account
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest
from folkmoot.protocol.media.references import references
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.record import Record
from folkmoot.protocol.ring.levels import parse_level
from folkmoot.protocol.token import Token
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.layout import Area, Name

READ_ATTEMPTS = 3

Decided = Callable[[bytes, bytes], Awaitable[Action | None]]
_WHO_LOOKS: Final = frozenset({"moderator", "expert", "operator"})


class Keys(Protocol):
    """Which keys may sign for an account."""

    def refusal(self, account: bytes, key: bytes) -> WireError | None: ...


class MediaMethods:
    """See the module.

    Args:
        settings: what may be uploaded.
        keeping: what this node has.
        fetcher: brings what it has not.
        spreader: brings uploads to their replicas.
        router, topology, peers: see `contracts`.
        keys: see `Keys`.
        reading: reads cells wherever they are kept.
        decided: what people have decided about a medium, by its account and hash.
        screening: looks at media before they are shown; None where nothing does.
    """

    def __init__(
        self,
        settings: MediaSection,
        keeping: Keeping,
        fetcher: Fetcher,
        spreader: Spreader,
        router: Router,
        topology: Topology,
        peers: Peers,
        keys: Keys,
        reading: Reading,
        decided: Decided,
        screening: Screening | None = None,
    ) -> None:
        self._settings = settings
        self._keeping = keeping
        self._blobs = keeping.blobs
        self._run = keeping.executor.run
        self._fetcher = fetcher
        self._spreader = spreader
        self._router = router
        self._topology = topology
        self._peers = peers
        self._keys = keys
        self._reading = reading
        self._decided = decided
        self._screening = screening
        self._shown: LRUCache[Name, bool] = LRUCache(bounds.MEDIA_WAITING)
        self._admitting = Admitting(self._blobs, self._stored, settings.upload_hours)

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "media.begin": self.begin,
            "media.put": self.put,
            "media.finish": self.finish,
            "media.get": self.get,
            "media.stat": self.stat,
            "media.list": self.listing,
        }

    async def begin(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Begin an upload, or go on with one: which chunks are here already."""
        manifest = Manifest.from_wire(params, "media.begin")
        shown_by = codec.shaped(params, messages.Begin, "media.begin").record
        account = self._uploader(asker) if shown_by is None else await self._author_of(shown_by, manifest)
        self._check_claim(manifest)
        name = Name(account, manifest.hash)
        if shown_by is not None:
            self._shown[name] = True
        told = await self._of_account(messages.OfAccount(account, hash=manifest.hash))
        if not told.kept:
            check_quota(told.used, 0, manifest.size, told.quota)
        if await self._run(partial(self._blobs.find, name)) is not None:
            there = await self._keeping.manifest(name)
            if there.mime != manifest.mime:
                raise WireError(
                    BAD_REQUEST, f"these bytes are kept already; the file by its first bytes is {there.mime}"
                )
            return {"chunk": CHUNK_BYTES, "have": list(range(len(manifest.chunks))), "whole": True}
        have = await self._admitting.begin(account, manifest, asker.origin)
        return {"chunk": CHUNK_BYTES, "have": sorted(have), "whole": False}

    async def put(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Take one chunk; in any order, and as often as one likes."""
        asked = codec.shaped(params, messages.Put, "media.put")
        name = self._begun(asker, asked.account, asked.hash)
        return {"missing": await self._stored(partial(self._write, name, asked.index, asked.data))}

    async def finish(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The chunks are all here: have the medium kept at a level."""
        asked = codec.shaped(params, messages.Finish, "media.finish")
        level, name = parse_level(asked.level), self._begun(asker, asked.account, asked.hash)
        with self._blobs.pinned(name):
            manifest = await self._stored(partial(self._whole, name))
            screened = {} if self._screening is None else _told(await self._screening.admit(name))
            achieved = await self._spreader.bring(name, manifest.size, level)
        told = {"hash": manifest.hash, "size": manifest.size, "mime": manifest.mime}
        return {**told, "achieved": achieved, **screened}

    async def get(self, asker: Asker, params: Params) -> dict[str, Any]:
        """One chunk of a medium, from here or, fetched first, from who keeps it."""
        asked = codec.shaped(params, messages.Get, "media.get")
        name = _named(asked.account, asked.hash)
        self._keeping.check_served(name)
        for _ in range(READ_ATTEMPTS):
            try:
                data = await self._keeping.read(name, asked.index)
                manifest = await self._keeping.manifest(name)
            except WireError as error:  # what is damaged was taken away, and another node has it whole
                if error.kind not in (NOT_FOUND, INTERNAL):
                    raise
                await self._fetch(name)
            else:
                about = {"size": manifest.size, "mime": manifest.mime, "chunks": len(manifest.chunks)}
                shown = await self._shown_to(asker, name)
                return {"index": asked.index, "data": data, **about, **shown}
        raise WireError(BUSY, "the medium was fetched, and gave way to others at once", retry_after_ms=1000)

    async def stat(self, asker: Asker, params: Params) -> dict[str, Any]:
        """What a medium is, without its bytes."""
        asked = codec.shaped(params, messages.Named, "media.stat")
        name = _named(asked.account, asked.hash)
        self._keeping.check_served(name)
        decided = _told_decided(await self._decided(*name))
        try:
            manifest = (await self._keeping.manifest(name)).to_wire()
        except WireError:
            return {**(await self._elsewhere(name))[1].to_wire(), **decided}
        if self._screening is None:
            return {**manifest, **decided}
        if (known := await self._run(partial(self._screening.known, name))).status == "sealed":
            raise WireError(NOT_FOUND, NOWHERE)
        return {**manifest, **_told(known), **decided}

    async def look(self, name: Name) -> Known:
        """Whether there is a medium, on this disk or another's; what is sealed is known here alone."""
        if await self._run(partial(self._keeping.is_sealed, name)):
            return "sealed"
        with suppress(WireError):
            await self._keeping.manifest(name)
            return "here"
        with suppress(WireError):
            await self._elsewhere(name)
            return "here"
        return "nowhere"

    async def listing(self, asker: Asker, params: Params) -> dict[str, Any]:
        """What the account that asks has kept, page by page, and how much it may."""
        account = self._uploader(asker)
        after = codec.shaped(params, messages.List, "media.list").after
        told = await self._of_account(messages.OfAccount(account, after=after))
        items = [
            {"hash": each.hash, "size": each.size, "mime": each.mime, "unused": each.unused}
            for each in told.items
        ]
        page = {"items": items, "damaged": told.damaged, "used": told.used, "quota": told.quota}
        return page if told.next is None else {**page, "next": told.next}

    async def _shown_to(self, asker: Asker, name: Name) -> dict[str, Any]:
        """What is said of a medium that is served. Raises as `Screening.show` does."""
        decided = await self._decided(*name)
        in_any_case = not _WHO_LOOKS.isdisjoint(asker.roles) or asker.account == name.account
        told = _told_decided(decided)
        if decided is not None and decided is not Action.RELEASE and not in_any_case:
            sentence = "the medium is withheld: somebody has decided so; show a placeholder"
            raise WireError(REFUSED_BY_POLICY, sentence, details=told)
        if self._screening is None:
            return told
        shown = in_any_case or decided is Action.RELEASE
        return {**_told(await self._screening.show(name, in_any_case=shown)), **told}

    def _uploader(self, asker: Asker) -> bytes:
        """Who asks.

        Raises:
            WireError: `unauthenticated`; or why the account's key may not sign any more.
        """
        if asker.account is None or asker.device is None:
            raise WireError(UNAUTHENTICATED, "media are uploaded by accounts: prove yours with auth first")
        refusal = self._keys.refusal(asker.account, asker.device)
        if refusal is not None:
            raise refusal
        return asker.account

    async def _author_of(self, frame: tuple[bytes, bytes], manifest: Manifest) -> bytes:
        """For whom a medium is that a signed record shows: whoever brings it, as with the record itself.

        Raises:
            WireError: the record does not show it, or its author's key may not sign.
        """
        record = Record.from_wire(list(frame))
        shown = {(each.hash, each.mime, each.size) for each in references(record)}
        if (manifest.hash, manifest.mime, manifest.size) not in shown:
            raise WireError(
                BAD_REQUEST, "media.begin: the record does not show a medium of this hash and kind"
            )
        if (refusal := self._keys.refusal(record.author, record.device)) is not None:
            raise refusal
        await self._run(record.verify)
        await self._check_stands(record)
        return record.author

    async def _check_stands(self, record: Record) -> None:
        """Refuse what was deleted or replaced: nothing comes back by whoever has kept a copy.

        A record that nobody here knows yet is on its way: what it shows is brought first.
        """
        [data] = (await self._reading.get([record.key], "one", Token())).cells
        cell = None if data is None else Cell.decode(data)
        if cell is None or (not cell.deleted and not cell.covers(record)):
            return
        if record.id not in {each.id for each in cell.survivors}:
            raise WireError(
                CONFLICT, "media.begin: the record was deleted or replaced, and what it showed is not taken"
            )

    def _begun(self, asker: Asker, account: bytes | None, digest: bytes) -> Name:
        """What was begun: for another account by a record of it, so that its chunks may come from anybody.

        Raises:
            WireError: `not_found`, when it was not begun so here; who has no part in it would renew it else.
        """
        if account is None or account == asker.account:
            return Name(self._uploader(asker), digest)
        name = _named(account, digest)
        if name not in self._shown:
            raise WireError(
                NOT_FOUND, "no upload for that account was begun here with a record that shows it"
            )
        return name

    def _check_claim(self, manifest: Manifest) -> None:
        settings = self._settings
        if manifest.size > settings.max_bytes:
            raise WireError(
                TOO_LARGE,
                f"the file has {manifest.size} bytes; this node takes media of up to {settings.max_bytes}",
                details={"max_bytes": int(settings.max_bytes)},
            )
        if manifest.mime not in settings.types:
            raise WireError(
                BAD_REQUEST,
                f"media of type {manifest.mime[:64]!r} are not taken here; there are "
                f"{', '.join(settings.types)}",
            )

    def _write(self, name: Name, index: int, data: bytes) -> int:
        self._blobs.admit(name, len(data), self._keeping.wall.now_us())
        return self._blobs.write(name, index, data)

    def _whole(self, name: Name) -> Manifest:
        """Have an upload, which is pinned, stand among what is whole once it is what it is said to be."""
        area = self._blobs.find(name)
        if area is not None:
            return self._blobs.manifest(area, name)
        manifest = self._blobs.seal(name)
        try:
            chunk = partial(self._blobs.read, Area.PARTIAL, name)
            check_kind(manifest, chunk, self._settings.max_megapixels)
            self._keeping.check_taken(name)
        except WireError:
            self._blobs.drop(Area.PARTIAL, name)
            raise
        self._blobs.promote(name, Area.PARTIAL, Area.CACHE)
        return manifest

    async def _stored(self, work: Callable[[], Any]) -> Any:
        """Run what writes files, and say what went wrong in the words of the contract."""
        try:
            return await self._run(work)
        except StorageError as error:
            raise error.to_wire_error() from error

    async def _of_account(self, asked: messages.OfAccount) -> messages.ToldAccount:
        """What the nearest replica that answers keeps of an account.

        Raises:
            WireError: `level_unreachable`.
        """
        owner = self._topology.where(place_prefix(asked.account))
        failed: set[bytes] = set()
        for node_id in self._router.candidates(owner.slots):
            try:
                if node_id == self._router.node_id:
                    answer: Any = await self._stored(partial(self._keeping.told, asked))
                else:
                    wire = {"account": asked.account, "hash": asked.hash, "after": asked.after}
                    answer = await self._peers.call(
                        node_id, messages.ACCOUNT, wire, limits.REPLICA_READ_TIMEOUT_S
                    )
                return codec.shaped(answer, messages.ToldAccount, "what is kept of an account")
            except (WireError, PeerUnreachable):
                failed.add(node_id)
        raise self._router.unreachable(owner.slots, "one", failed)

    async def _elsewhere(self, name: Name) -> tuple[bytes, Manifest]:
        """The nearest other replica that keeps a medium, and what it says that it is.

        Raises:
            WireError: `not_found`.
        """
        asked = {"account": name.account, "hash": name.hash, "kept": True}
        for node_id in self._router.candidates(self._topology.where(place_prefix(name.account)).slots):
            if node_id == self._router.node_id:
                continue
            try:
                answer = await self._peers.call(
                    node_id, messages.MANIFEST, asked, limits.REPLICA_READ_TIMEOUT_S
                )
                return node_id, messages.told_manifest(answer, name.hash)
            except (WireError, PeerUnreachable):
                continue
        raise WireError(NOT_FOUND, NOWHERE)

    async def _fetch(self, name: Name) -> None:
        """Fetch what another replica has; what nobody has costs no place among what is fetched.

        What no cell here refers to is not kept because somebody reads it: else who reads from one replica
        after the other what both give up would have them keep it for ever.
        """
        source, _ = await self._elsewhere(name)
        owner = self._topology.where(place_prefix(name.account))
        is_kept = self._router.node_id in owner.nodes() and await self._run(
            partial(self._keeping.is_shown, name)
        )
        area = Area.KEPT if is_kept else Area.CACHE
        with self._blobs.pinned(name):
            others = [each for each in owner.nodes() if each not in (source, self._router.node_id)]
            await self._fetcher.wait(self._fetcher.begin(name, area, [source, *others]))


def _told(outcome: Outcome) -> dict[str, Any]:
    return {"screening": outcome.to_wire()}


def _told_decided(decided: Action | None) -> dict[str, Any]:
    return {} if decided is None else {"decided": decided.word}


def _named(account: bytes, digest: bytes) -> Name:
    if not is_account(account):
        raise WireError(BAD_REQUEST, "account is not an account id of 34 bytes")
    return Name(account, digest)
