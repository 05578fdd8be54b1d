"""Bugs of media: kept too short, too long, or not where and how they are said to be."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from folkmoot.node.contracts import CellBatch
from folkmoot.node.media import messages
from folkmoot.node.media.follower import Follower
from folkmoot.node.media.keeping import Keeping
from folkmoot.node.media.sweeper import Sweeper
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.protocol.media.references import hashes_in, may_refer, references
from folkmoot.protocol.record import Record
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.folders import Listed
from folkmoot.storage.media.layout import Area, Name

from tests.mutants.mutant import Plant, mutant


@mutant("collected-while-referenced", "media are given up although posts show them", "media")
def collected_while_referenced(plant: Plant) -> None:
    def refers(self: Keeping, account: bytes, hashes: Sequence[bytes]) -> list[bytes]:
        kept = {each.hash: each for each in self.blobs.listed(Area.KEPT, account)}
        return [each for each in hashes if each in kept and self.is_fresh(kept[each])]

    plant.setattr(Keeping, "refers", refers)


@mutant(
    "references-are-forgotten-at-boot",
    "only what came since the node was started counts as a reference",
    "media",
)
def references_are_forgotten_at_boot(plant: Plant) -> None:
    seen: WeakKeyDictionary[Keeping, set[bytes]] = WeakKeyDictionary()
    real_refusal, real_hear = Keeping.refusal, Follower.hear

    def refusal(self: Keeping, record: Record) -> WireError | None:
        seen.setdefault(self, set()).update(each.hash for each in references(record))
        return real_refusal(self, record)

    def hear(self: Follower, batch: CellBatch) -> None:
        for key, cell in zip(batch.keys, batch.cells, strict=True):
            if may_refer(key, cell):
                seen.setdefault(self._keeping, set()).update(hashes_in(cell))
        real_hear(self, batch)

    def refers(self: Keeping, account: bytes, hashes: Sequence[bytes]) -> list[bytes]:
        known = seen.setdefault(self, set())
        kept = {each.hash: each for each in self.blobs.listed(Area.KEPT, account)}
        return [each for each in hashes if each in known or (each in kept and self.is_fresh(kept[each]))]

    plant.setattr(Keeping, "refusal", refusal)
    plant.setattr(Follower, "hear", hear)
    plant.setattr(Keeping, "refers", refers)


@mutant("media-are-not-synced", "a medium counts as kept before its bytes are on the disk", "media")
def media_are_not_synced(plant: Plant) -> None:
    def seal(self: Blobs, name: Name) -> Manifest:
        with self._opened(Area.PARTIAL, name) as (_, manifest, _):
            if len(self.under_way.have(name) or ()) == len(manifest.chunks):
                return manifest
        return real(self, name)

    real = Blobs.seal
    plant.setattr(Blobs, "seal", seal)


@mutant("names-are-not-synced", "a medium counts as kept before its name is on the disk", "media")
def names_are_not_synced(plant: Plant) -> None:
    real = Blobs.promote

    def promote(self: Blobs, name: Name, source: Area, target: Area) -> None:
        with plant.context() as within:
            within.setattr(type(self.files), "sync_folder", lambda files, folder: None)
            real(self, name, source, target)

    plant.setattr(Blobs, "promote", promote)


@mutant("caches-are-not-erased", "what was fetched to be served stays in the cache", "media")
def caches_are_not_erased(plant: Plant) -> None:
    real = Sweeper._expire

    async def expire(self: Sweeper, area: Area, hours: float) -> None:
        if area is not Area.CACHE:
            await real(self, area, hours)

    plant.setattr(Sweeper, "_expire", expire)


@mutant("uploads-are-not-given-up", "what was begun to be uploaded stays for ever", "media")
def uploads_are_not_given_up(plant: Plant) -> None:
    real = Sweeper._expire

    async def expire(self: Sweeper, area: Area, hours: float) -> None:
        if area is not Area.PARTIAL:
            await real(self, area, hours)

    plant.setattr(Sweeper, "_expire", expire)


@mutant("unused-and-still-kept", "what nothing refers to is noted and never erased", "media")
def unused_and_still_kept(plant: Plant) -> None:
    def erase(self: Sweeper, account: bytes, seen: Sequence[Listed]) -> list[bytes]:
        return []

    plant.setattr(Sweeper, "_erase", erase)


@mutant("lacking-media-are-not-fetched", "what posts show that others sent is not fetched", "media")
def lacking_media_are_not_fetched(plant: Plant) -> None:
    def lacks(self: Follower, name: Name) -> bool:
        return False

    plant.setattr(Follower, "_lacks", lacks)


@mutant("room-is-not-given-back", "what is erased still counts as used", "media")
def room_is_not_given_back(plant: Plant) -> None:
    real = Blobs.drop

    def drop(self: Blobs, area: Area, name: Name) -> bool:
        used = self._used[area]
        dropped = real(self, area, name)
        self._used[area] = used
        return dropped

    plant.setattr(Blobs, "drop", drop)


@mutant("quotas-count-bytes-of-uploads", "an account is told less than its media take", "media")
def quotas_count_bytes_of_uploads(plant: Plant) -> None:
    real = Keeping.told

    def told(self: Keeping, asked: messages.OfAccount) -> dict[str, object]:
        answer = real(self, asked)
        return {**answer, "used": sum(item["size"] for item in answer["items"])}

    plant.setattr(Keeping, "told", told)
