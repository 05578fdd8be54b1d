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
SIGNAL_CODE_POINTS: Final = 128  # of what a record says of one, and of its name
SCORED_CODE_POINTS: Final = 1_000  # of a text, its beginning, so that no model takes long
COMPARED_CODE_POINTS: Final = 2_000  # of a text, its beginning, that is compared with others
FLOOD_RATE_KEYS: Final = 16_384  # authors, and addresses, that are counted in one period
FLOOD_TEXT_KEYS: Final = 65_536  # phrases that are counted in one period; about 110 bytes each
FLOOD_ANSWERS: Final = 8_192  # records whose answer is remembered
FIGURES_TOLD_APART: Final = 256  # rules, and signals, that metrics name
TENURE_FIRST_S: Final = 60.0  # after a start, before it is noted how far the store has come
TENURE_APART_US: Final = 3_600_000_000  # from one mark to the next
TENURE_MARKS: Final = 512
TENURE_SURE_US: Final = 30 * 86_400_000_000  # of those of whom more is not known, for what they are worth
AUTHOR_CELLS: Final = 64  # of one author, by whose numbers it is told how long they have been here
AUTHOR_DECISIONS: Final = 256  # about what one author wrote, the last by what they are about
AUTHORS_KNOWN: Final = 16_384  # of whom a node has at hand what it was told
AUTHORS_BELIEVED_S: Final = 300.0  # for which that is believed
AUTHORS_SILENT_S: Final = 5.0  # … when nobody has answered
AUTHORS_WAIT_S: Final = 0.25  # for an answer
REFUSALS_KEPT: Final = 8_192  # by one node, of records that its gate sent back; about 300 bytes each
REFUSALS_WAITING: Final = 1_024  # that are still to be written
REFUSALS_PAGE: Final = 64  # at once, which fit one message however much each says
REFUSALS_REST_S: Final = 2.0  # between two times that they are written
DECISION_REASON_CODE_POINTS: Final = 2_000  # as much as the European Union's database takes
DECISION_LABELS: Final = 8
DECISION_REVERSES: Final = 16
QUEUE_ITEMS: Final = 64  # that wait for review, on one page
QUEUE_LOOK_S: Final = 2.0  # for which the cluster is looked through for one page
QUEUE_STEP: Final = 16  # that wait for review and are told at once
MEDIA_DECIDED: Final = 8_192  # media of which it is at hand whether anything was decided about them
MEDIA_DECIDED_S: Final = 5.0  # for which that is believed
DECISIONS_READ: Final = 64  # of those about one subject, the newest by their numbers
