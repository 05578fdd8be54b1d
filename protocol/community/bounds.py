"""What bounds the community register and the policy documents that it names."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import (
    ACCOUNT_BYTES,
    KIB,
    MESSAGE_BYTES,
    POLICY_BYTES,
    REGISTER_BYTES,
    REGISTER_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
)

COMMUNITY_HOLDERS: Final = 1_024  # accounts that have a role
COMMUNITY_LOG: Final = 128  # changes that are remembered, the latest
COMMUNITY_REASON_CODE_POINTS: Final = 200
COMMUNITY_RULES: Final = 8  # ids in a proposal, of rules that need a second person; how many, is said
COMMUNITY_LAPSES: Final = 64  # losses of one role that are remembered, the latest
COMMUNITY_READ_S: Final = 60.0  # between two looks at the register when nobody says that it has changed
COMMUNITY_DECIDES_S: Final = 300.0  # after a look at it, for which people may decide by what it held
COMMUNITY_RETRY_S: Final = 1.0  # between two looks at it, of which the first brought nothing new
COMMUNITY_TELL_S: Final = 2.0  # for one node to be told that there is something new
PROPOSAL_LIFETIME_MS: Final = 24 * 3600 * 1000

DOCUMENT_BYTES: Final = 768 * KIB  # of one policy that a community activates: it travels in one message
DOCUMENTS_KEPT: Final = 16  # by one node
DOCUMENTS_NAMED: Final = 6  # of them, at most, by what is in force, proposed, or judges without effect
DOCUMENTS_PUT: Final = 6  # that operators put at one node and that are not in force
DOCUMENTS_OF_OPERATOR: Final = 3  # of them, by one
DOCUMENTS_OF_NODE: Final = 2  # that one other node sent and that are not in force
ALLOWED_PER_MINUTE: Final = 30  # policies that one other node has this one compile; each takes up to a second
ALLOWED_AT_ONCE: Final = 10
ALLOWED_NODES: Final = 1_024  # that are remembered
ENGINES_KEPT: Final = 2  # that are compiled, beside those in force: a candidate, and what it is compared with
DOCUMENT_TELL_S: Final = 4.0  # for one node to put a document on its disk, and for one to give it
DOCUMENT_GIVERS: Final = 8  # nodes that are asked for a document, one after the other, before a pause
DOCUMENT_RETRY_S: Final = 1.0  # doubled each time, while a document cannot be had or used
DOCUMENT_RETRY_MAX_S: Final = 30.0
ACKNOWLEDGE_S: Final = 2.0  # for one node to say by which policy it judges
PROBLEMS_TOLD_BYTES: Final = 16 * KIB  # of what is wrong with a document, in the details of an error

_HOLDER_BYTES: Final = ACCOUNT_BYTES + 48
_LAPSE_BYTES: Final = ACCOUNT_BYTES + 64
_CHANGE_BYTES: Final = 2 * ACCOUNT_BYTES + 4 * COMMUNITY_REASON_CODE_POINTS + 208

_LISTED_BYTES: Final = COMMUNITY_HOLDERS * _HOLDER_BYTES + 3 * COMMUNITY_LAPSES * _LAPSE_BYTES

assert _LISTED_BYTES + (COMMUNITY_LOG + 1) * _CHANGE_BYTES + 4 * KIB < REGISTER_BYTES
assert DOCUMENT_BYTES + 64 * KIB < MESSAGE_BYTES and DOCUMENT_BYTES <= POLICY_BYTES
assert DOCUMENTS_NAMED + DOCUMENTS_PUT + DOCUMENTS_OF_NODE < DOCUMENTS_KEPT, "others can send theirs"
assert DOCUMENT_TELL_S < REQUEST_TIMEOUT_S and REGISTER_TIMEOUT_S < REQUEST_TIMEOUT_S
