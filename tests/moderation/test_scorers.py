"""Models at the gate: their scores are signals, and a model that cannot be asked leaves them unknown."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.moderation import reading
from folkmoot.node.moderation.noting import Note
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.reading import Forms, buckets
from folkmoot.node.moderation.scorers import Scorers
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.moderation.bounds import SCORED_CODE_POINTS
from folkmoot.protocol.moderation.text import features
from folkmoot.protocol.moderation.text.features import BUCKETS
from folkmoot.protocol.moderation.text.linear import ONE, LinearModel
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.verdict import Verdict

from tests.moderation.documents import HEAD, condition, model, word_list
from tests.moderation.test_gatekeeper import PLENTY, SECRET, Clock, Inline, in_force, outcomes, post
from tests.moderation.test_rules import judged
from tests.waiting import until

STRICT = Path(__file__).resolve().parent.parent.parent / "configs" / "policies" / "strict.toml"
BAD = "you absolute muppet"
ASKS = condition("r", "scores.toxic > 0.5")


def taught(*bad: str, blind: bool = False) -> TextModel:
    """A model that knows some texts by heart."""
    weights = array("i", bytes(4 * BUCKETS))
    for text in bad:
        for bucket in buckets(text, blind=blind):
            weights[bucket] = 100_000_000
    return TextModel(("fine", "toxic"), (LinearModel(weights, -ONE),), (0,))


def kept(folder: Path, read: TextModel, data: bytes | None = None) -> str:
    """The hash of a model whose file is put into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{read.hash()}.model").write_bytes(read.encode() if data is None else data)
    return read.hash()


def policy(folder: Path, *parts: str) -> Path:
    file = folder / "policy.toml"
    file.write_text(HEAD + "".join(parts))
    return file


@pytest.mark.parametrize("where", [".", "models"])
def test_a_score_is_a_signal_wherever_the_model_lies(tmp_path: Path, where: str) -> None:
    hash = kept(tmp_path / where, taught(BAD))
    policies = load_engine(
        policy(tmp_path, model("m", labels=["toxic"], hash=hash), ASKS), tmp_path / "models"
    )
    assert policies.problems == []
    found = judged(policies, BAD.upper()).decisive
    assert found is not None and found.rule == "r"
    [(name, score)] = found.signals
    assert name == "scores.toxic" and isinstance(score, float) and score > 0.5
    assert judged(policies, "a lovely day").rule is None


def test_a_blind_model_is_shown_texts_as_it_was_taught(tmp_path: Path) -> None:
    hash = kept(tmp_path, taught("all women are muppets", blind=True))
    said = [model("m", labels=["toxic"], hash=hash, blind=blind) for blind in (True, False)]
    always = condition("r", "scores.toxic > -1000.0")
    blind, open = (load_engine(policy(tmp_path, each, always)) for each in said)
    texts = ("all women are muppets", "all men are muppets")
    of_blind, of_open = (
        [judged(each, text).to_wire()["signals"] for text in texts] for each in (blind, open)
    )
    assert of_blind[0] == of_blind[1]
    assert of_open[0] != of_blind[0]


def test_only_the_beginning_of_a_long_text_is_read(tmp_path: Path) -> None:
    hash = kept(tmp_path, taught(BAD))
    policies = load_engine(policy(tmp_path, model("m", labels=["toxic"], hash=hash), ASKS))
    assert judged(policies, BAD + " " * SCORED_CODE_POINTS + BAD).rule == "r"
    assert judged(policies, " " * SCORED_CODE_POINTS + BAD).rule is None


@pytest.mark.parametrize(
    ("data", "labels", "problem"),
    [
        (None, ["other"], "it scores toxic, not other"),
        (b"damaged", ["toxic"], "is damaged: its hash is another"),
        (b"x" * (18 << 20), ["toxic"], "is larger than"),
    ],
)
def test_a_model_that_is_not_what_was_meant_has_no_scores(
    tmp_path: Path, data: bytes | None, labels: list[str], problem: str
) -> None:
    hash = kept(tmp_path, taught(BAD), data)
    asks = condition("r", f"scores.{labels[0]} > 0.5", "refuse")
    said = model("m", labels=labels, hash=hash) + asks
    policies = load_engine(policy(tmp_path, said))
    assert len(policies.problems) == 1 and problem in policies.problems[0]
    assert policies.warnings(0) == policies.problems
    assert judged(policies, "harmless").action.word == "hold"
    ignoring = load_engine(policy(tmp_path, said, '[degrade]\nscores = "ignore"\n'))
    assert judged(ignoring, "harmless").action.word == "accept"


def test_a_model_is_asked_only_where_the_verdict_may_turn_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def scores(_self: Scorers, text: Forms, *_more: object) -> list[tuple[str, float]]:
        asked.append(text.tight(SCORED_CODE_POINTS))
        return []

    monkeypatch.setattr(Scorers, "scores", scores)
    parts = (
        model("m", labels=["toxic"]),
        word_list("bad", ["foo"]),
        condition("r", "hits.bad && scores.toxic > 1.0"),
    )
    policies = load_engine(policy(tmp_path, *parts))
    policies.judge_record(Submission([("text", "a bar")]))
    assert asked == []
    assert policies.judge_record(Submission([("text", "a foo"), ("tags.0", "x")])).rule == "r"
    assert asked == ["a foo x"]


async def test_a_model_that_comes_later_is_taken_up(tmp_path: Path) -> None:
    read = taught(BAD)
    file = policy(tmp_path, model("m", labels=["toxic"], hash=read.hash()), ASKS)
    gate = Gatekeeper(file, PLENTY, wall=Clock(), secret=SECRET, executor=Inline(), poll_interval_s=0.01)
    await gate.open()
    assert outcomes(gate, [post("harmless")]) == ["hold"]
    assert gate.status().to_wire(for_operator=True)["warnings"] != []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.run)
        kept(tmp_path, read)
        await until(lambda: not gate.status().warnings, what="the model")
        assert outcomes(gate, [post("harmless"), post(BAD, 1)]) == ["accept", "hold"]
        wider = tmp_path / "wider.toml"
        wider.write_text(HEAD + word_list("bad", ["foo"]))
        text = f'extends = "wider.toml"\n{HEAD}{condition("w", "hits.bad")}'
        file.write_text(text)
        await until(lambda: outcomes(gate, [post("foo")]) == ["hold"], what="the policy in layers")
        wider.write_text(HEAD + word_list("bad", ["bar"]))
        await until(lambda: outcomes(gate, [post("bar")]) == ["hold"], what="the change of the wider layer")
        file.write_text(text.replace("wider", "later"))
        await until(lambda: gate.status().errors, what="the report of the layer that is not there")
        wider.rename(tmp_path / "later.toml")
        await until(lambda: not gate.status().errors, what="the layer that came later")
        nursery.cancel_scope.cancel()


async def test_floods_are_counted_across_policies_and_not_for_the_exempt(tmp_path: Path) -> None:
    text = HEAD + condition("r", "flood.author_rate >= 2.0 || flood.same_text >= 2.0")
    file = tmp_path / "policy.toml"
    file.write_text(text)
    gate = Gatekeeper(file, PLENTY, wall=Clock(), secret=SECRET, executor=Inline(), poll_interval_s=0.01)
    await gate.open()
    batch = [post("the same words over and over again", number) for number in range(4)]
    assert outcomes(gate, batch) == ["accept"] * 4, "an operator's import is no flood"
    assert outcomes(gate, batch, exempt=False) == ["accept", "accept", "hold", "hold"]
    assert outcomes(gate, batch, exempt=False) == ["accept", "accept", "hold", "hold"], "sent again"
    file.write_text(text + "# another\n")
    gate.reload()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.run)
        await in_force(gate, text + "# another\n")
        assert outcomes(gate, [post("something else", 9)], exempt=False) == ["hold"]
        nursery.cancel_scope.cancel()


async def test_the_strict_policy_holds_a_flood_of_links_in_the_language_of_the_post() -> None:
    gate = Gatekeeper(STRICT, PLENTY, wall=Clock(), secret=SECRET, executor=Inline())
    await gate.open()
    said = {
        "text": "Endlich frei von Schulden, wie ich es geschafft habe: https://a.example",
        "lang": "de-AT",
    }
    records = [post(said, number) for number in range(7)]
    answers = gate.judge_batch(records, False, "192.0.2.1", 0.0)
    assert [answer.rule for answer in answers if isinstance(answer, Verdict)] == [
        *[None] * 5,
        *["same-links-everywhere"] * 2,
    ]
    [last] = answers[-1:]
    assert isinstance(last, Verdict) and str(last.reason).startswith("Viele Beiträge")


def test_a_model_is_asked_once_about_a_text(tmp_path: Path) -> None:
    hash = kept(tmp_path, taught(BAD))
    policies = load_engine(policy(tmp_path, model("m", labels=["toxic"], hash=hash), ASKS))
    scored: dict[str, list[float]] = {}
    [found] = policies.findings(Submission((("text", BAD),), scored=scored))
    assert scored == {hash: [dict(found.signals)["scores.toxic"]]}
    scored[hash] = [0.1]  # what was said before is believed
    assert policies.findings(Submission((("text", BAD),), scored=scored)) == []


def test_many_records_are_judged_at_once_as_they_are_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = kept(tmp_path, taught(BAD))
    rude = replace(taught("all women are muppets", blind=True), classes=("fine", "rude"))
    other = kept(tmp_path, rude)
    parts = (
        model("m", labels=["toxic"], hash=one),
        model("n", labels=["rude"], hash=other, blind=True),
        word_list("bad", ["foo"]),
        condition("r", "scores.toxic > 20.0"),
        condition("s", "hits.bad && scores.rude > 20.0"),
    )
    policies = load_engine(policy(tmp_path, *parts))
    texts = (BAD, "fine", "foo: all men are muppets", "all men are muppets", "foo " + BAD, "", "raises")

    def found_in(readings: list[str], *, blind: bool) -> set[int]:
        if readings == ["raises"]:
            raise ValueError(readings)
        return features.found_in(readings, blind=blind)

    monkeypatch.setattr(reading, "found_in", found_in)
    alone, together = ([Submission((("text", text),)) for text in texts] for _ in range(2))
    found = [policies.findings(each) for each in alone]
    assert policies.findings_of(together) == found
    rules = [[each.rule for each in some] for some in found]
    assert rules == [["r"], [], ["s"], [], ["r"], [], ["unjudged"]]
    assert [each.scored for each in together] == [each.scored for each in alone]
    assert [each.scored.keys() for each in together] == [
        *({one}, {one}, {one, other}, {one}, {one, other}, {one}, set())
    ]
    assert policies.findings_of([]) == []


def test_what_a_model_said_at_the_gate_is_told_of_a_post(tmp_path: Path) -> None:
    hash = kept(tmp_path, taught(BAD))
    gate = Gatekeeper(
        policy(tmp_path, model("m", labels=["toxic"], hash=hash), ASKS),
        PLENTY,
        secret=SECRET,
        wall=Clock(),
        executor=Inline(),
    )
    trio.run(gate.open)
    notes: list[Note] = []
    gate.noting.follow(notes.append)
    records = [post(BAD, 1), post("fine", 2)]
    gate.judge_batch(records, True, "192.0.2.1", 0.0)
    gate.settle_batch(records, [True, True], [False] * len(records), True, "192.0.2.1", 0.0)
    assert [note.scores.keys() for note in notes] == [{hash}, {hash}]
    assert notes[0].scores[hash] > notes[1].scores[hash]
