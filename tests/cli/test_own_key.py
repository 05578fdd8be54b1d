"""One's own key is made by what is first signed with it, and by nothing that only reads or takes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.protocol.identity import account_to_text

from tests.cli.travel import ADA

POST = f"{account_to_text(ADA.account)}/{16 * '01'}"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("algorithm", "ls"), exit_codes.UNREACHABLE),
        (("edit", POST, "tea"), exit_codes.FAILED),
        (("delete", POST), exit_codes.FAILED),
        *(((verb, account_to_text(ADA.account)), exit_codes.FAILED) for verb in ("unfollow", "unmute")),
        *(((verb,), exit_codes.FAILED) for verb in ("mute", "block", "list show")),
    ],
)
def test_no_key_is_made(folkmoot: Any, tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    ran = folkmoot(*words[0].split(), *words[1:], "--node", "127.0.0.1:1", "--tls", "off")
    assert ran.code == code and not list(tmp_path.rglob("*.key"))
    assert code == exit_codes.UNREACHABLE or "you have no key yet" in ran.err
