"""Statements of reasons as people read them: by what, where, and in which language."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.cli.moderating.deciding import Wish, _counted, _made_before
from folkmoot.cli.moderating.subjects import Named
from folkmoot.cli.moderating.telling import lines_of, readers_language, told_of
from folkmoot.protocol.moderation.decision import Action, Role
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

from tests.moderation.decisions import ANN, ITEM, MAX, NODE, NOW_US, POST, VERSION, decided, signed

REMOVE = MAX.account, Wish(Action.REMOVE, decided(Action.REMOVE, MAX).reason)
POLICY = "ab" * 32
NOTICES = [{"policy": POLICY, "rule": "scams", "in": {"de": "Betrug.", "pt-br": "Golpe."}}]


def case(**more: Any) -> dict[str, Any]:
    label = Label(
        ITEM, "scam", NODE.account, VERSION, "A scam.", "scams", POLICY, signals=(("scores.bad", "2"),)
    )
    frame = Record.sign(
        NODE, kind="label", item=label.item, body=label.body(), stamp=NOW_US, place=ANN.account
    )
    told = {"decisions": [], "labels": [frame.to_wire()], "visibility": "shown", "appeal": "Ask Mo."}
    return {**told, "notices": NOTICES, **more}


@pytest.mark.parametrize(
    ("language", "notice"),
    [("de", "Betrug."), ("de-at", "Betrug."), ("pt-br", "Golpe."), ("pt", None), ("en", None), ("", None)],
)
def test_readers_are_told_in_their_language_where_the_policy_has_it(
    language: str, notice: str | None
) -> None:
    told = told_of(Named(ANN.account, POST), case(), None, language)
    [said] = told["labelled"]
    assert said.get("notice") == notice and said["reason"] == "A scam.", "which is what was signed"
    other = told_of(Named(ANN.account, POST), case(notices=[{**NOTICES[0], "rule": "other"}]), None, "de")
    assert "notice" not in other["labelled"][0]


def test_a_label_of_a_gate_is_told_with_its_grounds_and_whom_to_ask() -> None:
    lines = lines_of(told_of(Named(ANN.account, POST), case(), None, "de"))
    text = "\n".join(lines)
    assert "label with scam, by a policy: A scam." in text and "Betrug." in text
    assert f"rule scams, policy {POLICY[:12]}, scores.bad 2" in text
    assert "the author may appeal: Ask Mo." in text


def test_why_something_waits_has_its_notice_too() -> None:
    held = decided(Action.HOLD, NODE, role=Role.AUTOMATIC, rule="scams", policy=POLICY)
    why = [signed(held, NODE).to_wire()]
    told = told_of(Named(ANN.account, POST), case(labels=[], waits=True, why=why), None, "de")
    assert told["why"][0]["notice"] == "Betrug."


def test_what_was_decided_without_the_role_is_told_and_said_not_to_count() -> None:
    removed = signed(decided(Action.REMOVE, MAX), MAX)
    kept = signed(decided(Action.WARN, MAX, 2), MAX)
    frames = [removed.to_wire(), kept.to_wire()]
    told = told_of(Named(ANN.account, POST), case(decisions=frames, passed_over=[removed.id]))
    assert [(each["passed_over"], each["in_force"]) for each in told["decisions"]] == [
        (True, False),
        (False, True),
    ]
    lines = [line for line in lines_of(told) if "moderator" in line]
    assert "remove" in lines[0] and "passed over: whoever decided had lost that role" in lines[0]
    assert "passed over" not in lines[1] and "reversed" not in lines[0]
    assert _counted(case(decisions=frames, passed_over=[removed.id])) == [decided(Action.WARN, MAX, 2)]
    alone = case(decisions=frames[:1], shown=VERSION)
    assert _made_before(alone, *REMOVE) == removed
    assert _made_before({**alone, "passed_over": [removed.id]}, *REMOVE) is None


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "pt_BR.UTF-8"}, "pt-br"),
        ({"LANG": "de_DE", "LC_MESSAGES": "fr_FR@euro"}, "fr-fr"),
        ({"LC_ALL": "C.UTF-8", "LANG": "de"}, "c"),
        ({}, ""),
    ],
)
def test_the_language_is_that_of_messages(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], language: str
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert readers_language() == language
