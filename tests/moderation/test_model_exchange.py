"""Models from other nodes: fetched in chunks, believed by their hashes alone, and asked from then on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.moderation import model_exchange
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.model_exchange import FETCH, ModelExchange
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.scorers import Scorers
from folkmoot.protocol.errors import BAD_REQUEST, NOT_FOUND, WireError
from folkmoot.protocol.moderation.bounds import (
    MODEL_ABSENT_S,
    MODEL_CHUNK_BYTES,
    MODEL_WASTED_S,
    MODELS_LOOK_S,
)
from folkmoot.protocol.moderation.text.model import TextModel

from tests.moderation.documents import condition, model
from tests.moderation.test_rules import judged
from tests.moderation.test_scorers import ASKS, BAD, kept, policy, taught
from tests.node.doubles import InlineExecutor

LIAR, CUT, GONE, EMPTY, RIGHT = (bytes([number]) * 16 for number in range(1, 6))


class Gate:
    """Wants what its engine lacks."""

    def __init__(self, engine: PolicyEngine) -> None:
        self.engine = engine

    def wanting(self) -> list[Scorers]:
        return [self.engine.scorers] if self.engine.scorers.wanted else []


class Peers:
    """Others, some of whom lie.

    Attributes:
        asked: whom, in order, from which place on.
        broken: whether links break off after a chunk.
    """

    broken = False

    def __init__(self, right: ModelExchange, data: bytes) -> None:
        self.asked: list[tuple[bytes, int]] = []
        self._right = right
        self._data = data

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        await trio.lowlevel.checkpoint()
        at = params["at"]
        self.asked.append((node_id, at))
        if node_id == GONE or (self.broken and at):
            raise PeerUnreachable("no link")
        if node_id == LIAR:  # for ever
            return {"data": b"x" * MODEL_CHUNK_BYTES}
        if node_id == CUT:
            return {"data": self._data[at : at + 100]}
        if node_id == EMPTY:
            raise WireError(NOT_FOUND, "none here")
        return await self._right.methods()[FETCH](b"me", params)

    def begun(self, node_id: bytes) -> int:
        """How often a node was asked for a model from its beginning on."""
        return self.asked.count((node_id, 0))


def place(folder: Path, read: TextModel, hash: str) -> PolicyEngine:
    folder.mkdir()
    return load_engine(policy(folder, model("m", labels=["toxic"], hash=hash), ASKS), folder / "models")


async def test_a_model_is_fetched_from_whoever_has_it(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_exchange, "POLICY_MODEL_BYTES", 3 * 1024 * 1024)
    read = taught(BAD)
    hash = kept(tmp_path / "theirs", read)
    engine = place(tmp_path / "ours", read, hash)
    assert engine.problems and judged(engine, BAD).decisive is not None
    others: list[bytes] = []
    nobody: Any = None
    right = ModelExchange(tmp_path / "theirs", InlineExecutor(), nobody, list, nobody)
    peers = Peers(right, read.encode())
    folder = tmp_path / "ours" / "models"
    ours = ModelExchange(folder, InlineExecutor(), Gate(engine), lambda: others, peers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        await trio.sleep(1.0)
        assert peers.asked == [] and engine.scorers.wanted, "there is nobody to ask"
        others += [GONE, EMPTY, CUT, LIAR]
        await trio.sleep(MODELS_LOOK_S)
        assert engine.scorers.wanted and not list(folder.glob("*")), "nothing is kept that is not it"
        assert len(peers.asked) < 12, "and nothing without an end"
        others.append(RIGHT)
        await trio.sleep(MODELS_LOOK_S)
        nursery.cancel_scope.cancel()
    assert [file.name for file in folder.iterdir()] == [f"{hash}.model"]
    assert (folder / f"{hash}.model").read_bytes() == read.encode()
    assert engine.problems == [] and judged(engine, BAD).rule == "r"
    assert judged(engine, "good morning").rule is None
    assert [at for node, at in peers.asked if node == RIGHT] == [0, MODEL_CHUNK_BYTES, 2 * MODEL_CHUNK_BYTES]


async def test_a_model_that_comes_by_hand_is_taken_up_and_too_many_are_not_fetched(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = taught(BAD)
    hash = kept(tmp_path / "theirs", read)
    engine = place(tmp_path / "ours", read, hash)
    nobody: Any = None
    right = ModelExchange(tmp_path / "theirs", InlineExecutor(), nobody, list, nobody)
    monkeypatch.setattr(model_exchange, "MODELS_KEPT", 1)
    kept(tmp_path / "ours" / "models", taught("something else"))
    peers = Peers(right, b"")
    ours = ModelExchange(tmp_path / "ours" / "models", InlineExecutor(), Gate(engine), lambda: [RIGHT], peers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        await trio.sleep(1.0)
        assert engine.scorers.wanted and peers.asked == [], "there is one already"
        assert engine.problems[0].endswith("take away what no policy names; its scores are unknown")
        kept(tmp_path / "ours" / "models", read)
        await trio.sleep(MODELS_LOOK_S)
        nursery.cancel_scope.cancel()
    assert engine.problems == []


class Town:
    """A node that wants a model of others, by a policy that says what it scores."""

    def __init__(self, folder: Path, *others: bytes, labels: tuple[str, ...] = ("toxic",)) -> None:
        nobody: Any = None
        self.read = taught(BAD)
        self.hash = kept(folder / "theirs", self.read)
        self.folder = folder / "ours" / "models"
        self.folder.parent.mkdir()
        self.gate = Gate(self.engine(*labels))
        right = ModelExchange(folder / "theirs", InlineExecutor(), nobody, list, nobody)
        self.peers = Peers(right, self.read.encode())
        self.others = list(others)
        self.exchange = ModelExchange(
            self.folder, InlineExecutor(), self.gate, lambda: self.others, self.peers
        )

    def engine(self, *labels: str) -> PolicyEngine:
        named = model("m", labels=list(labels), hash=self.hash)
        file = policy(self.folder.parent, named, condition("r", f"scores.{labels[0]} > 0.5"))
        return load_engine(file, self.folder)

    async def lives(self, for_s: float) -> None:
        """Let it look for models for some seconds."""
        with trio.move_on_after(for_s):
            await self.exchange.run()

    @property
    def problem(self) -> str:
        [problem] = self.gate.engine.problems
        return problem


async def test_what_cannot_be_asked_is_fetched_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    town = Town(tmp_path, RIGHT, bytes(16), labels=("spam",))
    await town.lives(3_600.0)
    assert len(town.peers.asked) == 3, "one model, in three chunks, of one node"
    assert not town.folder.exists() and town.problem.endswith(
        "it scores toxic, not spam; its scores are unknown"
    )
    other = town.gate.engine = town.engine("spam")
    await town.lives(60.0)
    assert len(town.peers.asked) == 3 and "it scores toxic" in other.problems[0]
    town.gate.engine = town.engine("toxic")
    await town.lives(1.0)
    assert town.gate.engine.problems == []


async def test_what_is_here_and_cannot_be_asked_is_not_fetched(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    town = Town(tmp_path, RIGHT)
    kept(town.folder, town.read)
    town.gate.engine = town.engine("spam")
    await town.lives(60.0)
    assert town.peers.asked == []
    assert town.problem == "model m: it scores toxic, not spam; its scores are unknown"


async def test_who_gives_something_else_is_asked_ever_more_seldom(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_exchange, "POLICY_MODEL_BYTES", 3 * 1024 * 1024)
    town = Town(tmp_path, CUT, LIAR)
    hours = 6
    await town.lives(hours * MODEL_WASTED_S)
    for node_id in town.others:
        assert hours + 5 <= town.peers.begun(node_id) <= hours + 10
    assert f"{town.hash}.model of node {CUT.hex()[:8]} is damaged" in town.problem
    town.others.append(RIGHT)
    await town.lives(1.0)
    assert town.gate.engine.problems == []


async def test_who_breaks_off_is_asked_ever_more_seldom(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    town = Town(tmp_path, RIGHT)
    town.peers.broken = True
    await town.lives(MODEL_WASTED_S)
    assert 5 <= town.peers.begun(RIGHT) <= 11 and "broke off" in town.problem


async def test_who_has_none_is_asked_now_and_then(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    town = Town(tmp_path, EMPTY, GONE)
    times = 20
    await town.lives(times * MODEL_ABSENT_S)
    for node_id in town.others:
        assert times <= town.peers.begun(node_id) <= times + 3
    assert town.problem.endswith("; no other node that can be reached has it; its scores are unknown")
    town.others.append(RIGHT)
    await town.lives(1.0)
    assert town.gate.engine.problems == []


async def test_what_cannot_be_written_is_fetched_ever_more_seldom(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    town = Town(tmp_path, RIGHT, bytes(16))
    town.folder.write_text("in the way")
    await town.lives(MODEL_WASTED_S)
    assert 5 <= town.peers.begun(RIGHT) <= 11 and town.peers.begun(bytes(16)) == 0
    assert "cannot be written" in town.problem
    town.folder.unlink()
    await town.lives(MODEL_WASTED_S)
    assert town.gate.engine.problems == []


@pytest.mark.parametrize("hash", ["../../etc/passwd", "ab", "AB" * 32])
async def test_only_models_are_given(tmp_path: Path, hash: str) -> None:
    nobody: Any = None
    ours = ModelExchange(tmp_path, InlineExecutor(), nobody, list, nobody)
    with pytest.raises(WireError) as refused:
        await ours.methods()[FETCH](b"me", {"hash": hash, "at": 0})
    assert refused.value.kind is BAD_REQUEST
    with pytest.raises(WireError) as absent:
        await ours.methods()[FETCH](b"me", {"hash": "ab" * 32, "at": 0})
    assert absent.value.kind is NOT_FOUND
