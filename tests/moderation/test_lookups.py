"""Signals that are looked up before the gate judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from folkmoot.node.moderation.lookups import LookedUp, look_up
from folkmoot.protocol.moderation.signals import AUTHOR, MEDIA
from folkmoot.protocol.moderation.verdict import Verdict
from folkmoot.protocol.record import Record

from tests.moderation.documents import HEAD, condition
from tests.moderation.test_gatekeeper import gatekeeper, post

KNOWS, KNOWS_NOT = post("one", 1), post("other", 2)


class Lookup:
    """Knows one signal of one record."""

    def __init__(self, signal: str, *, fails: bool = False) -> None:
        self.unavailable: Mapping[str, str] = {}
        self.asked: list[Sequence[Record]] = []
        self._signal = signal
        self._fails = fails

    async def of(self, records: Sequence[Record]) -> LookedUp:
        self.asked.append(records)
        if self._fails:
            raise ZeroDivisionError
        return {KNOWS.id: {self._signal: 1.0}}


async def test_what_several_know_is_put_together_and_nobody_is_asked_in_vain() -> None:
    age, nsfw = Lookup("author.age_s"), Lookup("media.nsfw")
    lookups = {AUTHOR: age, MEDIA: nsfw}
    both = [KNOWS, KNOWS_NOT]
    failed: Counter[str] = Counter()
    assert await look_up(lookups, {AUTHOR, MEDIA, "post"}, both, failed) == {
        KNOWS.id: {"author.age_s": 1.0, "media.nsfw": 1.0}
    }
    assert await look_up(lookups, {MEDIA}, both, failed) == {KNOWS.id: {"media.nsfw": 1.0}}
    assert await look_up(lookups, {"post"}, both, failed) == {}
    assert (len(age.asked), len(nsfw.asked)) == (1, 2)


async def test_one_that_fails_knows_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    lookups = {AUTHOR: Lookup("author.age_s", fails=True), MEDIA: Lookup("media.nsfw")}
    failed: Counter[str] = Counter()
    for _ in range(5):
        told = await look_up(lookups, {AUTHOR, MEDIA}, [KNOWS], failed)
        assert told == {KNOWS.id: {"media.nsfw": 1.0}}
    said = [record.getMessage() for record in caplog.records]
    sentence = "signals of the family author could not be looked up: {} times so far"
    assert said == [sentence.format(times) for times in (1, 2, 4)]


async def test_the_gate_asks_for_what_its_policies_ask_for_and_holds_what_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(HEAD + condition("new", "author.age_s < 5.0", "refuse"))
    gate = gatekeeper(file)
    await gate.open()
    gate.lookups = {AUTHOR: Lookup("author.age_s"), MEDIA: (media := Lookup("media.nsfw"))}
    records = [KNOWS, KNOWS_NOT]
    looked_up = await gate.look_up(records)
    refused, held = gate.judge_batch(records, True, "192.0.2.1", 0.0, looked_up)
    assert not isinstance(refused, Verdict) and refused.kind.name == "refused_by_policy"
    assert isinstance(held, Verdict) and held.action.word == "hold" and held.rule == "new"
    assert not media.asked, "no rule asks about media"
    assert gate.figures.unknown.counts == {"author.age_s": 1}
