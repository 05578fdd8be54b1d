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
SIGNAL_CODE_POINTS: Final = 128  # of what a record says of one, and of its name
SCORED_CODE_POINTS: Final = 1_000  # of a text, its beginning, so that no model takes long
COMPARED_CODE_POINTS: Final = 2_000  # of a text, its beginning, that is compared with others
FLOOD_RATE_KEYS: Final = 16_384  # authors, and addresses, that are counted in one period
FLOOD_TEXT_KEYS: Final = 65_536  # phrases that are counted in one period; about 110 bytes each
FLOOD_WORDS: Final = 16_384  # whose hashes are remembered, about 150 bytes each
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
REFUSALS_PAGE: Final = 256
REFUSALS_REST_S: Final = 2.0  # between two times that they are written
DECISION_REASON_CODE_POINTS: Final = 2_000  # as much as the European Union's database takes
DECISION_LABELS: Final = 8
DECISION_REVERSES: Final = 16
QUEUE_ITEMS: Final = 64  # that wait for review, on one page
QUEUE_LOOK_S: Final = 2.0  # for which the cluster is looked through for one page
QUEUE_STEP: Final = 16  # that wait for review and are told at once
MEDIA_DECIDED: Final = 8_192  # media of which it is at hand whether anything was decided about them
MEDIA_DECIDED_S: Final = 5.0  # for which that is believed
DECISIONS_READ: Final = 64  # of those about one subject, the newest of the greatest roles
DECISIONS_OF_ONE: Final = 16  # about one subject, before an account may make another
VERSIONS_JUDGED: Final = 4  # of one post of which is kept what was known when they were judged, the newest
SIGNALS_WAITING: Final = 4_096  # posts whose signals are to be written
SIGNALS_WRITTEN: Final = 256  # of them with one commit
SIGNALS_PAUSE_S: Final = 1.0  # from the first of them to their commit
PREVIEW_POSTS: Final = 1_000_000  # that one preview replays at the most
PREVIEW_STEP: Final = 64  # posts that are replayed at once, off the event loop
PREVIEW_S: Final = 600.0  # of processor time that one preview takes at the most
PREVIEW_ASKED_S: Final = 30.0  # after which a preview ends that nobody asks about
PREVIEW_WAIT_S: Final = 1.0  # that one question about a preview waits for it to get on
PREVIEW_RULES: Final = 256  # that one report tells of, those that differ most
PREVIEW_SAMPLES: Final = 3  # posts that a rule newly applies to, and that it no longer applies to
PREVIEW_SAMPLE_CODE_POINTS: Final = 280  # of each of them
PREVIEW_LANGUAGES: Final = 64  # that are told apart
PREVIEW_FINDINGS: Final = 32
PREVIEW_FINDING_CODE_POINTS: Final = 300
PREVIEWS_KEPT: Final = 32  # by one node
PREVIEW_LASTS_MS: Final = 24 * 3600 * 1000
REVERSAL_LOOK_S: Final = 2.0  # for which one answer takes back what a policy decided
REVERSAL_SIGN_S: Final = 2.0  # for one node to take back what it said
SHADOW_WAITING: Final = 1_024  # posts that a policy without effect has still to judge
SHADOW_STEP: Final = 32  # of them that it judges at once, off the event loop
SHADOW_KEPT_S: Final = 10.0  # between two times that what it saw is written
DRAWS_KEPT: Final = 4_096  # by one node, that nobody has answered yet
DRAWS_WAITING: Final = 256  # that are still to be written
DRAW_LEASE_S: Final = 900.0  # for which a draw that somebody was given is given to nobody else
SAMPLE_TICKET_BYTES: Final = 128
SAMPLE_TRIES: Final = 16  # draws that turn out to be of what is gone, before somebody is told there is none
TEXTS_ASKED: Final = 16  # versions that are asked for at once; each may have 16 KiB
DRAWS_CHECKED: Final = 64  # at once, whether what they are about is still there
DRAWS_CHECK_S: Final = 5.0  # between two such looks
