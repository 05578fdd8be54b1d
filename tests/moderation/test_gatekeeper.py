"""The gatekeeper: what it judges of a record, and how policies come into force and do not."""

# ruff: noqa: ASYNC240 (a policy is a small file on a local disk)

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.moderation.quota import QuotaRates, Rate
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.feed.mute import word_item
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.bounds import HELD_COSTS
from folkmoot.protocol.moderation.label import Label
from folkmoot.protocol.moderation.policy import EMPTY, PolicyError, policy_hash
from folkmoot.protocol.moderation.verdict import Verdict
from folkmoot.protocol.record import Record

from tests.moderation.documents import HEAD, rule, word_list
from tests.waiting import until

T = TypeVar("T")

ALICE = KeyPair(b"\x01" * 32)
PLENTY = QuotaRates(Rate(1e6, 1_000_000), Rate(1e6, 1_000_000))
SECRET = bytes(16)
HOLDS_FOO = HEAD + word_list("words", ["foo"]) + rule("found", ["words"], "hold")
REFUSES_FOO = HOLDS_FOO.replace("hold", "refuse")
BROKEN = HOLDS_FOO.replace("hold", "destroy")


class Clock:
    """A wall clock that a test sets."""

    at_us = 1_000

    def now_us(self) -> int:
        return self.at_us


class Inline:
    """Runs work where it stands, and counts it."""

    runs = 0

    async def run(self, work: Callable[[], T]) -> T:
        self.runs += 1
        await trio.lowlevel.checkpoint()
        return work()

    def spent_s(self) -> float:
        return 0.0


def post(body: dict[str, Any] | str, number: int = 0) -> Record:
    body = {"text": body} if isinstance(body, str) else body
    return Record.sign(ALICE, kind="post", item=make_uuid7(1, number), body=body, stamp=number + 1)


def gatekeeper(file: Path | None, rates: QuotaRates = PLENTY) -> Gatekeeper:
    return Gatekeeper(file, rates, wall=Clock(), secret=SECRET, executor=Inline(), poll_interval_s=0.01)


def outcomes(gate: Gatekeeper, records: Sequence[Record], *, exempt: bool = True) -> list[str]:
    """The action, or the error's name, for each record."""
    answers: list[Verdict | WireError | None] = []
    if exempt:
        answers += gate.judge_batch(records, exempt, "192.0.2.1", 0.0)
    else:
        answers += gate.look_at_batch(records, exempt, "192.0.2.1", 0.0)
        worth_it = [record for record, limited in zip(records, answers, strict=True) if limited is None]
        judged = iter(gate.judge_batch(worth_it, exempt, "192.0.2.1", 0.0))
        answers = [limited or next(judged) for limited in answers]
    words = []
    for answer in answers:
        assert answer is not None
        words.append(answer.kind.name if isinstance(answer, WireError) else answer.action.word)
    return words


@asynccontextmanager
async def running(file: Path, text: str) -> AsyncIterator[Gatekeeper]:
    """A gatekeeper at work on a file of this text."""
    file.write_text(text)
    gate = gatekeeper(file)
    await gate.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.run)
        yield gate
        nursery.cancel_scope.cancel()


async def in_force(gate: Gatekeeper, text: str) -> None:
    wanted = policy_hash(text.encode())
    await until(lambda: gate.status().policy == wanted, what="the new policy in force")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


async def test_the_texts_that_people_are_shown_are_judged_and_nothing_else(file: Path) -> None:
    file.write_text(HOLDS_FOO)
    gate = gatekeeper(file)
    await gate.open()
    bob = KeyPair(b"\x02" * 32).account

    def other(kind: str, item: bytes, body: dict[str, Any]) -> Record:
        return Record.sign(ALICE, kind=kind, item=item, body=body, stamp=1)

    def medium(**more: Any) -> dict[str, Any]:
        return {"hash": bytes(32), "mime": "image/png", "size": 1, **more}

    def label(value: str, reason: str, **more: Any) -> Record:
        said = Label(make_uuid7(1, 1), value, ALICE.account, bytes(32), reason, **more)
        return other("label", said.item, said.body())

    judged = {
        post("has foo in it"): ("hold", "text"),
        post({"text": "", "warning": "foo"}): ("hold", "warning"),
        post({"text": "", "tags": ["a", "foo"]}): ("hold", "tags.1"),
        other("profile", b"bio", {"value": "foo"}): ("hold", "value"),
        other("profile", b"links", {"value": [{"title": "foo"}]}): ("hold", "value.0.title"),
        other("profile", b"links", {"value": {"ok": {"foo": "bar"}}}): ("hold", "value.ok.foo"),
        other("profile", b"foo", {"value": 3}): ("hold", "item"),
        post({"text": "", "media": [medium(), medium(alt="a foo")]}): ("hold", "media.1.alt"),
        post({"text": "", "media": [medium(mime="foo/foo", later="foo")]}): ("accept", None),
        label("rude", "foo!"): ("hold", "reason"),
        label("foo", "no"): ("hold", "value"),
        label("rude", "no", rule="foo"): ("accept", None),
        post({"text": "", "labels": ["foo"]}): ("hold", "labels.0"),
        other("list", bytes(16), {"name": "foo"}): ("hold", "name"),
        other("list", bytes(16), {"name": "x", "about": "foo"}): ("hold", "about"),
        other("list", bytes(16), {"name": "x", "later": "foo"}): ("accept", None),
        other("list", bytes(16), {"deleted": True}): ("accept", None),
        other("mute", word_item("foo"), {"on": True, "word": "foo"}): ("accept", None),
        post({"text": "", "lang": "foo"}): ("accept", None),
        post({"deleted": True}): ("accept", None),
        other("follow", bob, {"on": True, "note": "foo"}): ("accept", None),
    }
    answers = gate.judge_batch(list(judged), True, "192.0.2.1", 0.0)
    for answer, expected in zip(answers, judged.values(), strict=True):
        assert isinstance(answer, Verdict)
        field = answer.decisive.field if answer.decisive else None
        assert (answer.action.word, field) == expected


async def test_so_are_the_words_of_feed_algorithms_but_not_their_expressions(file: Path) -> None:
    file.write_text(HOLDS_FOO)
    gate = gatekeeper(file)
    await gate.open()

    def algorithm(name: bytes = b"x", term: str = "likes", **more: Any) -> Record:
        terms = [{"name": term, "value": "likes", "weight": 1}]
        document = {"title": "x", "sources": [{"from": "foo"}], "terms": terms, **more}
        return Record.sign(ALICE, kind="algorithm", item=name, body={"document": document}, stamp=1)

    removed = Record.sign(ALICE, kind="algorithm", item=b"x", body={"deleted": True}, stamp=1)
    judged = {
        algorithm(b"foo"): ("hold", "name"),
        algorithm(title="foo"): ("hold", "title"),
        algorithm(about="foo"): ("hold", "about"),
        algorithm(term="foo"): ("hold", "terms.0.name"),
        algorithm(filters=["'foo' in tags"]): ("accept", None),
        removed: ("accept", None),
    }
    for record, expected in judged.items():
        [verdict] = gate.judge_batch([record], True, "192.0.2.1", 0.0)
        assert isinstance(verdict, Verdict)
        field = None if verdict.decisive is None else verdict.decisive.field
        assert (verdict.action.word, field) == expected


async def test_a_refused_record_is_answered_with_the_rule_and_whom_to_ask(file: Path) -> None:
    file.write_text(REFUSES_FOO)
    gate = gatekeeper(file)
    await gate.open()
    (error,) = gate.judge_batch([post("a foo")], True, "192.0.2.1", 0.0)
    assert isinstance(error, WireError) and error.details is not None
    assert (error.kind.name, error.details["rule"]) == ("refused_by_policy", "found")
    assert (error.details["span"], error.details["appeal"]) == ([2, 5], "Ask the operators.")


async def test_the_quota_counts_within_a_batch_and_spares_the_exempt() -> None:
    gate = gatekeeper(None, QuotaRates(Rate(1, 2), Rate(1, 100)))
    batch = [post("x", number) for number in range(4)]
    assert outcomes(gate, batch) == ["accept"] * 4
    assert outcomes(gate, batch, exempt=False) == ["accept", "accept", "rate_limited", "rate_limited"]


async def test_an_account_pays_for_what_changed_something(file: Path) -> None:
    file.write_text(REFUSES_FOO)
    gate = gatekeeper(file, QuotaRates(Rate(1, 2), Rate(1, 100)))
    await gate.open()
    batch = [post("x"), post("y", 1)]
    for changed, after in ((False, ["accept"]), (True, ["rate_limited"])):
        assert outcomes(gate, batch, exempt=False) == ["accept"] * 2
        gate.settle_batch(batch, [changed] * 2, [False] * 2, False, "192.0.2.1", 0.0)
        assert outcomes(gate, [post("z", 2)], exempt=False) == after
        last = [False] * (not changed)
        gate.settle_batch([post("z", 2)] * (not changed), last, last, False, "192.0.2.1", 0.0)


async def test_what_is_held_costs_more_at_once_and_for_as_long(file: Path) -> None:
    file.write_text(HOLDS_FOO)
    gate = gatekeeper(file, QuotaRates(Rate(1, 2 * HELD_COSTS + 1), Rate(1, 1_000)))
    await gate.open()
    batch = [post("foo", number) for number in range(4)]
    assert outcomes(gate, batch, exempt=False) == ["hold"] * 3 + ["rate_limited"]
    gate.settle_batch(batch[:3], [False] * 3, [True] * 3, False, "192.0.2.1", 0.0)
    assert outcomes(gate, batch, exempt=False) == ["hold"] * 3 + ["rate_limited"], "it had changed nothing"
    gate.settle_batch(batch[:3], [True] * 3, [True] * 3, False, "192.0.2.1", 0.0)
    assert outcomes(gate, [post("x", 9)], exempt=False) == ["rate_limited"]


async def test_a_refusal_costs_the_account_nothing_and_the_exempt_owe_nothing(file: Path) -> None:
    file.write_text(REFUSES_FOO)
    gate = gatekeeper(file, QuotaRates(Rate(1, 1), Rate(1, 100)))
    await gate.open()
    for number in range(3):
        assert outcomes(gate, [post("foo", number)], exempt=False) == ["refused_by_policy"]
    gate.settle_batch([post("x")] * 3, [True] * 3, [False] * 3, True, "192.0.2.1", 0.0)
    assert outcomes(gate, [post("x")], exempt=False) == ["accept"]


async def test_without_a_policy_only_the_quota_judges() -> None:
    gate = gatekeeper(None)
    await gate.open()
    assert outcomes(gate, [post("foo")]) == ["accept"]
    told = {
        "policy": EMPTY.hash,
        "name": "none",
        "loaded_at_us": 1_000,
        "outdated": False,
        "unjudged": 0,
    }
    assert gate.status().to_wire(for_operator=False) == told
    assert gate.status().to_wire(for_operator=True) == {**told, "errors": [], "warnings": []}


@pytest.mark.parametrize("text", [BROKEN, None])
async def test_a_node_does_not_open_its_gate_on_a_policy_it_cannot_use(file: Path, text: str | None) -> None:
    if text is not None:
        file.write_text(text)
    with pytest.raises(PolicyError):
        await gatekeeper(file).open()


async def test_a_changed_file_comes_into_force_by_itself(file: Path) -> None:
    async with running(file, HOLDS_FOO) as gate:
        assert outcomes(gate, [post("foo")]) == ["hold"]
        file.write_text(REFUSES_FOO)
        await in_force(gate, REFUSES_FOO)
        assert outcomes(gate, [post("foo")]) == ["refused_by_policy"]


async def test_a_file_that_is_replaced_by_another_comes_into_force(file: Path) -> None:
    accepts_foo = REFUSES_FOO.replace("refuse", "accept")
    async with running(file, REFUSES_FOO) as gate:
        before = file.stat()
        other = file.with_suffix(".new")
        other.write_text(accepts_foo)
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.rename(file)
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        await in_force(gate, accepts_foo)


async def test_a_broken_policy_leaves_the_old_one_in_force_and_is_reported(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(file, HOLDS_FOO) as gate:
        file.write_text(BROKEN)
        await until(lambda: gate.status().errors, what="the report")
        status = gate.status()
        assert status.policy == policy_hash(HOLDS_FOO.encode())
        (problem,) = status.errors
        assert problem.startswith(f"{file}:") and "then is 'destroy'" in problem
        assert problem in caplog.text
        assert outcomes(gate, [post("foo")]) == ["hold"]

        file.unlink()
        await until(lambda: "No such file" in gate.status().errors[0], what="the report of the loss")
        file.write_text(HOLDS_FOO)
        await until(lambda: not gate.status().errors, what="the end of the complaints")
        assert gate.status().loaded_at_us == status.loaded_at_us


async def test_a_file_still_being_written_is_left_alone_until_it_rests(
    file: Path, autojump_clock: trio.testing.MockClock
) -> None:
    file.write_text(HOLDS_FOO)
    executor = Inline()
    gate = Gatekeeper(file, PLENTY, wall=Clock(), secret=SECRET, executor=executor, poll_interval_s=1.0)
    await gate.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.run)
        for length in range(10, len(BROKEN), 40):
            file.write_text(BROKEN[:length])
            await trio.sleep(1.0)
            assert gate.status().errors == ()
        file.write_text(REFUSES_FOO)
        await trio.sleep(3.0)
        assert gate.status().policy == policy_hash(REFUSES_FOO.encode())
        looked = executor.runs
        await trio.sleep(100.0)
        assert executor.runs - looked <= 101, "a file at rest is looked at, not read again"
        nursery.cancel_scope.cancel()


async def test_a_reload_that_is_asked_for_does_not_wait_for_the_next_look(
    file: Path, autojump_clock: trio.testing.MockClock
) -> None:
    file.write_text(HOLDS_FOO)
    gate = Gatekeeper(file, PLENTY, wall=Clock(), secret=SECRET, executor=Inline(), poll_interval_s=3_600.0)
    await gate.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.run)
        started = trio.current_time()
        file.write_text(REFUSES_FOO)
        gate.reload()
        await in_force(gate, REFUSES_FOO)
        gate.reconfigure(None, PLENTY)
        await until(lambda: gate.status().file is None and gate.status().policy == EMPTY.hash, what="none")
        assert outcomes(gate, [post("foo")]) == ["accept"]
        gate.reconfigure(file, QuotaRates(Rate(1, 1), Rate(1, 1)))
        await in_force(gate, REFUSES_FOO)
        assert outcomes(gate, [post("x"), post("x", 1)], exempt=False) == ["accept", "rate_limited"]
        assert trio.current_time() - started < 60
        nursery.cancel_scope.cancel()


class ChangesUnderWay(list[Record]):
    """A batch during which another policy comes into force."""

    change: Callable[[], None]

    def __iter__(self) -> Iterator[Record]:
        for number, record in enumerate(super().__iter__()):
            if number == 2:
                self.change()
            yield record


async def test_a_batch_is_judged_by_the_policy_it_began_with(file: Path) -> None:
    file.write_text(HOLDS_FOO)
    gate = gatekeeper(file)
    await gate.open()
    later = gatekeeper(file)
    file.write_text(REFUSES_FOO)
    await later.open()
    batch = ChangesUnderWay(post("foo", number) for number in range(4))
    batch.change = lambda: gate._put_in_force(later._own)
    assert outcomes(gate, batch) == ["hold"] * 4
    assert outcomes(gate, list(batch)) == ["refused_by_policy"] * 4


async def test_verdicts_name_the_policy_that_made_them(file: Path) -> None:
    file.write_text(HOLDS_FOO)
    gate = gatekeeper(file)
    await gate.open()
    for answer in gate.judge_batch([post("foo"), post("bar")], True, "192.0.2.1", 0.0):
        assert isinstance(answer, Verdict)
        assert answer.policy == gate.status().policy == policy_hash(HOLDS_FOO.encode())


async def test_a_rule_is_told_in_other_languages_to_whom_it_gave_its_reason(file: Path) -> None:
    """In another region a rule of that name may say something else."""
    file.write_text(HEAD + word_list("l", ["x"]) + rule("r", ["l"], "hold") + 'notice = {de = "Darum."}\n')
    gate = gatekeeper(file)
    await gate.open()
    policy = gate.judging
    for reason in ("Because r.", "Darum."):
        assert gate.notices(policy, "r", reason) == {"de": "Darum."}
    for asked in ((policy, "r", "Another reason."), (policy, "s", "Darum."), ("00", "r", "Darum.")):
        assert gate.notices(*asked) == {}
