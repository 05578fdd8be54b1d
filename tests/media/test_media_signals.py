"""What rules may ask about the media of a post: what is known, what is not, and what is said of that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.node.configuration.screening_section import ScreenedList, ScreeningSection
from folkmoot.node.media.signals import signals_of, unseen_by
from folkmoot.node.moderation.media.outcome import UNCHECKED, Outcome
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.expressions import Value
from folkmoot.protocol.media.references import Reference

from tests.media import pictures
from tests.media.test_screening import FINE, KNOWN, lists
from tests.media.uploading import post_with, upload
from tests.moderation.documents import HEAD, condition, engine
from tests.node.harness import founded
from tests.node.people import OPERATOR, Author
from tests.node.test_metrics import told_by

PICTURE, SOUND = Reference(bytes(32), "image/png", 1), Reference(bytes(32), "audio/ogg", 1)
CLEAR, EXPLICIT = Outcome("clear", nsfw=0.1), Outcome("explicit", nsfw=0.9)
MATCHED = Outcome("matched", list="known", category="scam", nsfw=0.2)
SEALED, BLIND = Outcome("sealed", list="worst", category="w", nsfw=0.2), Outcome("unknown", reason="died")
NOTHING = {"media.pdq_match": False, "media.lists": [], "media.categories": []}


@pytest.mark.parametrize(
    ("outcomes", "signals"),
    [
        ([CLEAR], {**NOTHING, "media.nsfw": 0.1}),
        ([CLEAR, EXPLICIT], {**NOTHING, "media.nsfw": 0.9}),
        ([Outcome("clear")], NOTHING),
        ([CLEAR, Outcome("clear")], NOTHING),
        (
            [CLEAR, MATCHED],
            {
                **{"media.pdq_match": True, "media.lists": ["known"], "media.categories": ["scam"]},
                "media.nsfw": 0.2,
            },
        ),
        ([SEALED], {**NOTHING, "media.pdq_match": True, "media.nsfw": 0.2}),
        ([MATCHED, UNCHECKED], {"media.pdq_match": True}),
        ([CLEAR, UNCHECKED], {}),
        ([BLIND], {}),
    ],
)
def test_what_was_seen_is_what_rules_are_told(outcomes: list[Outcome], signals: Mapping[str, Value]) -> None:
    assert signals_of((PICTURE, each) for each in outcomes) == signals
    assert signals_of([(SOUND, UNCHECKED), *((PICTURE, each) for each in outcomes)]) == signals


@pytest.mark.parametrize(
    ("when", "known", "action"),
    [
        ("media.pdq_match", {"media.pdq_match": True}, "refuse"),
        (
            "'scam' in media.categories && 'known' in media.lists",
            dict(signals_of([(PICTURE, MATCHED)])),
            "refuse",
        ),
        ("media.pdq_match", NOTHING, "accept"),
        ("media.pdq_match || media.nsfw > 0.8", NOTHING, "hold"),
        ("media.pdq_match || media.nsfw > 0.8", {}, "hold"),
        ("media.nsfw > 0.8 && post.tags > 0.0", {}, "accept"),
        ("media.nsfw > 0.8", {"media.nsfw": 0.9}, "refuse"),
    ],
)
def test_rules_that_ask_about_media_hold_what_is_unknown(
    when: str, known: Mapping[str, Value], action: str
) -> None:
    policy = engine(condition("r", when, "refuse"))
    record = post_with(Author(1), pictures.of(b"a"))
    assert policy.judge_record(Submission((), record, None, known)).action.word == action
    assert policy.judge_record(Submission((), Author(1).post("none"))).action.word == "accept"
    relaxed = engine(condition("r", when, "refuse"), '[degrade]\nmedia = "ignore"\n')
    relaxed_action = "accept" if action == "hold" else action
    assert relaxed.judge_record(Submission((), record, None, known)).action.word == relaxed_action


def test_what_a_node_cannot_see_is_said_of_policies_that_ask() -> None:
    known = ScreenedList(name="known", file=Path("known"))
    policy = engine(condition("r", "media.pdq_match || media.nsfw > 0.5"))
    said = {
        ScreeningSection(): ["media.nsfw", "media.pdq_match"],
        ScreeningSection(enabled=True, nsfw=0.8): ["media.pdq_match"],
        ScreeningSection(enabled=True, lists=(known,)): ["media.nsfw"],
        ScreeningSection(enabled=True, lists=(known,), nsfw=0.8): [],
    }
    for settings, signals in said.items():
        warnings = policy.warnings(0, dict(unseen_by(settings)))
        assert [each.split()[0] for each in warnings] == signals
    assert engine(condition("r", "post.reply")).warnings(0, dict(unseen_by(ScreeningSection()))) == []


async def test_the_gate_judges_posts_by_what_their_pictures_show(tmp_path: Path) -> None:
    author, policy = Author(11), tmp_path / "policy.toml"
    matches = condition("known-pictures", "media.pdq_match && 'known-kind' in media.categories", "refuse")
    policy.write_text(HEAD + matches)
    shape = {"nodes": 1, "replicas": 1, "screening": lists(tmp_path), "gate": GateSection(policy=policy)}
    async with founded(tmp_path, **shape) as town, town.client(town[0]) as client:
        await client.auth(author)
        fine, known = await upload(client, FINE), await upload(client, KNOWN)
        film = await upload(client, b"\0\0\0\x18ftypisom" + bytes(99), "video/mp4")
        shown = post_with(author, fine), post_with(author, known), post_with(author, film)
        for _ in range(2):
            (stored, refused, held), _token = await client.put(*shown)
            assert stored["status"] in ("stored", "duplicate") and "verdict" not in stored
            assert refused["error"]["name"] == "refused_by_policy"
            assert refused["error"]["details"]["signals"] == {
                "media.pdq_match": True,
                "media.categories": ["known-kind"],
            }
            assert held["status"] == "held" and held["verdict"]["rule"] == "known-pictures"
            assert "media.pdq_match" in held["verdict"]["reason"]
        told = await told_by(town, town[0])
        assert told['folkmoot_gate_rules_total{rule="known-pictures"}'] == 4
        assert told['folkmoot_gate_unknown_signals_total{signal="media.categories"}'] == 2
        assert {name: count for name, count in told.items() if "screening_outcomes" in name} == {
            f'folkmoot_screening_outcomes_total{{status="{status}"}}': count
            for status, count in {
                **dict.fromkeys(("clear", "matched", "unknown"), 1),
                **dict.fromkeys(("explicit", "sealed"), 0),
            }.items()
        }
    policy.write_text(HEAD + matches.replace("refuse", "label") + 'label = "known"\n')
    async with (
        founded(tmp_path / "blind", nodes=1, replicas=1, gate=GateSection(policy=policy)) as town,
        town.client(town[0]) as client,
    ):
        await client.auth(author)
        manifest = await upload(client, KNOWN)
        assert (await client.put_one(post_with(author, manifest)))["status"] == "held", "nobody looks here"
        await client.auth(OPERATOR)
        gate = (await client.call("cluster.status"))["node"]["gate"]
        assert any("screening.enabled is off" in each for each in gate["warnings"]), gate
