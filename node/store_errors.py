"""What the store could not do, said twice: in plain words to who asked, and in full to the operator.

A store's errors name files and say what to run, which is nobody's business but the operator's; those who
asked learn what it means for them. Damage is noted, because another replica will answer in this one's place,
and nobody but the log would say what is damaged. A full disk refuses every put, and is told once a minute.
"""

from __future__ import annotations

import logging
from typing import Final

from folkmoot.node.environment import WallClock
from folkmoot.protocol.errors import DISK_FULL, INTERNAL, WireError
from folkmoot.storage.damage import Damage
from folkmoot.storage.errors import StorageError

log = logging.getLogger(__name__)

TELL_AGAIN_US: Final = 60_000_000


class StoreErrors:
    """See the module. May be told of errors by the writer's thread.

    Args:
        damage: where what is damaged is noted.
        wall: says when a minute is over.
    """

    def __init__(self, damage: Damage, wall: WallClock) -> None:
        self._damage = damage
        self._wall = wall
        self._full_told_us: int | None = None

    def in_the_contract(self, error: StorageError) -> WireError:
        """`error` in the words of the contract, once the operator has been told."""
        if error.kind is INTERNAL:
            log.error("%s", error)
            self._damage.note(error)
        elif error.kind is DISK_FULL:
            self._tell_full(error)
        return error.to_wire_error()

    def _tell_full(self, error: StorageError) -> None:
        now_us = self._wall.now_us()
        # The clock on the wall may have been put back meanwhile.
        if self._full_told_us is None or not 0 <= now_us - self._full_told_us < TELL_AGAIN_US:
            self._full_told_us = now_us
            log.warning("%s", error)
