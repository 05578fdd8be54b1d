"""The previews that a node keeps for activations: the latest, in one named value."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from folkmoot.protocol import codec
from folkmoot.protocol.community.previewed import Preview
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.moderation.bounds import PREVIEW_LASTS_MS, PREVIEWS_KEPT
from folkmoot.storage.errors import StoreCorrupt
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import WriteTransaction

_STORED: Final = "previews"


def kept(store: Store) -> list[Preview]:
    """The previews that are kept, the oldest first; none where they are damaged: they are made again."""
    with suppress(StoreCorrupt, WireError):
        value = store.meta_get(_STORED)
        return [] if value is None else codec.shaped(codec.unpack(value), list[Preview], "the previews")
    return []


def keep(transaction: WriteTransaction, before: Sequence[Preview], preview: Preview) -> None:
    """Keep a preview, and let those go that are too old or too many.

    Raises:
        DiskFull: nothing was changed.
    """
    lasting = [each for each in before if preview.at_ms < each.at_ms + PREVIEW_LASTS_MS]
    some = [*lasting, preview][-PREVIEWS_KEPT:]
    transaction.meta_put(_STORED, codec.pack([each.to_wire() for each in some]))
