"""What moderation decided, applied when a page is built: who sees what, and what is said first."""

from __future__ import annotations

import pytest
from folkmoot.protocol.feed.audience import Audience, Candidate, Hide, PageKind, Show, Warn
from folkmoot.protocol.feed.viewer import PUBLIC, Viewer
from folkmoot.protocol.moderation.decision import Action, Decision
from folkmoot.protocol.moderation.label import Label, parse_label
from folkmoot.protocol.moderation.outcome import outcome_of
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, ITEM, MO, NOW_US, decided

BODY = {"text": "hear"}
POST = Record.sign(ANN, kind="post", item=ITEM, body=BODY, stamp=NOW_US)
TAG, AUTHOR, HOME = PageKind.TAG, PageKind.AUTHOR, PageKind.HOME


def of(action: Action) -> Decision:
    return decided(action, version=POST.id)


@pytest.mark.parametrize(
    ("action", "page", "reason"),
    [
        (Action.REMOVE, AUTHOR, "removed"),
        (Action.REJECT, HOME, "removed"),
        (Action.HOLD, HOME, "held"),
        (Action.LIMIT, TAG, "limited"),
        (Action.LIMIT, HOME, None),
        (Action.RELEASE, TAG, None),
        (Action.RESTORE, TAG, None),
    ],
)
def test_what_is_hidden_is_hidden_from_all_but_its_author_and_moderators(
    action: Action, page: PageKind, reason: str | None
) -> None:
    candidate = Candidate(POST, outcome=outcome_of([of(action)]))
    shown = Audience(PUBLIC, page, NOW_US).decide(candidate)
    assert (shown.reason if isinstance(shown, Hide) else None) == reason
    for viewer, reviews in ((Viewer(ANN.account), False), (Viewer(MO.account), True)):
        seen = Audience(viewer, page, NOW_US, reviews=reviews).decide(candidate)
        assert isinstance(seen, Warn if action in (Action.REMOVE, Action.REJECT, Action.HOLD) else Show)


def test_a_warning_is_the_reason_and_labels_are_said() -> None:
    outcome = outcome_of([decided(Action.WARN, version=POST.id, labels=("rude",))])
    shown = Audience(PUBLIC, HOME, NOW_US).decide(Candidate(POST, outcome=outcome))
    assert isinstance(shown, Warn)
    assert [(each.source, each.text) for each in shown.cautions] == [
        ("decision", "because"),
        ("label", "rude"),
    ]


def test_what_is_removed_is_not_quoted() -> None:
    body = {"text": "see", "quote": {"author": ANN.account, "item": ITEM}}
    quoting = Record.sign(MO, kind="post", item=ITEM, body=body, stamp=NOW_US)
    quoted = Candidate(quoting, quoted=POST, quoted_outcome=outcome_of([of(Action.REMOVE)]))
    shown = Audience(PUBLIC, HOME, NOW_US).decide(quoted)
    assert isinstance(shown, Show) and shown.without_quote == "removed"


def test_labels_end() -> None:
    label = Label(ITEM, "rude", MO.account, POST.id, "because", expires_ms=NOW_US // 1000)
    assert parse_label(label.item, label.body()) == label
    assert label.holds(NOW_US - 1_000) and not label.holds(NOW_US)
    taken_back = Label(ITEM, "rude", MO.account, POST.id, "because", negated=True)
    assert not taken_back.holds(0)
