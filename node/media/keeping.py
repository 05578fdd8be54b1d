"""What this node keeps of the media of its ranges, and what it tells other nodes of that.

A medium lives where its account does: its place in the key space is that of the account's posts, so the same
replicas have both, whatever moves and splits. A replica takes a medium by fetching it from who offers it, and
says so when it is on its disk.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from folkmoot.node.contracts import EpochCheck
from folkmoot.node.environment import Executor, WallClock
from folkmoot.node.media import messages
from folkmoot.node.media.fetching import Fetcher
from folkmoot.node.media.references import references_of
from folkmoot.protocol import codec
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BUSY,
    MEDIA_MISSING,
    NOT_FOUND,
    REFUSED_BY_POLICY,
    TOO_LARGE,
    WireError,
)
from folkmoot.protocol.key import place_prefix
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.protocol.media.references import Reference, references
from folkmoot.protocol.record import Record
from folkmoot.storage.errors import StorageError
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.folders import Listed
from folkmoot.storage.media.layout import OPEN_AREAS, Area, MediumDamaged, Name, room_of
from folkmoot.storage.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

NOWHERE: Final = "no node that can be reached has this medium"
HOUR_US: Final = 3_600_000_000
ANYWHERE: Final = (Area.KEPT, Area.CACHE, Area.KEPT)
"""Where a medium is looked for, which may move from the cache to what is kept meanwhile, and never back."""

Handler = Callable[[bytes, Params], Awaitable[Any]]


class Standing(Protocol):
    """Whether this node knows that it has all it acknowledged."""

    @property
    def counted(self) -> bool: ...


class Keeping:
    """See the module.

    Args:
        blobs: where media lie.
        executor: where files are read and written.
        store: this node's cells.
        fetcher: brings what is to be kept.
        epochs, standing: see above.
        wall: dates what comes.
        quota_bytes: how much one account may have kept.
        unused_hours: for how long what came counts as referred to.

    Attributes:
        sealed: whether nobody may have a medium; blocks for a moment.
        is_aside: the same, of what lies aside, or did and is erased; in memory.
        kept: told of each medium that is kept here from now on.
    """

    def __init__(
        self,
        blobs: Blobs,
        executor: Executor,
        store: Store,
        fetcher: Fetcher,
        epochs: EpochCheck,
        standing: Standing,
        wall: WallClock,
        quota_bytes: int,
        unused_hours: float,
    ) -> None:
        self.blobs = blobs
        self.executor = executor
        self.wall = wall
        self.quota_bytes = quota_bytes
        self._store = store
        self._fetcher = fetcher
        self._epochs = epochs
        self._standing = standing
        self._fresh_us = int(unused_hours * HOUR_US)
        self._promoted: dict[Name, int] = {}
        self.is_aside: Callable[[Name], bool] = lambda name: False
        self.sealed: Callable[[Name], bool] | None = None
        self.kept: Callable[[Name], None] = lambda name: None

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {
            messages.MANIFEST: self._manifest,
            messages.CHUNK: self._chunk,
            messages.KEEP: self._keep,
            messages.ACCOUNT: self._account,
            messages.REFERS: self._refers,
        }

    def refusal(self, record: Record) -> WireError | None:
        """Why a post may not be taken from a client, if it shows what this replica has not.

        A few microseconds for each medium; nothing for posts without. Of what is there the file is looked at,
        because posts lie, too.
        """
        for reference in references(record):
            error = self._refused(Name(record.author, reference.hash), reference)
            if error is not None:
                return error
        return None

    def _refused(self, name: Name, reference: Reference) -> WireError | None:
        told = name.hash.hex()
        if self.is_sealed(name):
            return WireError(REFUSED_BY_POLICY, "the post shows a medium that is not taken")
        try:
            manifest = self.blobs.manifest(Area.KEPT, name)
        except (WireError, StorageError):
            return _missing(name)
        if reference.size not in (None, manifest.size) or reference.mime not in (None, manifest.mime):
            return WireError(
                BAD_REQUEST,
                f"the post says that medium {told} is {reference.mime} of {reference.size} bytes; "
                f"it is {manifest.mime} of {manifest.size}",
            )
        try:  # or it may be given up before the post is known everywhere
            return None if self.blobs.renew(name, self.wall.now_us()) else _missing(name)
        except StorageError as error:
            log.error("%s", error)
            return error.to_wire_error()

    async def keep(self, name: Name, size: int | None, source: bytes | None) -> None:
        """Have a medium kept here, durably.

        Args:
            size: in bytes, which the account's quota is to have left; None when it is not asked.
            source: the node that has it; None when it is in this one's cache.

        Raises:
            WireError: `too_large`, when the account's quota is used up; `busy`, while it is coming.
        """
        run, blobs = self.executor.run, self.blobs
        if self.is_aside(name):
            return  # it stays here whatever becomes of its range, and is brought nowhere
        area = await run(partial(blobs.find, name))
        already = area is Area.KEPT
        if not already:
            if size is not None:
                await self._check_quota(name, size)
            # What is begun from here on counts, before anybody else can ask.
            if area is Area.CACHE:
                with self._counted(name, size or 0):
                    await run(partial(blobs.promote, name, Area.CACHE, Area.KEPT))
            else:
                sources = [] if source is None else [source]
                await self._fetcher.wait(self._fetcher.begin(name, Area.KEPT, sources, size or 0))
        # What was here already may have come a moment ago, by a name that is not on the disk yet.
        if not await run(partial(blobs.renew, name, self.wall.now_us(), durable=already)):
            raise WireError(BUSY, "the medium was given up this very moment: ask again", retry_after_ms=250)
        if not already:
            self.kept(name)

    async def _check_quota(self, name: Name, size: int) -> None:
        """Count what is kept of an account and what is on its way: uploads that end at once count each other.

        What arrives while the folder is read was known to be coming before.
        """
        coming = self._coming(name.account)
        listed = await self.executor.run(partial(self.blobs.listed, Area.KEPT, name.account))
        coming |= self._coming(name.account)
        for each in (name.hash, *(each.hash for each in listed)):
            coming.pop(each, None)
        used = sum(each.file_bytes for each in listed) + sum(map(room_of, coming.values()))
        check_quota(used, len(listed) + len(coming), size, self.quota_bytes)

    def _coming(self, account: bytes) -> dict[bytes, int]:
        """What is about to be kept of an account: by hash, how many bytes it is said to have."""
        promoted = {name.hash: size for name, size in self._promoted.items() if name.account == account}
        return self._fetcher.coming(account) | promoted

    @contextmanager
    def _counted(self, name: Name, size: int) -> Iterator[None]:
        self._promoted[name] = size
        try:
            yield
        finally:
            self._promoted.pop(name, None)

    def told(self, asked: messages.OfAccount) -> dict[str, Any]:
        """What this node keeps of an account; blocks."""
        listed = self.blobs.listed(Area.KEPT, asked.account)
        after = asked.after or b""
        page = [each for each in listed if each.hash > after][: bounds.MEDIA_LISTED]
        page = page if asked.hash is None else []
        items, broken = [], []
        for each in page:
            try:
                manifest = self.blobs.manifest(Area.KEPT, Name(asked.account, each.hash))
            except MediumDamaged:
                broken.append(each.hash)
                continue
            except WireError:  # it was given up meanwhile
                continue
            unused = each.unused_us is not None
            items.append({"hash": each.hash, "size": manifest.size, "mime": manifest.mime, "unused": unused})
        return {
            "used": sum(each.file_bytes for each in listed),
            "quota": self.quota_bytes,
            "kept": any(each.hash == asked.hash for each in listed),
            "items": items,
            "damaged": broken,
            "next": page[-1].hash if page and page[-1].hash < listed[-1].hash else None,
        }

    def refers(self, account: bytes, hashes: Sequence[bytes]) -> list[bytes]:
        """Those of some media that a cell here refers to, or that came lately; blocks.

        Raises:
            StoreCorrupt: a cell is damaged, which may refer to anything.
        """
        known = references_of(self._store, account)
        kept = {each.hash: each for each in self.blobs.listed(Area.KEPT, account)}
        return [each for each in hashes if each in known or (each in kept and self.is_fresh(kept[each]))]

    def referred(self, account: bytes) -> set[bytes]:
        """The media of an account that a cell here refers to; blocks. Raises as `refers` does."""
        return references_of(self._store, account)

    def files_of(self, account: bytes) -> int:
        """How many files of an account's media lie here, uploads and copies among them; blocks."""
        return sum(len(self.blobs.listed(area, account)) for area in OPEN_AREAS)

    def is_shown(self, name: Name) -> bool:
        """Whether a cell here is known to refer to a medium; blocks."""
        try:
            return name.hash in references_of(self._store, name.account)
        except StorageError as error:  # it is mended, and looked at again then
            log.warning("%s", error)
            return False

    @property
    def counted(self) -> bool:
        """Whether this node knows that it has all it acknowledged."""
        return self._standing.counted

    def is_fresh(self, listed: Listed) -> bool:
        """Whether something came so lately that its post may be still to come."""
        return self.wall.now_us() - listed.since_us < self._fresh_us

    # What other nodes ask.

    async def _manifest(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.ManifestOf, messages.MANIFEST)
        await self._check_open(_name(asked))
        return (await self.manifest(_name(asked), kept=asked.kept)).to_wire()

    async def _chunk(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.ChunkOf, messages.CHUNK)
        await self._check_open(_name(asked))
        return {"data": await self.read(_name(asked), asked.index)}

    def is_sealed(self, name: Name) -> bool:
        """Whether nobody may have a medium; blocks for a moment where media are looked at."""
        return self.is_aside(name) if self.sealed is None else self.sealed(name)

    async def _check_open(self, name: Name) -> None:
        """Raise `not_found` for what no other node may have."""
        if await self.executor.run(partial(self.is_sealed, name)):
            raise WireError(NOT_FOUND, "this node does not have that medium")

    def check_served(self, name: Name) -> None:
        """Raise `not_found` for what is sealed here, which nobody is served from elsewhere either."""
        if self.is_aside(name):
            raise WireError(NOT_FOUND, NOWHERE)

    def check_taken(self, name: Name) -> None:
        """Raise `refused_by_policy` for what is sealed here, however often it is uploaded."""
        if self.is_aside(name):
            raise WireError(REFUSED_BY_POLICY, "this medium is not taken")

    async def read(self, name: Name, index: int) -> bytes:
        """One chunk of what this node has. What turns out to be damaged is taken away.

        Raises:
            WireError: `not_found`; `internal`, when it was damaged.
        """
        return await self.executor.run(
            partial(self._wherever, name, lambda area: self.blobs.read(area, name, index))
        )

    async def manifest(self, name: Name, *, kept: bool = False) -> Manifest:
        """What something that this node has, or keeps, is made of. Raises as `read` does."""
        areas = (Area.KEPT,) if kept else ANYWHERE
        return await self.executor.run(
            partial(self._wherever, name, lambda area: self.blobs.manifest(area, name), areas)
        )

    def _wherever(self, name: Name, look: Callable[[Area], T], areas: Sequence[Area] = ANYWHERE) -> T:
        """Look at a medium in some areas in turn."""
        for area in areas:
            try:
                return look(area)
            except MediumDamaged as error:
                self.blobs.drop(area, name)
                log.error("%s", error)
                raise error.to_wire_error() from error
            except WireError as error:
                if error.kind is not NOT_FOUND:
                    raise
        raise WireError(NOT_FOUND, "this node does not have that medium")

    async def _keep(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.Keep, messages.KEEP)
        self._epochs.check_epochs(dict(asked.ranges), [place_prefix(asked.account)])
        try:
            await self.keep(_name(asked), None if asked.moved else asked.size, node_id)
        except StorageError as error:
            raise error.to_wire_error() from error
        return {}

    async def _account(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.OfAccount, messages.ACCOUNT)
        return await self.executor.run(partial(self.told, asked))

    async def _refers(self, node_id: bytes, params: Params) -> dict[str, Any]:
        asked = codec.shaped(params, messages.Asked, messages.REFERS)
        if not self._standing.counted:
            raise WireError(BUSY, "this node does not know all it acknowledged", retry_after_ms=250)
        return {"hashes": await self.executor.run(partial(self.refers, asked.account, asked.hashes))}


def _missing(name: Name) -> WireError:
    return WireError(
        MEDIA_MISSING,
        f"the post shows medium {name.hash.hex()}, which its account has not uploaded here, or so long ago "
        "that it was given up; upload it (media.begin), then send the same bytes again",
        details={"hash": name.hash},
    )


def check_quota(used: int, count: int, size: int, quota: int) -> None:
    """Refuse what an account may not have kept besides.

    Raises:
        WireError: `too_large`, with `{used, quota}`.
    """
    if used + size > quota:
        has = f"media of {used} bytes, and may have {quota}"
    elif count >= bounds.MEDIA_PER_ACCOUNT:
        has = f"{count} media, and may have no more"
    else:
        return
    raise WireError(
        TOO_LARGE,
        f"the account has {has}; delete posts that show some, and they are given up after a while",
        details={"used": used, "quota": quota},
    )


def _name(asked: messages.Named | messages.ManifestOf | messages.ChunkOf | messages.Keep) -> Name:
    return Name(asked.account, asked.hash)
