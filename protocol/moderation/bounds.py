"""What bounds policies, decisions and what the gate remembers, besides `limits.POLICY_*`."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import MIB

POLICY_MODELS: Final = 8
POLICY_MODEL_BYTES: Final = 17 * MIB  # sixteen classes of 2¹⁸ weights, and what they are called
POLICY_LANGUAGES: Final = 32  # of one notice
POLICY_LAYERS: Final = 8
POLICY_FILE_NAME_CODE_POINTS: Final = 128
EVIDENCE_STEPS: Final = 128  # in one language
EVIDENCE_TEXTS: Final = 10_000_000  # of one step
RULES_JOINED: Final = 32  # expressions that are looked at as one
SIGNALS_TOLD: Final = 8  # of one verdict
SCORED_CODE_POINTS: Final = 1_000  # of a text, its beginning, so that no model takes long
COMPARED_CODE_POINTS: Final = 2_000  # of a text, its beginning, that is compared with others
FLOOD_RATE_KEYS: Final = 16_384  # authors, and addresses, that are counted in one period
FLOOD_TEXT_KEYS: Final = 65_536  # phrases that are counted in one period; about 110 bytes each
FLOOD_WORDS: Final = 16_384  # whose hashes are remembered, about 150 bytes each
FLOOD_ANSWERS: Final = 8_192  # records whose answer is remembered
DECISION_REASON_CODE_POINTS: Final = 2_000  # as much as the European Union's database takes
DECISION_LABELS: Final = 8
DECISION_REVERSES: Final = 16
QUEUE_ITEMS: Final = 64  # that wait for review, on one page
QUEUE_LOOK_S: Final = 2.0  # for which the cluster is looked through for one page
QUEUE_STEP: Final = 16  # that wait for review and are told at once
DECISIONS_READ: Final = 64  # of those about one subject, the newest of the greatest roles
DECISIONS_OF_ONE: Final = 16  # about one subject, before an account may make another
HELD_COSTS: Final = 10  # records of an account's and an address's quota, for one that waits for review
DECIDED_AT_ONCE: Final = 1_000  # by one command
