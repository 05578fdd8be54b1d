"""How many uploads may be under way at this node, by account and by address.

An account costs nothing, so that its bound holds up nobody who makes many; an address costs something.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from folkmoot.node.contracts import Origin
from folkmoot.protocol.errors import RATE_LIMITED, WireError
from folkmoot.protocol.media import bounds
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.layout import Area, Name

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


class Admitting:
    """See the module.

    Args:
        blobs: where uploads lie.
        run: has something done that blocks.
        upload_hours: after which they are given up.
    """

    def __init__(self, blobs: Blobs, run: Run, upload_hours: float) -> None:
        self._blobs = blobs
        self._upload_hours = upload_hours
        self._run = run
        self._lock = trio.Lock()  # so that those begun at once count each other
        self._begun_from: OrderedDict[Name, str] = OrderedDict()  # the one begun first is the first

    async def begin(self, account: bytes, manifest: Manifest, origin: Origin) -> set[int]:
        """Begin an upload, or go on with one; the chunks that are here. See `Blobs.begin`.

        Raises:
            WireError: `rate_limited`.
            DiskFull: see there.
        """
        name = Name(account, manifest.hash)
        async with self._lock:
            listed = await self._run(partial(self._blobs.listed, Area.PARTIAL, account))
            under_way = {each.hash for each in listed} - {name.hash}
            self._check("account", len(under_way), bounds.MEDIA_UPLOADS_PER_ACCOUNT)
            if not origin.exempt:
                self._check("address", self._count(origin.address, name), bounds.MEDIA_UPLOADS_PER_ADDRESS)
            have: set[int] = await self._run(partial(self._blobs.begin, account, manifest))
            if not origin.exempt:
                self._note(name, origin.address)
        return have

    def _count(self, address: str, but: Name) -> int:
        there = [each for each, begun_from in self._begun_from.items() if begun_from == address]
        under_way = [each for each in there if each in self._blobs.under_way]
        for each in set(there).difference(under_way):
            del self._begun_from[each]
        return sum(each != but for each in under_way)

    def _note(self, name: Name, address: str) -> None:
        self._begun_from[name] = address
        if len(self._begun_from) > bounds.MEDIA_NOTED:
            self._begun_from.popitem(last=False)

    def _check(self, whose: str, count: int, most: int) -> None:
        if count >= most:
            raise WireError(
                RATE_LIMITED,
                f"{count} uploads of this {whose} are under way here: finish one first, or wait "
                f"{self._upload_hours:g} hours, after which they are given up",
                retry_after_ms=60_000,
            )
