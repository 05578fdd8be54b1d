"""What policies say of labels, and what a narrower one may change."""

from __future__ import annotations

import pytest
from folkmoot.protocol.moderation.definitions import Blurs, Choice, Definition, Severity, Words
from folkmoot.protocol.moderation.policy import PolicyError

from tests.moderation.documents import layered


def label(value: str = "scam", more: str = "") -> str:
    return f'[[labels]]\nvalue = "{value}"\n{more}\n'


WHOLE = label(
    more='severity = "alert"\nblurs = "content"\nfixed = true\nname = {en = "Scam", de = "Betrug"}\n'
    'about = {en = "Wants your money."}'
)


def test_a_policy_defines_labels() -> None:
    words = {"en": Words("Scam", "Wants your money."), "de": Words("Betrug")}
    scam = Definition("scam", Severity.ALERT, Blurs.CONTENT, Choice.WARN, words, fixed=True)
    assert layered(WHOLE).labels == {"scam": scam}
    assert layered(WHOLE, label("odd")).labels == {"scam": scam, "odd": Definition("odd")}
    assert layered("").labels == {}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (label("Scam!"), "lowercase letters"),
        (label(more='default = "hide"'), "warn, ignore"),
        (label(more='blurs = "all"'), "content, media, none"),
        (label(more='colour = "red"'), "unknown key 'colour'"),
        (label(more='name = {English = "Scam"}'), "no language tag"),
        (label(more='about = {en = "Bad."}'), "has a name in it"),
        (label() + label(), "defined twice"),
        (label("a"), None),
    ],
)
def test_what_is_wrong_has_its_place(document: str, words: str | None) -> None:
    if words is None:
        assert layered(document).labels
        return
    with pytest.raises(PolicyError, match=r"\.toml:\d+") as refused:
        layered(document)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("below", "above", "is_fine"),
    [
        (label(more='default = "ignore"'), label(), True),
        (label(), label(more='default = "ignore"'), False),
        (label(), label(more="fixed = true"), True),
        (label(more="fixed = true"), label(), False),
        (label(more='blurs = "content"'), label(), True),
    ],
)
def test_narrower_layers_only_tighten(below: str, above: str, is_fine: bool) -> None:
    if is_fine:
        assert "scam" in layered(below, above).labels
        return
    with pytest.raises(PolicyError, match="may only tighten"):
        layered(below, above)
