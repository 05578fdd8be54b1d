"""Every bound of the system, in one file, with the relations between them asserted.

A limit that clients need to know is announced in `hello` (see `announced`). Names put the big noun first
and the unit last. Changing a limit that two nodes must agree on (marked *wire*) needs a protocol version.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# Messages (wire): what one MessagePack-RPC message may be.
MESSAGE_BYTES: Final = 1 * MIB
MESSAGE_DEPTH: Final = 16
MESSAGE_COLLECTION_ITEMS: Final = 4096
MSGID_MAX: Final = 2**32 - 1

# Connections.
CHALLENGE_BYTES: Final = 32
INFLIGHT_PER_CONNECTION: Final = 256
CONNECTIONS_PER_LISTENER: Final = 1024  # whose handshake is done; one address has at most half
HANDSHAKES_PER_LISTENER: Final = 256  # not done yet; above it the oldest makes room
GUARDED_BYTES: Final = 4 * KIB
FRAMER_BYTES: Final = 16 * KIB  # allotted to each connection at once
RECEIVE_CHUNK_BYTES: Final = 64 * KIB
HANDSHAKE_TIMEOUT_S: Final = 5.0
HELLO_TIMEOUT_S: Final = 10.0
IDLE_TIMEOUT_S: Final = 300.0
IDLE_STEP_S: Final = 0.5  # silence is noticed up to so much later, since deadlines are moved no oftener
REQUEST_TIMEOUT_S: Final = 10.0
PUT_HEDGE_S: Final = 1.0  # of silence, after which a put turns to another replica as well
PUT_HEDGES_UNDER_WAY: Final = 64  # messages; more of them wait, so that slowness does not double the load
REPLICA_READ_TIMEOUT_S: Final = 3.0  # then a read turns to another replica, well within its own deadline
MESSAGE_TIMEOUT_S: Final = 30.0  # from a message's first bytes to its last
SEND_TIMEOUT_S: Final = 10.0  # for one flush; a reader slower than this is cut off
CLOSE_TIMEOUT_S: Final = 0.5  # for a last message to be read before the stream closes
FLUSH_BYTES: Final = 128 * KIB
OUTPUT_HIGH_WATER_BYTES: Final = 1 * MIB  # above it, our own calls wait
OUTPUT_BYTES: Final = 8 * MIB  # above it, answers become `busy`; above twice that, the link is cut
OUTPUT_CLIENTS_BYTES: Final = 64 * MIB  # on all clients' links; one may hold an eighth of what is free
OUTPUT_CLIENT_BYTES: Final = 2 * MIB  # what a client's link may hold at the expense of slower ones
OUTPUT_PATIENCE_S: Final = 1.0  # an oldest byte unread for longer makes a link slow
OUTPUT_SHORT_BYTES: Final = 16 * KIB  # an answer as short as that counts for little
LEAVE_TIMEOUT_S: Final = 1.5  # for requests in work to be answered before a goodbye

# Records (wire).
RECORD_BYTES: Final = 16 * KIB
SIGNATURE_BYTES: Final = 64
RECORD_ID_BYTES: Final = 32
ACCOUNT_BYTES: Final = 34
ITEM_BYTES: Final = 128
POST_ITEM_BYTES: Final = 16
POST_TEXT_CODE_POINTS: Final = 3_000
POST_TAGS: Final = 32
POST_TAG_CODE_POINTS: Final = 64
POST_MEDIA: Final = 8
POST_MIME_CODE_POINTS: Final = 127
POST_ALT_CODE_POINTS: Final = 1_500
POST_LANG_CODE_POINTS: Final = 35
POST_LABELS: Final = 16  # that an author puts on a post
POST_MENTIONS: Final = 64
LIST_ITEM_BYTES: Final = 16
LIST_NAME_CODE_POINTS: Final = 64
LIST_ABOUT_CODE_POINTS: Final = 500
MUTED_WORD_CODE_POINTS: Final = 100
STAMP_AHEAD_US: Final = 5 * 60 * 1_000_000
STAMP_MAX: Final = 2**63 - 1
RECORDS_IN_INTAKE: Final = 64 * KIB
RECORDS_IN_INTAKE_PER_ADDRESS: Final = 8 * KIB
RECORDS_PER_PUT: Final = 256
PASS_RECORDS: Final = 256  # a pass of puts with so many is full
PASSES_UNDER_WAY: Final = 4_096  # most of them wait for a level; what is in work is bounded in records
JOIN_PASSES_UNDER_WAY: Final = 8
PASS_MOMENT_S: Final = 0.002  # about a commit
KEYS_PER_GET: Final = 256

# Cells (wire): the CRDT's own bounds.
CELL_DEVICES: Final = 16
CELL_HISTORY: Final = 16
CELL_SURVIVORS: Final = CELL_DEVICES
CELL_BYTES: Final = 576 * KIB

# Feeds.
PAGE_ITEMS: Final = 200
PAGE_ITEMS_DEFAULT: Final = 50
PAGE_BYTES: Final = MESSAGE_BYTES - 64 * KIB
PAGE_ROWS_SCANNED: Final = 4_000
PAGE_LABELS_PER_POST: Final = 16
CURSOR_BYTES: Final = 1024  # a place in a thread is a way of 17 entries
LIST_MEMBERS: Final = 500  # of one list are looked at for its feed
VIEWER_EDGES: Final = 10_000  # of each sort: followed, blocked, muted accounts and threads; the newest
PREFERENCE_NAME_BYTES: Final = 64
VIEWER_WORDS: Final = 1_000  # muted, the newest

# Feed algorithms.
ALGORITHM_NAME_BYTES: Final = 64
ALGORITHM_TITLE_CODE_POINTS: Final = 64
ALGORITHM_ABOUT_CODE_POINTS: Final = 500
ALGORITHM_SOURCES: Final = 8
ALGORITHM_FILTERS: Final = 16
ALGORITHM_TERMS: Final = 16
ALGORITHM_WORD_CHARACTERS: Final = 32  # of the name of a term, or of a source
ALGORITHM_WEIGHT_MAX: Final = 1_000_000  # in thousandths
ALGORITHM_HALF_LIFE_S: Final = 10 * 365 * 24 * 3600  # at most
EXPRESSION_CODE_POINTS: Final = 500
ALGORITHM_CODE_POINTS: Final = 4_000  # of all its expressions together
RANKED_CANDIDATES: Final = 500  # of one ranking, from all its sources
RANKED_SOURCE_ITEMS: Final = 200  # of one source that says no limit
RANKING_TIME_S: Final = 0.25  # of a processor, for the expressions of one ranking
FRIENDS_ASKED: Final = 50  # of those whom a reader follows, and as many whom these follow
FRIENDS_FOLLOWS: Final = 500  # of each of them, the latest
RANKED_TAGS: Final = 8

# Live streams.
FOLLOW_SUBSCRIPTIONS: Final = 64  # of one connection
FOLLOW_SUBSCRIPTIONS_OF_ALL: Final = 4_096  # of one node's clients together
FOLLOW_CREDIT: Final = 65_536  # items that one subscription may be owed
FOLLOW_EVENT_ITEMS: Final = 64
FOLLOW_EVENT_BYTES: Final = 128 * KIB  # but for one item
FOLLOW_LOG_ROWS: Final = 1_024  # looked at in one transaction
FOLLOW_HEARTBEAT_S: Final = 15.0  # of nothing to tell, after which a stream says that it is alive
FOLLOW_WAIT_S: Final = 5.0  # for which one node waits at another for something to change
FOLLOW_WAITS: Final = 1_024  # of other nodes at one; more of them are answered at once
FOLLOW_MOMENT_S: Final = 0.02  # of commits that are told together
FOLLOW_RANGES_AWAY: Final = 128  # that are followed at other nodes
FOLLOW_UNREACHABLE_S: Final = 10.0  # without any replica to read from, after which a stream ends
FOLLOW_CLOCKS_S: Final = 2.0  # by which the clocks of two nodes are taken to differ at most
FOLLOW_PASSES: Final = 256  # of repair with one node, that are remembered
FOLLOW_MOMENTS: Final = 4_096  # at which it is remembered how far the log was

PROFILE_FIELDS: Final = 256  # are told of one account

# Media.
MEDIA_CHUNK_BYTES: Final = 256 * KIB  # (wire)

# Tokens.
TOKEN_PAIRS: Final = 128
TOKEN_BYTES: Final = 48 * KIB
TOKEN_WAIT_S: Final = 2.0

# Ring.
RANGES_INITIAL: Final = 64
LANES: Final = 64
BLOCKS_PER_LANE: Final = 64
BLOCKS: Final = LANES * BLOCKS_PER_LANE
RANGES: Final = 4_096
ROSTER_NODES: Final = 256
NODE_ID_BYTES: Final = 16
SLUG_CHARACTERS: Final = 63
CAPACITY_MAX: Final = 1_000
SLOTS_PER_RANGE: Final = 16
NODES_PER_SLOT: Final = 2
EPOCH_MAX: Final = 2**48 - 1
EPOCH_STEP: Final = 1_024  # how far one answer may raise an epoch above the one known
EPOCHS_SUM_MAX: Final = 2**63 - 1
TOPOLOGY_REPLY_RANGES: Final = 256
TOPOLOGY_BYTES: Final = 4 * MIB  # encoded, as a node keeps it
TOPOLOGY_SPLIT_BYTES: Final = 3 * MIB  # above which nothing is split any more

# Reconciliation between two replicas (wire between nodes).
SYNC_FRAME_BYTES: Final = 64 * KIB
SYNC_BUCKETS: Final = 16
SYNC_LIST_ITEMS: Final = 32
SYNC_FRAME_LEAVES: Final = 8_192  # past so many, a frame is about no further range
SYNC_PAGE_ITEMS: Final = 1_024
SYNC_FRAME_RANGES: Final = 256
SYNC_PENDING_RANGES: Final = 4_096
SYNC_DEPTH: Final = 32
SYNC_FRAMES: Final = 16_384
SYNC_RUN_LEAVES: Final = 256  # at least; and less than twice as many

# Gossip (wire).
GOSSIP_DATAGRAM_BYTES: Final = 1_400
GOSSIP_DESCRIPTION_BYTES: Final = 512
GOSSIP_MEMBERS: Final = 1_024  # known at a time
GOSSIP_STRANGERS: Final = 256  # of those, members that are not on the roster
GOSSIP_FORGET_S: Final = 3_600.0  # after which one of them that is gone is forgotten
GOSSIP_DOUBTS: Final = 16
GOSSIP_CLOCKS: Final = 64  # of peers, that a node compares its own with
INCARNATION_MAX: Final = 2**63 - 1
INCARNATION_STEP: Final = 1_024  # how far hearsay may raise an incarnation above the one known
INCARNATION_CLIMB: Final = 2**24  # how far a node raises its own at once, when a link says it must
GOSSIP_RELAYS: Final = 256
GOSSIP_MAIL: Final = 1_024

# Replication between nodes.
REPLICATION_WINDOW_CELLS: Final = 4_096
REPLICATION_BATCH_CELLS: Final = 512
REPLICATION_BATCH_BYTES: Final = 768 * KIB
HINTS_PER_NODE: Final = 100_000
HINT_AGE_S: Final = 3 * 3600.0
REPAIR_INTERVAL_S: Final = 30.0
MEND_QUIET_S: Final = 6.0  # after damage was met, before the others are asked; see the mender
COPY_SESSION_BYTES: Final = 16
COPIES_AT_ONCE: Final = 2  # ranges that a node fills from others
MOVES_AT_ONCE: Final = 2  # ranges that a node drives to where they are to be
COPY_SLICES: Final = 16  # of one range, at most
COPY_SLICES_AT_ONCE: Final = 4  # of one range
COPY_SESSIONS_KEPT: Final = 8  # of one range, whose ends are remembered
ERASE_CELLS: Final = 512  # in one transaction
WEIGHINGS_AT_ONCE: Final = 2  # of ranges that a node was asked to weigh; above it the answer is `busy`

# Projections.
TAG_FORM_BYTES: Final = 8 * KIB  # more than any tag comes to, composed and without case
FOLLOWS_REFILLED: Final = 5_000  # followed accounts whose posts are put into an inbox anew
BACKFILLS_AT_ONCE: Final = 64
BACKFILLS_LOOKED_AT: Final = 512  # for those that are due, in one transaction
BACKFILLS_RETRIED: Final = 32_768  # of which it is remembered when they are tried again
BACKFILL_ASKS: Final = 16  # of other nodes, under way at a time
BACKFILL_IDLE_S: Final = 1.0  # while some wait to be tried again
PROJECTION_SETTLED_S: Final = 2 * REPAIR_INTERVAL_S  # then all replicas have what any had, if they are there
PROJECTED_CHANGES: Final = 256  # told of one lane at a time
PROJECTED_BYTES: Final = 512 * KIB  # of them in one message; but for the last one
PROJECTION_ERASED_ROWS: Final = 2_048  # in one transaction
PROJECTED_LATEST: Final = 2_000  # posts of an account, and as many reposts, for a new follower's inbox
PROJECTION_LOGS: Final = 16  # of one range, in which an asker says how far it has come
PROJECTION_WRITES: Final = 2_000  # rows in one transaction, after which no further change is applied
PROJECTION_WRITES_AMONG_OTHERS: Final = 256  # the same while clients write: they wait for it
FOLLOW_FEED_ROWS: Final = PROJECTED_LATEST  # the newest of a feed, which a live stream of it looks at
FOLLOW_FEED_LATE_S: Final = 3_600.0  # what came so late while nobody listened is told to who comes back
PROJECTION_PAUSE_S: Final = 0.05  # while something changes; each pause costs at most one commit
PROJECTION_IDLE_S: Final = 0.5
PROJECTION_ASK_S: Final = 1.0  # between two times that another node is asked about a range that is quiet
PROJECTION_RETRY_S: Final = 5.0  # after a replica was not to be reached, or the disk was full

# Search.

# Registers.
SEAT_ID_BYTES: Final = 16
REQUEST_ID_BYTES: Final = 16
REGISTER_NAME_BYTES: Final = 128
REGISTER_BYTES: Final = 256 * KIB
REGISTER_REQUESTS: Final = 16  # ids of requests that a value remembers
REGISTERS: Final = 65_536  # that one seat keeps
REGISTER_NAMES: Final = 256  # in one answer
REGISTER_PROBES: Final = 16  # registers that hold nothing, for trying whether registers work
REGISTER_LEADS: Final = 1_024  # that a proposer remembers; without one a change takes a round more
REGISTER_ASK_TIMEOUT_S: Final = 2.0  # for one seat to answer
REGISTER_TIMEOUT_S: Final = 8.0  # for a change or a read, all attempts together
REGISTERS_AT_ONCE: Final = 16  # of one node's, when many are rewritten or read
SEATS_ASKED: Final = 32  # nodes, by one that wants to know which seats there are
CONFIGURATION_MAX: Final = 2**63 - 1  # the last number of a configuration of seats
SEATS_STEP: Final = 2**24  # how far one answer may raise a configuration's number above the one known
SEATS_RECOVERY_STEP: Final = 64  # how far, at the least, a recovered configuration is above the one known
SEATS_RECOVERY_BITS: Final = 16  # of the recovering node's id, which tell how many of these steps it takes
BALLOT_MAX: Final = 2**63 - 1
BALLOT_STEP: Final = 2**24  # how far one request may raise a ballot above the one promised

# Accounts (wire).
ACCOUNT_OPERATIONS: Final = 256  # in the life of one account
ACCOUNT_KEYS: Final = ACCOUNT_OPERATIONS * CELL_DEVICES  # that ever could sign: sixteen an operation
ARCHIVE_FRAME_BYTES: Final = 1 * MIB  # of one frame of an account's archive; the longest is a chain
ACCOUNT_OPERATION_BYTES: Final = 896  # of a payload: sixteen keys to recover with fit in
KEY_NAME_CHARACTERS: Final = 64
ACCOUNT_REASON_CHARACTERS: Final = 280  # if they are short: 600 bytes of them fit in an operation
ACCOUNTS_CACHED: Final = 16_384  # of those that were asked about, changed or not
ACCOUNTS_TOLD: Final = 256  # in one answer about changed accounts
ACCOUNTS_FOLLOW_S: Final = 15.0  # between two times that the seats' nodes are asked which accounts changed
ACCOUNTS_CONFIRMED_S: Final = 45.0  # for so long keys count as confirmed by what a majority of them said
ACCOUNT_TELL_TIMEOUT_S: Final = 2.0  # for one node to be told of a change
UNCONFIRMED_RECORDS: Final = 65_536  # taken while keys could not be confirmed
UNCONFIRMED_RECENT: Final = 16_384  # taken while they could, of accounts with changes; the last ones
ATTEST_CELLS: Final = 4_096  # that one statement on what was taken back is about, at most
ATTEST_BYTES: Final = 4 * MIB  # of their rows
ATTEST_TIMEOUT_S: Final = 8.0  # for one node to make one
REACTIONS_STEP_ROWS: Final = 16_384  # that are looked at for one page of an account's reactions
STATEMENT_BYTES: Final = 1_024  # of its payload: two keys, three ids and twenty numbers fit in
EVIDENCE_STATEMENTS: Final = 4_096  # in one file
EVIDENCE_BYTES: Final = 8 * MIB
HANDLE_TEXT_CHARACTERS: Final = 128  # of what is taken for a handle, before it is brought to its form
HANDLE_CHARACTERS_MIN: Final = 2
HANDLE_CHARACTERS_MAX: Final = 30
HANDLE_MARKS: Final = 4  # accents or vowel signs on one letter
HANDLE_QUARANTINE_S: Final = 30 * 24 * 3600.0  # from a handle given up to its next account
HANDLES_GIVEN_UP: Final = 4  # of one account, in quarantine at a time, when it takes another
HANDLE_OPERATION_S: Final = 60.0  # from a claim to the operation it is for; then it must be claimed again
HANDLE_CLAIM_STALE_S: Final = 10 * 60.0  # then others may have a claim whose operation never came

# Join tokens.
JOIN_TOKEN_CHARACTERS: Final = 2_048
JOIN_SECRET_BYTES: Final = 32
JOIN_ADDRESSES: Final = 8
JOIN_ADDRESS_CHARACTERS: Final = 260
JOIN_GRANTS: Final = 128  # at a time; what has expired makes room
JOIN_USES: Final = 64  # of one token
JOIN_LIFETIME_S: Final = 7 * 24 * 3600.0  # at most
JOIN_WAIT_MS: Final = 24 * 3600 * 1000  # for who was admitted to run, once its token has expired
JOIN_REQUEST_BYTES: Final = 2 * KIB  # a request for a certificate
JOINS_AT_ONCE: Final = 4
JOINS_PER_MINUTE: Final = 60  # requests of one address
JOINS_OF_ALL_PER_MINUTE: Final = 600  # of all together, so that one cannot keep the others out
JOIN_BUCKETS: Final = 1_024  # addresses that are remembered
GRANT_ID_BYTES: Final = 8

# Storage.
STORE_KEY_BYTES: Final = 511
STORE_QUEUE_JOBS: Final = 4_096
STORE_GROUP_JOBS: Final = 256
STORE_GROUP_ROWS: Final = 4_096
STORE_URGENT_JOBS: Final = 256
STORE_GROUP_FAILURES: Final = 4
STORE_INLINE_US: Final = 6_000
STORE_MAX_READERS: Final = 512
STORE_DAMAGE_KEPT: Final = 1_024  # damaged cells that are remembered until they are mended
STORE_SCAN_ROWS: Final = 10_000
STORE_STEP_ROWS: Final = 1_024  # of a self-check, at a time
STORE_SETTLE_ROWS: Final = 4_096  # read in the one write transaction that puts a block right, at most
STORE_BLOCK_PLAIN_CELLS: Final = 1_024  # a block with more has runs
STORE_RUNS_KEPT: Final = 65_536  # of all blocks, in memory; about 300 bytes each
STORE_META_BYTES: Final = 8 * MIB  # the few named values (topology, addresses), whatever the disk cap
DISK_FULL_CLIENT_PUT: Final = 0.90
DISK_FULL_PEER_JOIN: Final = 0.95
DISK_FULL_DELETE: Final = 0.98
DISK_WARN: Final = 0.80

# The gate: what a policy document may be, and how many quota buckets a node remembers of each sort.
POLICY_BYTES: Final = 8 * MIB
POLICY_WORDS: Final = 200_000
POLICY_WORD_CODE_POINTS: Final = 128
POLICY_PATTERNS: Final = 1_000
POLICY_PATTERN_CODE_POINTS: Final = 1_000
POLICY_RULES: Final = 1_000
POLICY_PROBLEMS: Final = 100
LABEL_VALUE_BYTES: Final = 64
LABEL_REASON_CODE_POINTS: Final = 500
QUOTA_BUCKETS: Final = 65_536


def announced() -> dict[str, int]:
    """The limits a client is told in `hello`; names are stable."""
    return {
        "collection_items": MESSAGE_COLLECTION_ITEMS,
        "cursor_bytes": CURSOR_BYTES,
        "depth": MESSAGE_DEPTH,
        "devices": CELL_DEVICES,
        "follow_credit": FOLLOW_CREDIT,
        "follow_heartbeat_ms": int(FOLLOW_HEARTBEAT_S * 1000),
        "follow_subscriptions": FOLLOW_SUBSCRIPTIONS,
        "history": CELL_HISTORY,
        "inflight": INFLIGHT_PER_CONNECTION,
        "item_bytes": ITEM_BYTES,
        "keys_per_get": KEYS_PER_GET,
        "media_chunk_bytes": MEDIA_CHUNK_BYTES,
        "message_bytes": MESSAGE_BYTES,
        "page": PAGE_ITEMS,
        "record_bytes": RECORD_BYTES,
        "records_per_put": RECORDS_PER_PUT,
        "stamp_ahead_ms": STAMP_AHEAD_US // 1000,
        "text_code_points": POST_TEXT_CODE_POINTS,
        "token_bytes": TOKEN_BYTES,
    }


_FRAME_OVERHEAD_BYTES = 80

assert RECORD_BYTES + _FRAME_OVERHEAD_BYTES < 2**15, "rows have fifteen bits for the length of a frame"
assert CELL_SURVIVORS <= CELL_DEVICES, "at most one survivor a device"
assert (CELL_SURVIVORS + CELL_HISTORY) * (RECORD_BYTES + _FRAME_OVERHEAD_BYTES) <= CELL_BYTES < MESSAGE_BYTES
assert REPLICATION_BATCH_BYTES + CELL_BYTES > MESSAGE_BYTES > REPLICATION_BATCH_BYTES
assert MESSAGE_BYTES <= OUTPUT_HIGH_WATER_BYTES < OUTPUT_CLIENT_BYTES <= OUTPUT_BYTES
assert OUTPUT_BYTES <= OUTPUT_CLIENTS_BYTES // 8, "a client that is alone may pipeline as peers do"
assert 2 * PROJECTED_LATEST <= MESSAGE_COLLECTION_ITEMS
assert RANKED_SOURCE_ITEMS <= PAGE_ITEMS and RANKED_CANDIDATES < PAGE_ROWS_SCANNED
assert KEYS_PER_GET <= MESSAGE_COLLECTION_ITEMS and RECORDS_PER_PUT <= MESSAGE_COLLECTION_ITEMS
assert PAGE_ITEMS * 4 <= MESSAGE_COLLECTION_ITEMS
assert 3 * REPLICA_READ_TIMEOUT_S < REQUEST_TIMEOUT_S
assert FOLLOW_WAIT_S + REPLICA_READ_TIMEOUT_S < REQUEST_TIMEOUT_S
assert FOLLOW_UNREACHABLE_S < FOLLOW_HEARTBEAT_S, "no heartbeat of a stream that has nothing to read from"
assert FOLLOW_RANGES_AWAY < INFLIGHT_PER_CONNECTION, "other requests have room beside what waits"
assert PAGE_LABELS_PER_POST * (RECORD_BYTES + _FRAME_OVERHEAD_BYTES) + FOLLOW_EVENT_BYTES < MESSAGE_BYTES
assert 3 * PUT_HEDGE_S < REQUEST_TIMEOUT_S / 2, "the third replica has time to reach the level, too"
assert DISK_WARN < DISK_FULL_CLIENT_PUT < DISK_FULL_PEER_JOIN < DISK_FULL_DELETE < 1.0
assert ROSTER_NODES + GOSSIP_STRANGERS < GOSSIP_MEMBERS, "nobody can take a roster member's place"
assert INCARNATION_STEP < INCARNATION_CLIMB < INCARNATION_MAX // 2**32, "nobody is driven to the last one"
assert GOSSIP_MEMBERS * (GOSSIP_DESCRIPTION_BYTES + _FRAME_OVERHEAD_BYTES) <= MESSAGE_BYTES - 64 * KIB
assert GOSSIP_DESCRIPTION_BYTES + 2 * _FRAME_OVERHEAD_BYTES < GOSSIP_DATAGRAM_BYTES
assert LANES & (LANES - 1) == 0 and BLOCKS_PER_LANE & (BLOCKS_PER_LANE - 1) == 0
assert LANES == RANGES_INITIAL <= RANGES <= MESSAGE_COLLECTION_ITEMS
assert RANGES * EPOCH_MAX <= EPOCHS_SUM_MAX < 2**64, "whatever epochs are adopted, their sum can be told"
assert EPOCH_STEP < EPOCH_MAX // 2**32, "nobody reaches the last epoch by steps"
assert SEATS_RECOVERY_STEP * 2**SEATS_RECOVERY_BITS < SEATS_STEP
assert SEATS_STEP < CONFIGURATION_MAX // 2**32, "nobody reaches the last configuration by steps"
assert BALLOT_STEP < BALLOT_MAX // 2**32, "nobody uses up the ballots by steps"
assert 2 * REGISTER_ASK_TIMEOUT_S < REGISTER_TIMEOUT_S < REQUEST_TIMEOUT_S
assert REGISTER_BYTES + 64 * KIB < MESSAGE_BYTES
assert REGISTER_BYTES + 64 * KIB < ARCHIVE_FRAME_BYTES > ACCOUNT_KEYS * (2 * ACCOUNT_BYTES + 12) + KIB
assert ACCOUNT_OPERATIONS * (ACCOUNT_OPERATION_BYTES + SIGNATURE_BYTES + 15) + 3 <= REGISTER_BYTES - 8 * KIB
assert CELL_DEVICES * (ACCOUNT_BYTES + 2) + 3 * (ACCOUNT_BYTES + 2) + 128 <= ACCOUNT_OPERATION_BYTES
assert EVIDENCE_STATEMENTS * (STATEMENT_BYTES + SIGNATURE_BYTES + 8) + REGISTER_BYTES < EVIDENCE_BYTES
assert ATTEST_TIMEOUT_S < REQUEST_TIMEOUT_S and ATTEST_BYTES >= CELL_BYTES
assert REGISTER_TIMEOUT_S < HANDLE_OPERATION_S < HANDLE_CLAIM_STALE_S < HANDLE_QUARANTINE_S
assert HANDLE_OPERATION_S + STAMP_AHEAD_US / 1e6 < HANDLE_CLAIM_STALE_S, "clocks may differ by minutes"
assert TOPOLOGY_SPLIT_BYTES < TOPOLOGY_BYTES, "slots have room to move when nothing is split any more"
assert TOPOLOGY_BYTES <= STORE_META_BYTES // 2, "what else a node keeps has room beside it"
assert STORE_STEP_ROWS < STORE_SETTLE_ROWS <= STORE_GROUP_ROWS
assert REQUEST_TIMEOUT_S / 2 < MEND_QUIET_S, "by then each put is reported that counted on the cell"
assert SYNC_LIST_ITEMS <= SYNC_PAGE_ITEMS and 2 * SYNC_PAGE_ITEMS <= MESSAGE_COLLECTION_ITEMS
assert SYNC_BUCKETS * (STORE_KEY_BYTES + 64) < SYNC_FRAME_BYTES < MESSAGE_BYTES
