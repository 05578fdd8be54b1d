"""What one policy refuses that another did not, and what a policy for all nodes may not be."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.node.moderation.policy_layers import parse_whole
from folkmoot.protocol.moderation.comparison import added_refusals
from folkmoot.protocol.moderation.policy import PolicyError

from tests.moderation.documents import HEAD, condition, document, rule, word_list

SPAM = word_list("spam", ["buy"])
MORE = word_list("spam", ["buy", "sell"])
BY_LIST = rule("no-spam", ["spam"], "refuse")
BY_SIGNALS = condition("no-links", "post.links > 3.0", "refuse")


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        (SPAM, SPAM + BY_LIST, ["no-spam"]),
        (SPAM + BY_LIST, SPAM + BY_LIST, []),
        (SPAM + BY_LIST, MORE + BY_LIST, ["no-spam"]),
        (SPAM + BY_LIST, SPAM + BY_SIGNALS + BY_LIST, ["no-links"]),
        (SPAM + BY_SIGNALS, SPAM + BY_SIGNALS, []),
        (SPAM + BY_SIGNALS, MORE + BY_SIGNALS, ["no-links"]),
        (SPAM + BY_SIGNALS, SPAM + BY_SIGNALS.replace("3.0", "2.0"), ["no-links"]),
        (SPAM + BY_SIGNALS + "expires = 2030-01-01\n", SPAM + BY_SIGNALS, ["no-links"]),
        (SPAM + BY_LIST, SPAM + BY_LIST.replace("refuse", "hold"), []),
    ],
)
def test_what_is_refused_that_was_not(before: str, after: str, added: list[str]) -> None:
    assert added_refusals(document(before), document(after)) == added


def test_a_document_that_has_to_stand_alone_extends_nothing(tmp_path: Path) -> None:
    (tmp_path / "wide.toml").write_text(HEAD)
    with pytest.raises(PolicyError, match=r"narrow\.toml:1:1: wide\.toml is not here, and .* stand alone"):
        parse_whole(tmp_path / "narrow.toml", f'extends = "wide.toml"\n{HEAD}'.encode())
