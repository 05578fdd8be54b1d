"""What was decided about media, as a node that serves them asks for it."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest
import trio
import trio.testing
from folkmoot.node.moderation.media_cases import MediaCases
from folkmoot.protocol.errors import BUSY, LEVEL_UNREACHABLE, ErrorKind, WireError
from folkmoot.protocol.moderation.bounds import MEDIA_DECIDED_S
from folkmoot.protocol.moderation.outcome import Outcome, outcome_of

from tests.moderation.decisions import ANN

DIGEST = bytes(32)


class Casebook:
    """Knows of no decisions.

    Attributes:
        asked: how often it was asked.
        fails: what asking it comes to, if not that.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.fails: ErrorKind | None = None

    async def about_medium(self, account: bytes, digest: bytes, level: str) -> Outcome:
        self.asked += 1
        await trio.lowlevel.checkpoint()
        if self.fails is not None:
            raise WireError(self.fails, "as the test has it")
        return outcome_of([])


def cases(casebook: Casebook) -> MediaCases:
    return MediaCases(cast(Any, casebook), cast(Any, None), lambda: "")


async def test_that_nobody_can_be_asked_is_believed_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    casebook = Casebook()
    casebook.fails = LEVEL_UNREACHABLE
    made = cases(casebook)
    for _chunk in range(3):
        assert await made.decided(ANN.account, DIGEST) is None
    assert casebook.asked == 1
    await trio.sleep(MEDIA_DECIDED_S)
    assert await made.decided(ANN.account, DIGEST) is None
    assert casebook.asked == 2


async def test_another_failure_is_told_each_time() -> None:
    casebook = Casebook()
    casebook.fails = BUSY
    made = cases(casebook)
    for _ in range(2):
        with pytest.raises(WireError):
            await made.decided(ANN.account, DIGEST)
    assert casebook.asked == 2


async def test_what_runs_out_while_it_is_looked_at_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(trio, "current_time", lambda: next(ticks) * MEDIA_DECIDED_S / 2)
    casebook = Casebook()
    made = cases(casebook)
    for _ in range(8):  # of which some looks come just before it runs out
        assert await made.decided(ANN.account, DIGEST) is None
    assert 1 < casebook.asked < 8
