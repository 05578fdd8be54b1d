"""Notifications on a terminal: what is said of each sort, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.main import run
from folkmoot.cli.notices import checked, lines, unread_line
from folkmoot.protocol.client import Client
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.moderation.decision import Action
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.record import Record

from tests.cli.travel import ADA, post
from tests.moderation.decisions import MO, decided, signed

NOW_US = 1_790_000_000_000_000
BOB = KeyPair(b"\x07" * 32)
NOBODY = cast("Client", None)  # all is signed by first keys, so nobody is asked
MINE = post(1)


def notice(record: Record, sort: str, **more: Any) -> dict[str, Any]:
    subject = more.pop("subject", None)
    told = {"sort": sort, "time": NOW_US, "by": [record.author], "unread": True, **more}
    item = {"notice": told, "record": record.to_wire(), "labels": [], "counts": {}}
    return item if subject is None else {**item, "subject": subject.to_wire()}


def like(who: KeyPair = BOB) -> Record:
    item = MINE.item + who.account
    return Record.sign(who, kind="like", item=item, body={"on": True}, stamp=NOW_US, place=ADA.account)


async def shown(item: dict[str, Any]) -> str:
    [told] = await checked(NOBODY, [item])
    return "\n".join(lines(told))


async def test_each_sort_is_a_sentence() -> None:
    about = {"author": MINE.author, "item": MINE.item}
    crowd = notice(like(), "like", count=12, post=about, subject=MINE)
    text = await shown(crowd)
    assert f"{account_to_text(BOB.account)} and 11 more liked your post" in text and text.startswith("* ")
    assert f"> {MINE.body['text'].splitlines()[0]}" in text
    alone = await shown(notice(like(), "like", count=1, post=about, unread=False))
    assert "more" not in alone and alone.startswith("  ")
    answer = post(2)
    assert "answered you" in await shown(notice(answer, "reply"))
    held = await shown(notice(MINE, "held", by=[], post=about))
    assert "Your post waits for review" in held
    gap = {"gap": {"author": MINE.author, "item": MINE.item, "reason": "unreachable"}}
    assert "cannot be reached" in await shown(gap)


async def test_what_was_done_to_a_post_is_told_with_why_and_whom_to_ask() -> None:
    about = {"author": MINE.author, "item": MINE.item}
    asks = f"why, and how to appeal: folkmoot moderate show {account_to_text(MINE.author)}/{MINE.item.hex()}"
    assert asks in await shown(notice(MINE, "held", by=[], post=about))
    seen: dict[str, Any] = {
        "rule": "scams",
        "policy": "ab" * 32,
        "span": (2, 6),
        "signals": (("scores.bad", "2"),),
    }
    label = Label(MINE.item, "scam", BOB.account, MINE.id, "A scam.", **seen)
    record = Record.sign(
        BOB, kind="label", item=label.item, body=label.body(), stamp=NOW_US, place=MINE.author
    )
    text = await shown(notice(record, "label", post=about))
    assert "scam: A scam. (by a policy, without a person, rule scams, policy abababababab, " in text
    assert "characters 3 to 6 of text, scores.bad 2)" in text and asks in text
    removal = decided(Action.REMOVE, MO, rule="scams", policy="ab" * 32)
    text = await shown(notice(signed(removal), "decision", post=about))
    assert "remove: because (rule scams, policy abababababab)" in text and asks in text


async def test_what_somebody_did_not_sign_is_refused() -> None:
    with pytest.raises(OperatorError, match="somebody else"):
        await checked(NOBODY, [notice(like(), "like", by=[ADA.account])])
    forged = Record(like().payload, like(ADA).signature)
    with pytest.raises(WireError):
        await checked(NOBODY, [notice(forged, "like")])


@pytest.mark.parametrize(("unread", "says"), [(None, ""), (0, ""), (1, "1 unread"), (100, "99+ unread")])
def test_the_number_of_unread_ones(unread: int | None, says: str) -> None:
    assert "".join(unread_line(unread))[: len(says)] == says and bool(unread_line(unread)) == bool(says)


def test_requests_are_shown_by_words_of_their_own() -> None:
    assert "show --requests`" in unread_line(1, True)[0] and "--requests" not in unread_line(1)[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "--cursor", "zz"], "--cursor"),
        (["follow", "--since", "1h", "--cursor", "00"], "give one of them"),
        (["policy", "--mention", "friends"], "friends"),
        (["policy", "--min-age-days", "-1"], "-1"),
    ],
)
def test_words_that_make_no_sense(
    words: Sequence[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["notifications", *words, "--node", "h:1", "--tls", "off"]) == exit_codes.USAGE
    assert says in capsys.readouterr().err
