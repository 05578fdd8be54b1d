"""What a node has for media, put together: the room of the wiring in `daemon` that concerns them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from folkmoot.node.accounts.parts import AccountParts
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.actors.reader import Reader
from folkmoot.node.actors.replica import Replica
from folkmoot.node.actors.session import Method
from folkmoot.node.actors.standing import Standing
from folkmoot.node.community.parts import CommunityParts
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.media.fetching import Fetcher
from folkmoot.node.media.follower import Follower
from folkmoot.node.media.keeping import Handler, Keeping
from folkmoot.node.media.methods import Keys, MediaMethods
from folkmoot.node.media.purging import Purging
from folkmoot.node.media.screening import Screening
from folkmoot.node.media.sealed_methods import SealedMethods
from folkmoot.node.media.sealing import Sealing
from folkmoot.node.media.signals import Unseen
from folkmoot.node.media.spreading import Spreader
from folkmoot.node.media.sweeper import Sweeper
from folkmoot.node.moderation.media_cases import Known
from folkmoot.node.moderation.parts import ModerationParts
from folkmoot.node.movement.parts import MovementParts
from folkmoot.node.routing import Router
from folkmoot.node.wired import Wired
from folkmoot.protocol.community.value import EXPERT
from folkmoot.protocol.moderation.signals import MEDIA
from folkmoot.storage.media.layout import Area, Name
from folkmoot.storage.media.sealed import SealedMedia


class KeepsCells(Wired, Protocol):
    """What media rest on besides: see `daemon`."""

    router: Router
    replica: Replica
    reader: Reader
    standing: Standing
    movement: MovementParts
    accounts: AccountParts
    community: CommunityParts
    gatekeeper: Gatekeeper
    moderation: ModerationParts


class MediaParts:
    """See the module. A node whose environment has no place for media has none of it.

    Args:
        wired: the node's.
    """

    def __init__(self, wired: KeepsCells) -> None:
        self._wired = wired
        self._keeping: Keeping | None = None
        self._methods: MediaMethods | None = None
        self.screening: Screening | None = None
        self.sealing: Sealing | None = None
        wired.gatekeeper.lookups[MEDIA] = Unseen(wired.config.screening)
        if (home := wired.environment.media) is None:
            return
        config, topology, links, store = wired.config, wired.topology, wired.links, wired.commits.store
        settings, wall = config.media, wired.environment.wall
        blobs = home.open(config.node.data)
        self.fetcher = Fetcher(blobs, home.executor, links)
        self._keeping = keeping = Keeping(
            blobs,
            home.executor,
            store,
            self.fetcher,
            wired.replica,
            wired.standing,
            wall,
            settings.quota,
            settings.unused_hours,
        )
        sealed = SealedMedia(blobs, config.screening.sealed_cap)
        experts = partial(wired.community.roles.count, EXPERT)
        self.sealing = sealing = Sealing(sealed, home.executor, wall, config.screening, experts)
        keeping.is_aside = sealing.is_sealed
        if config.screening.enabled:
            self.screening = Screening(config.screening, home, keeping, sealing, settings.sweep_minutes)
            wired.gatekeeper.lookups[MEDIA] = self.screening.signals
        wired.replica.refuses = keeping.refusal
        wired.movement.leaves_nothing.append(lambda: not blobs.used(Area.KEPT))
        wired.movement.leaves_nothing.append(lambda: not sealing.waiting)
        node_id = wired.node_id
        self.spreader = Spreader(wired.router, topology, links, keeping)
        self.follower = Follower(node_id, store, keeping, self.fetcher, topology, self._reachable)
        wired.replica.joined = self.follower.hear
        self.purging = Purging(keeping, wired.router, topology, links, wired.replica, self._members)
        wired.accounts.media_of = keeping.files_of
        self.sweeper = Sweeper(node_id, settings, keeping, topology, links, self._members, self.follower)

    def peer_methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        if self._keeping is None:
            return {}
        return {**self._keeping.peer_methods(), **self.purging.peer_methods()}

    async def look(self, account: bytes, digest: bytes) -> Known:
        """See `moderation.media_cases.Look`."""
        return "nowhere" if self._methods is None else await self._methods.look(Name(account, digest))

    def client_methods(self, keys: Keys) -> Mapping[str, Method]:
        """What clients may ask, by name.

        Args:
            keys: which keys may sign for an account.
        """
        cases = self._wired.moderation.media_cases(self.look)
        if self._keeping is None or self.sealing is None:
            return {}
        wired = self._wired
        settings, router, links = wired.config.media, wired.router, wired.links
        self._methods = methods = MediaMethods(
            settings,
            self._keeping,
            self.fetcher,
            self.spreader,
            router,
            wired.topology,
            links,
            keys,
            wired.reader,
            cases.decided,
            self.screening,
        )
        sealed = SealedMethods(self.sealing, wired.environment.random)
        return {**methods.table(), **self.purging.client_methods(), **sealed.client_methods()}

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs by itself, by name."""
        if self._keeping is None or self.sealing is None:
            return {}
        screening = {} if self.screening is None else {"media screening": self.screening.run}
        return {
            **screening,
            "media sealing": self.sealing.run,
            "media fetcher": self.fetcher.run,
            "media spreader": self.spreader.run,
            "media follower": self.follower.run,
            "media sweeper": self.sweeper.run,
        }

    def status(self, *, for_operator: bool) -> dict[str, Any] | None:
        """What is kept and was done, as `cluster.status` tells it; operators are told what is sealed, too."""
        if self._keeping is None:
            return None
        blobs, swept = self._keeping.blobs, self.sweeper.statistics
        screening = None if self.screening is None else self.screening.status(for_operator=for_operator)
        return {
            "kept_bytes": blobs.used(Area.KEPT),
            "cap_bytes": int(blobs.cap_bytes),
            "partial_bytes": blobs.used(Area.PARTIAL),
            "cache_bytes": blobs.used(Area.CACHE),
            "cache_cap_bytes": int(blobs.cache_bytes),
            "missing": self.follower.missing,
            "fetching": self.fetcher.running,
            "fetched": self.fetcher.fetched,
            "failed": self.fetcher.failed,
            "sweeps": swept.sweeps,
            "unused": swept.marked,
            "erased": swept.erased,
            "handed_on": swept.handed_on,
            "blocked_by": swept.blocked_by or None,
            "screening": screening,
            **({"sealed": self.sealing.status()} if for_operator and self.sealing is not None else {}),
        }

    def reload(self, config: NodeConfig) -> None:
        """Apply what a reload can change."""
        if self.sealing is not None:
            self.sealing.reload(config.screening)
        if self.screening is not None:
            self.screening.reload(config.screening)

    def _members(self) -> list[bytes] | None:
        """All other members but those that were given up for dead; None while they are not known."""
        if (roster := self._wired.topology.roster) is None:
            return None
        own = self._wired.node_id
        return [node.node_id for node in roster.nodes if node.node_id != own and node.standing != "dead"]

    def _reachable(self) -> list[bytes]:
        """Those of them that can be reached."""
        return [each for each in self._members() or [] if self._wired.membership.reachable(each)]
