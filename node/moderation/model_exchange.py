"""How models travel: by their hashes, as policies do, in chunks, since one is larger than a message.

A policy in force names its models by their hashes. What of them a node does not have it asks the other
members for, and believes nothing but the hash: a file is written under its name only once it is whole and
right. So an operator puts a model on one node, into `models/` of its data directory, and all that judge by it
have it within half a minute. Until then its scores are unknown, and the policy says what that means. Models
of policies that are not in force are not fetched, and what was fetched in vain is not for a time, or for good
(see `misses`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.moderation.misses import Misses
from folkmoot.node.moderation.scorers import SUFFIX, Scorers, UnusableModel, checked
from folkmoot.protocol import codec
from folkmoot.protocol.errors import NOT_FOUND, WireError
from folkmoot.protocol.moderation.bounds import (
    MODEL_CHUNK_BYTES,
    MODEL_FETCH_S,
    MODELS_KEPT,
    MODELS_LOOK_S,
    POLICY_MODEL_BYTES,
)
from folkmoot.protocol.moderation.policy import Model
from folkmoot.protocol.moderation.text.model import ModelError, TextModel
from msgspec import Meta, Struct

FETCH: Final = "model.fetch"
_PARTIAL: Final = ".partial"
_HERE: Final = b""  # in place of a node where it is this one that cannot keep what others have

Handler = Callable[[bytes, Any], Awaitable[dict[str, Any]]]

log = logging.getLogger(__name__)


class _Fetch(Struct):
    """`model.fetch`: some of the file of the model with a hash, from a place on."""

    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    at: Annotated[int, Meta(ge=0, le=POLICY_MODEL_BYTES)]


class _Chunk(Struct):
    """The answer to `model.fetch`; the last chunk is shorter than the others, or empty."""

    data: Annotated[bytes, Meta(max_length=MODEL_CHUNK_BYTES)]


class Gate(Protocol):
    """Knows which models are wanted."""

    def wanting(self) -> list[Scorers]: ...


class ModelExchange:
    """See the module.

    Args:
        folder: where this node's models lie.
        executor: where files are read and written.
        gate: see there.
        others: the members that can be reached.
        peers: see `contracts`.
    """

    def __init__(
        self,
        folder: Path,
        executor: Executor,
        gate: Gate,
        others: Callable[[], Sequence[bytes]],
        peers: Peers,
    ) -> None:
        self._folder = folder
        self._executor = executor
        self._gate = gate
        self._others = others
        self._peers = peers
        self._misses = Misses()

    def methods(self) -> Mapping[str, Handler]:
        """What other nodes may ask, by name."""
        return {FETCH: self._give}

    async def run(self) -> None:
        """Look for what is wanted, for ever."""
        while True:
            wanting = self._gate.wanting()
            self._misses.keep([model for scorers in wanting for model in scorers.wanted])
            for scorers in wanting:
                for model in scorers.wanted:
                    await self._look_for(model, scorers)
            await trio.sleep(MODELS_LOOK_S)

    async def _look_for(self, model: Model, scorers: Scorers) -> None:
        """Have a model asked from now on, if it is here by now or another node has it."""
        why = self._misses.for_good(model)
        if why is None:
            where = self._folder / f"{model.hash}{SUFFIX}"
            try:
                read = await self._executor.run(partial(_at_hand, model, where))
                if read is None:
                    read = await self._from_others(model, where)
            except UnusableModel as error:
                why = str(error)
                self._misses.give_up(model, why)
            except ModelError as error:
                why = str(error)
            else:
                if read is not None:
                    scorers.take_up(model, read)
                return
        if scorers.tell(model, why):
            log.warning("model %s: %s", model.hash[:12], why)

    async def _from_others(self, model: Model, where: Path) -> TextModel | None:
        """A model from the first node that has it; None where there is nobody who could.

        Raises:
            UnusableModel: it came, and cannot be asked.
            ModelError: it does not come.
        """
        others = self._others()
        if not others:
            return None
        due = self._misses.due(model, others)
        if due and self._misses.due(model, [_HERE]):
            await self._executor.run(partial(_make_sure_of_room, where))
            for node_id in due:
                called = f"{where.name} of node {node_id.hex()[:8]}"
                try:
                    data = await self._fetched(model, node_id, called)
                    if data is None:
                        self._misses.missed(model, node_id)
                        continue
                    read = await self._executor.run(partial(_kept, model, data, where, called))
                except UnusableModel:
                    raise
                except ModelError as error:
                    self._misses.missed(model, node_id, str(error))
                except OSError as error:
                    self._misses.missed(model, _HERE, f"{where} cannot be written: {error.strerror}")
                    break
                else:
                    log.info("model %s came from node %s", model.hash[:12], node_id.hex()[:8])
                    return read
        raise ModelError(self._misses.told(model, [_HERE, *others]))

    async def _fetched(self, model: Model, node_id: bytes, called: str) -> bytes | None:
        """The file of a model, as another node has it, and no more than one may have; None where it has none.

        Raises:
            ModelError: it broke off.
        """
        data = bytearray()
        while len(data) <= POLICY_MODEL_BYTES:
            try:
                asked = {"hash": model.hash, "at": len(data)}
                answer = await self._peers.call(node_id, FETCH, asked, MODEL_FETCH_S)
                chunk = codec.shaped(answer, _Chunk, f"the answer to {FETCH}").data
            except (WireError, PeerUnreachable) as error:
                if data:
                    raise ModelError(f"{called} broke off") from error
                return None
            data += chunk
            if len(chunk) < MODEL_CHUNK_BYTES:
                break
        return bytes(data)

    async def _give(self, node_id: bytes, params: Any) -> dict[str, Any]:
        asked = codec.shaped(params, _Fetch, FETCH)
        where = self._folder / f"{asked.hash}{SUFFIX}"
        data = await self._executor.run(partial(_chunk, where, asked.at))
        if data is None:
            raise WireError(NOT_FOUND, f"this node does not have model {asked.hash[:12]}")
        return {"data": data}


def _chunk(where: Path, at: int) -> bytes | None:
    try:
        with where.open("rb") as stream:
            stream.seek(at)
            return stream.read(MODEL_CHUNK_BYTES)
    except OSError:
        return None


def _at_hand(model: Model, where: Path) -> TextModel | None:
    """A model that is in this node's folder by now; None where it is not, or is damaged.

    Raises:
        UnusableModel: it is there, and cannot be asked.
    """
    try:
        with where.open("rb") as stream:
            return checked(model, stream.read(POLICY_MODEL_BYTES + 1), where)
    except UnusableModel:
        raise
    except (OSError, ModelError):
        return None


def _make_sure_of_room(where: Path) -> None:
    """Look whether one model more may be kept, before it is fetched.

    Raises:
        ModelError: there are too many.
    """
    if sum(1 for _ in where.parent.glob(f"*{SUFFIX}")) >= MODELS_KEPT and not where.exists():
        raise ModelError(f"{where.parent} has {MODELS_KEPT} models: take away what no policy names")


def _kept(model: Model, data: bytes, where: Path, called: str) -> TextModel:
    """Write a model, whole and durably, in place of what may be there.

    Raises:
        ModelError: it is not the one that was meant, or cannot be asked; see `checked`.
        OSError: it cannot be written.
    """
    read = checked(model, data, called)
    where.parent.mkdir(parents=True, exist_ok=True)
    partial_file = where.with_suffix(_PARTIAL)
    with partial_file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    partial_file.replace(where)
    return read
