"""What bounds policies, decisions and what the gate remembers, besides `limits.POLICY_*`."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import MIB

POLICY_MODELS: Final = 8
POLICY_MODEL_BYTES: Final = 17 * MIB  # sixteen classes of 2¹⁸ weights, and what they are called
MODELS_KEPT: Final = 64  # files of models that a node has, after which it fetches no more from others
MODEL_CHUNK_BYTES: Final = 512 * 1024  # that one node asks another for at once
MODEL_FETCH_S: Final = 10.0  # for one of them
MODELS_LOOK_S: Final = 5.0  # between two looks for models that are not at hand
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
FLOOD_ANSWERS: Final = 8_192  # records whose answer is remembered
DECISION_REASON_CODE_POINTS: Final = 2_000  # as much as the European Union's database takes
DECISION_LABELS: Final = 8
DECISION_REVERSES: Final = 16
QUEUE_ITEMS: Final = 64  # that wait for review, on one page
QUEUE_LOOK_S: Final = 2.0  # for which the cluster is looked through for one page
QUEUE_STEP: Final = 16  # that wait for review and are told at once
DECISIONS_READ: Final = 64  # of those about one subject, the newest by their numbers
DRAWS_KEPT: Final = 4_096  # by one node, that nobody has answered yet
DRAWS_WAITING: Final = 256  # that are still to be written
DRAW_LEASE_S: Final = 900.0  # for which a draw that somebody was given is given to nobody else
SAMPLE_TICKET_BYTES: Final = 128
SAMPLE_TRIES: Final = 16  # draws that turn out to be of what is gone, before somebody is told there is none
TEXTS_ASKED: Final = 16  # versions that are asked for at once; each may have 16 KiB
DRAWS_CHECKED: Final = 64  # at once, whether what they are about is still there
DRAWS_CHECK_S: Final = 5.0  # between two such looks
