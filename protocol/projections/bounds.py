"""What bounds notices, how far logs are read ahead, and streams that other nodes follow."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import FOLLOW_WAIT_S, REPLICA_READ_TIMEOUT_S

NOTICE_NAMES: Final = 16  # of those who like or repost one post, the newest, are kept with its notice
NOTICES_BY: Final = 5  # of them are told with it
NOTICES_SPARE: Final = 64  # entries above the bound, before a list of notices is cut
NOTICES_LOOKED_AT: Final = 50  # at a time, when a page is built
NOTICES_FOLLOWED: Final = 500  # the newest, which a live stream of them looks at
NOTICES_UNREAD: Final = 100  # are counted; as many as that may be more
CHANGES_READ: Final = 2_048  # of own logs, that wait to be applied
LOG_ROWS_READ: Final = 1_024  # of one lane of them, that are looked at for that at a time

ASKER_SILENT_S: Final = 30.0  # after which nothing is held for the clients of another node

assert 2 * (FOLLOW_WAIT_S + REPLICA_READ_TIMEOUT_S) < ASKER_SILENT_S, "who waits is not taken for gone"
