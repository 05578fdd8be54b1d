"""What an activation asks of the preview that it names."""

from __future__ import annotations

import msgspec
import pytest
from folkmoot.protocol.community.previewed import Preview, check_preview, reason_with
from folkmoot.protocol.errors import BAD_REQUEST, PREVIEW_NEEDED, WireError
from folkmoot.protocol.moderation.bounds import PREVIEW_LASTS_MS
from folkmoot.protocol.moderation.objections import Objection

from tests.community.people import NOW, document

ALL = Objection("matches_everything", "all applies to 50 of 50 posts", True, "all")
NOTE = Objection("never_matches", "rare applies to none of 50 posts", False, "rare")
GOOD = Preview(document("new"), document("old"), bytes(16), NOW, 50, document("counts"), (NOTE,))
BAD = msgspec.structs.replace(GOOD, found=(ALL, NOTE))


@pytest.mark.parametrize(
    ("preview", "hash", "settled", "later", "why"),
    [
        (None, "new", "old", 0, "missing"),
        (GOOD, "other", "old", 0, "another_document"),
        (GOOD, "new", "newer", 0, "older"),
        (GOOD, "new", None, 0, "older"),
        (GOOD, "new", "old", PREVIEW_LASTS_MS, "expired"),
        (BAD, "new", "old", 0, "found"),
    ],
)
def test_a_preview_that_does_not_do(
    preview: Preview | None, hash: str, settled: str | None, later: int, why: str
) -> None:
    with pytest.raises(WireError) as refused:
        before = None if settled is None else document(settled)
        check_preview(preview, document(hash), before, NOW + later, {"never_matches": "rare"})
    assert refused.value.kind is PREVIEW_NEEDED and (refused.value.details or {})["why"] == why
    command = "--acknowledge matches_everything=REASON" if why == "found" else "folkmoot policy preview"
    assert command in refused.value.message


def test_a_preview_that_does() -> None:
    check_preview(GOOD, document("new"), document("old"), NOW + PREVIEW_LASTS_MS - 1, {})
    check_preview(BAD, document("new"), document("old"), NOW, {"matches_everything": "we close for a day"})
    with pytest.raises(WireError):
        check_preview(BAD, document("new"), document("old"), NOW, {"matches_everything": " "})


def test_the_hash_covers_all_of_it() -> None:
    changed = [
        msgspec.structs.replace(GOOD, **change)
        for change in (
            {"document": document("x")},
            {"compared": None},
            {"node": b"\x01" * 16},
            {"at_ms": NOW + 1},
            {"posts": 51},
            {"counts": document("x")},
            {"found": ()},
        )
    ]
    assert len({each.hash for each in (GOOD, *changed)}) == 1 + len(changed)
    assert msgspec.convert(GOOD.to_wire(), Preview).hash == GOOD.hash


def test_reasons_stand_in_the_log_together() -> None:
    assert reason_with("a wave", {}) == "a wave"
    assert reason_with("a wave", {"b": "so", "a": "thus"}) == "a wave [a: thus] [b: so]"
    with pytest.raises(WireError) as refused:
        reason_with("x" * 190, {"a": "y" * 20})
    assert refused.value.kind is BAD_REQUEST
