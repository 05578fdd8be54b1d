"""What a follower has shown of each cell, so that nothing is shown twice, and nothing older after something
newer, when a stream repeats what another replica told already."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from folkmoot.protocol.record import Record

CELLS_MAX: Final = 8_192


@dataclass(slots=True)
class _Shown:
    """What was shown at one key: the greatest stamp of each device, as far as records said, and deletions."""

    stamps: dict[bytes, int] = field(default_factory=dict)
    deleted: bool = False


class Seen:
    """Remembers the cells that were shown last, at most `cells_max`; of others repeats are let through.

    Args:
        cells_max: how many.
    """

    def __init__(self, cells_max: int = CELLS_MAX) -> None:
        self._cells_max = cells_max
        self._cells: OrderedDict[bytes, _Shown] = OrderedDict()

    def is_news(self, record: Record) -> bool:
        """Whether a record is to be shown; it then counts as shown.

        It is not when it, or one that supersedes it, was shown at its key, or a deletion was. By the records'
        own clocks, as cells are joined: what a node says, or when, has no part in it.
        """
        shown = self._cells.setdefault(record.key, _Shown())
        self._cells.move_to_end(record.key)
        if len(self._cells) > self._cells_max:
            self._cells.popitem(last=False)
        if record.deleted:
            news = not shown.deleted
        else:
            news = not shown.deleted and shown.stamps.get(record.device, 0) < record.stamp
        if news:
            shown.deleted = record.deleted
            for device, stamp in (*record.seen.items(), (record.device, record.stamp)):
                shown.stamps[device] = max(stamp, shown.stamps.get(device, 0))
        return news
