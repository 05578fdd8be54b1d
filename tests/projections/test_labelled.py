"""Reading what labellers say about posts that have more labels than they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any, cast

import trio
from folkmoot.node.projections.labelled import Labelled
from folkmoot.node.projections.posts import Ref
from folkmoot.protocol.moderation.bounds import LABELLED_STEP

from tests.node.people import Author

ANN, FAY = Author(1), Author(4)


class Store(trio.abc.Instrument):
    """Has no labels, and notes in which turn of a task each look for them was."""

    def __init__(self) -> None:
        self._turns = 0
        self.looks: list[int] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._turns += 1

    def labels_by(self, key: bytes, labellers: Collection[bytes]) -> list[bytes]:
        self.looks.append(self._turns)
        return []


class Own:
    """All posts are this node's."""

    def divided(self, keys: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        return list(keys), []


async def test_others_have_their_turn_while_labels_are_read() -> None:
    store, unused = Store(), cast(Any, None)
    asked = cast(Any, store), unused, lambda: cast(Any, None), unused, unused, cast(Any, Own())
    labelled = Labelled(*asked, lambda: ())
    posts = {
        Ref(ANN.account, number.to_bytes(16, "big")): cast(Any, SimpleNamespace(labels_cut=True, said=[]))
        for number in range(5 * LABELLED_STEP)
    }

    trio.lowlevel.add_instrument(store)
    assert await labelled.heard(posts, [FAY.account], 0) == ({}, set())
    assert len(store.looks) == len(posts)
    assert max(Counter(store.looks).values()) <= LABELLED_STEP
