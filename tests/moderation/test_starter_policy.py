"""The policy to start with: it says what it does in every language, and leaves what people say alone."""

# ruff: noqa: RUF001 (Russian has letters that look like Latin ones)

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot import configs
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.submissions import Submission
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.builtin_labels import BUILT_IN
from folkmoot.protocol.moderation.verdict import Action, Verdict
from folkmoot.protocol.record import Record

STARTER = Path(str(configs.__file__)).parent / "policies" / "starter.toml"
LANGUAGES = ("de", "fr", "es", "pt", "it", "nl", "pl", "ru", "ar", "hi", "tr", "zh", "ja")
ANN = KeyPair(b"a" * 32)


@pytest.fixture(scope="module")
def engine() -> PolicyEngine:
    return load_engine(STARTER)


def judged(engine: PolicyEngine, text: str, language: str = "en") -> Verdict:
    body = {"text": text, "lang": language}
    record = Record.sign(ANN, kind="post", item=make_uuid7(1, 1), body=body, stamp=1)
    return engine.judge_record(Submission((("text", text),), record))


def test_it_refuses_nothing_and_says_why_in_every_language(engine: PolicyEngine) -> None:
    for rule in engine.document.rules:
        assert rule.then in (Action.HOLD, Action.LABEL), rule.id
        assert rule.label in BUILT_IN, f"{rule.id}: readers can tell what the label means"
        assert tuple(rule.notices) == LANGUAGES, rule.id
        assert len({rule.reason, *rule.notices.values()}) == 1 + len(LANGUAGES), rule.id
    assert not engine.warnings(0)


@pytest.mark.parametrize(
    ("language", "text", "action", "label"),
    [
        ("en", "Congratulations, my niece won a prize!", Action.ACCEPT, None),
        ("en", "CLAIM YOUR PRIZE now", Action.LABEL, "spam"),
        ("en", "get r.i.c.h quick? get rich quick!", Action.LABEL, "spam"),
        ("de", "Ich bringe dich um!", Action.HOLD, "threat"),
        ("fr", "Va te suicider.", Action.HOLD, "self-harm"),
        ("es", "suscríbete a mi canal", Action.LABEL, "promotion"),
        ("pt", "me envie sua chave privada", Action.HOLD, "scam"),
        ("it", "Guadagni garantiti", Action.LABEL, "spam"),
        ("nl", "stuur mij je pincode", Action.HOLD, "scam"),
        ("pl", "gwarantowany zysk dla każdego", Action.LABEL, "spam"),
        ("ru", "Сообщите код из СМС", Action.HOLD, "scam"),
        ("ar", "مبروك لقد ربحت هاتفًا", Action.LABEL, "spam"),
        ("hi", "मैं तुझे मार डालूंगा", Action.HOLD, "threat"),
        ("tr", "Seni öldüreceğim", Action.HOLD, "threat"),
        ("zh", "老师说稳赚不赔的项目", Action.LABEL, "spam"),
        ("ja", "本当に誰でも簡単に稼げる方法", Action.LABEL, "spam"),
        ("en", "join https://t.me/+AbCdEf123", Action.LABEL, "off-site-invitation"),
        ("da", "kys fra mormor", Action.ACCEPT, None),
        ("es", "Gol de Kike García", Action.ACCEPT, None),
        ("en", "I was so tired I could have killed for a coffee", Action.ACCEPT, None),
        ("de", "Ich habe Angst, dass ich mich umbringe", Action.ACCEPT, None),
    ],
)
def test_it_speaks_many_languages(
    engine: PolicyEngine, language: str, text: str, action: Action, label: str | None
) -> None:
    verdict = judged(engine, text, language)
    assert verdict.action is action
    if label is not None:
        assert [found.label for found in verdict.labels] == [label]
        rule = next(rule for rule in engine.document.rules if rule.id == verdict.rule)
        assert verdict.reason == rule.said_in(language)


def test_of_real_posts_it_holds_none(engine: PolicyEngine, shared_data: Callable[[str], Path]) -> None:
    with gzip.open(shared_data("social/bluesky_posts.jsonl.gz"), "rt", encoding="utf-8") as lines:
        verdicts = [judged(engine, json.loads(line).get("text") or "") for line in lines]
    assert len(verdicts) > 900
    assert not [verdict.rule for verdict in verdicts if verdict.action is not Action.ACCEPT]
