"""Watching a feed: what is shown of an event, what is refused, and what the words of the command may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.commands.follow_feed import _told
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.main import run
from folkmoot.protocol.client import Client, Event, Gap
from folkmoot.protocol.errors import BAD_SIGNATURE, WireError
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record

from tests.cli.travel import ADA, OPERATOR, post

NOW_US = 1_790_000_000_000_000
ONE, TWO = post(1), post(2)
NOBODY = cast("Client", None)  # all is signed by first keys, so nobody is asked


def event(*records: Record) -> Event:
    return Event(b"\x01", [{"record": each.to_wire(), "labels": [], "counts": {}} for each in records])


async def test_each_item_is_a_line_of_its_own_with_the_cursor_after_it() -> None:
    shown = await _told(NOBODY, ADA.account, event(ONE, TWO))
    assert [(value["kind"], value["id"], value["cursor"]) for value, _ in shown] == [
        ("post", ONE.id.hex(), "01"),
        ("post", TWO.id.hex(), "01"),
    ]
    assert all(lines[-1] == "" for _, lines in shown)


async def test_what_is_no_post_is_shown_too() -> None:
    profile = Record.sign(
        ADA, kind="profile", item=b"name", body={"value": "Ada"}, stamp=1_790_000_000_000_000
    )
    [(value, lines)] = await _told(NOBODY, None, event(profile))
    assert (value["kind"], value["author"], value["item"]) == (
        "profile",
        account_to_text(ADA.account),
        b"name".hex(),
    )
    assert "profile by did:key:" in lines[0] and "Ada" in lines[0]


async def test_a_post_that_nobody_could_be_asked_for_is_said() -> None:
    gap = {"gap": {"author": ONE.author, "item": ONE.item, "reason": "unreachable"}}
    told = event(TWO)
    shown = await _told(NOBODY, None, told._replace(items=[gap, *told.items]))
    assert shown[0][0].keys() == {"gap", "cursor"} and "can be reached just now" in shown[0][1][0]
    assert shown[1][0]["id"] == TWO.id.hex()


async def test_who_reposted_a_post_is_said() -> None:
    told = event(ONE)
    [(value, lines)] = await _told(
        NOBODY, None, told._replace(items=[{**told.items[0], "reposter": OPERATOR.account}])
    )
    assert value["reposter"] == account_to_text(OPERATOR.account) and lines[0].startswith("reposted by")


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (Gap(1, 2, "not_proven"), "something may be missing here (not_proven)"),
        (Gap(1, 2, "damaged"), "something may be missing here (damaged)"),
        (Gap(1, 2, "split", 65), "watch range 65 as well"),
        (Gap(1, 2, "split"), "part of this range is another one by now --"),
    ],
)
async def test_a_gap_is_said(gap: Gap, words: str) -> None:
    [(value, lines)] = await _told(NOBODY, ADA.account, Event(b"\x01", [], gap))
    assert words in lines[0]
    told: dict[str, Any] = {"from_ms": 1, "to_ms": 2, "reason": gap.reason}
    assert value == {"gap": told | ({"range": 65} if gap.range else {}), "cursor": "01"}


async def test_whatever_the_author_did_not_sign_is_refused() -> None:
    with pytest.raises(OperatorError, match="a post of did:key"):
        await _told(NOBODY, OPERATOR.account, Event(b"\x01", event(ONE).items))
    forged = event(Record(ONE.payload, TWO.signature))
    for author in (ADA.account, None):
        with pytest.raises(WireError) as caught:
            await _told(NOBODY, author, forged)
        assert caught.value.kind is BAD_SIGNATURE


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name an account, or a range"),
        (["ACCOUNT", "--range", "3"], "not both"),
        (["ACCOUNT", "--since", "1h", "--cursor", "00"], "give one of them"),
        (["ACCOUNT", "--cursor", "zz"], "not one that"),
        (["ACCOUNT", "--since", "yesterday"], "not a time"),
        (["--range", "-1"], "-1"),
        (["ACCOUNT", "--as", __file__], "--as is for --home and --tag"),
        (["--range", "3", "--as", __file__], "--as is for --home and --tag"),
    ],
)
def test_words_that_make_no_sense(
    words: Sequence[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [account_to_text(ADA.account) if word == "ACCOUNT" else word for word in words]
    assert run(["follow-feed", *line, "--node", "h:1", "--tls", "off"]) == exit_codes.USAGE
    assert says in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["follow-feed", "--range", "3", "--node", "127.0.0.1:1", "--tls", "off"]
    assert run(words) == exit_codes.UNREACHABLE
    assert "no node answered" in capsys.readouterr().err
