"""What bounds media; what a client must know is in `protocol.limits`."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import (
    KIB,
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
SEALED_PAGE: Final = 64  # sealed media, and entries of a custody record, that are told at once
SEALED_REASON_CODE_POINTS: Final = 500
SEALED_CASE_CODE_POINTS: Final = 200  # of a case's reference, such as the number that a report was given
SEALED_LINE_BYTES: Final = 8 * KIB  # of a custody record, whatever its words are
SEALED_OPENED: Final = 256  # times that one sealed medium may be opened
SEALED_HANDED_OVER: Final = 16  # bodies that it may be handed over to
SEALED_LINES: Final = 512  # of one custody record, with those that a crash has cut off
SEALED_ACCESSES: Final = 256  # at one node, that experts have opened and may read from
SEALED_ACCESS_S: Final = 3_600.0  # for which that lasts
SEALED_SWEEP_S: Final = 600.0  # between two looks for what was kept for long enough
SEALED_DUE_S: Final = 7_200.0  # for which it stays all the same, should a clock be wrong for the moment

assert MEDIA_ASKED * 64 < MESSAGE_BYTES, "a hash each"
assert MEDIA_CHUNKS <= MESSAGE_COLLECTION_ITEMS and 2 * MEDIA_CHUNK_BYTES < MESSAGE_BYTES
assert SEALED_PAGE * SEALED_LINE_BYTES < MESSAGE_BYTES
assert SEALED_OPENED + SEALED_HANDED_OVER + 2 < SEALED_LINES, "there is room for how it ends"
assert MEDIA_ANSWER_S + REPLICA_READ_TIMEOUT_S <= REQUEST_TIMEOUT_S
