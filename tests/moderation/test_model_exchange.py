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
from folkmoot.protocol.moderation.bounds import MODEL_CHUNK_BYTES, MODELS_LOOK_S
from folkmoot.protocol.moderation.text.model import TextModel

from tests.moderation.documents import model
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
    """

    def __init__(self, right: ModelExchange, data: bytes) -> None:
        self.asked: list[tuple[bytes, int]] = []
        self._right = right
        self._data = data

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        await trio.lowlevel.checkpoint()
        at = params["at"]
        self.asked.append((node_id, at))
        if node_id == GONE:
            raise PeerUnreachable("no link")
        if node_id == LIAR:  # for ever
            return {"data": b"x" * MODEL_CHUNK_BYTES}
        if node_id == CUT:
            return {"data": self._data[at : at + 100]}
        if node_id == EMPTY:
            raise WireError(NOT_FOUND, "none here")
        return await self._right.methods()[FETCH](b"me", params)


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
        assert engine.scorers.wanted, "there is one already"
        kept(tmp_path / "ours" / "models", read)
        await trio.sleep(MODELS_LOOK_S)
        nursery.cancel_scope.cancel()
    assert engine.problems == []


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
