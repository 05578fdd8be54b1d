"""What bounds media; what a client must know is in `protocol.limits`."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import (
    MEDIA_CHUNK_BYTES,
    MESSAGE_BYTES,
    MESSAGE_COLLECTION_ITEMS,
    MIB,
    REPLICA_READ_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
)

MEDIA_BYTES: Final = 256 * MIB  # of one, however much a node's configuration allows
MEDIA_CHUNKS: Final = MEDIA_BYTES // MEDIA_CHUNK_BYTES
MEDIA_UPLOADS_PER_ACCOUNT: Final = 8  # begun and not finished, at one node
MEDIA_UPLOADS_PER_ADDRESS: Final = 32  # the same; too few to fill the room for uploads, as it comes
MEDIA_CLAIMS: Final = 1_024  # uploads at one node that were begun, and of which nothing has come
MEDIA_NOTED: Final = 4_096  # uploads of which a node remembers the address that began them
MEDIA_IDLE_S: Final = 600.0  # an upload that was untouched for longer gives way when there is no room
MEDIA_PER_ACCOUNT: Final = 65_536  # files of one account, whatever their sizes
MEDIA_LISTED: Final = 256  # on one page
MEDIA_ASKED: Final = MESSAGE_COLLECTION_ITEMS  # about at once, between nodes
MEDIA_FETCHES_AT_ONCE: Final = 4  # media that a node fetches from others
MEDIA_FETCH_WINDOW: Final = 4  # chunks of one of them that are on their way
MEDIA_WAITING: Final = 1_024  # that a node has been asked to fetch; above it the answer is `busy`
MEDIA_WANTED: Final = 4_096  # that a node knows it lacks; further ones are found once there is room
MEDIA_ANSWER_S: Final = 7.0  # after which what is still being fetched is answered `busy`
MEDIA_ROWS: Final = 512  # of the change log, looked at in one step
MEDIA_REMEMBERED: Final = 8_192  # of which a node has at hand what came of looking at them
MEDIA_RETRY_S: Final = 5.0  # doubled each time, for what nobody could give

assert MEDIA_ASKED * 64 < MESSAGE_BYTES, "a hash each"
assert MEDIA_CHUNKS <= MESSAGE_COLLECTION_ITEMS and 2 * MEDIA_CHUNK_BYTES < MESSAGE_BYTES
assert MEDIA_ANSWER_S + REPLICA_READ_TIMEOUT_S <= REQUEST_TIMEOUT_S
