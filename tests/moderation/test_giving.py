"""Giving out what was drawn: what is read for it, and what is done about nodes that do not answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
import trio
import trio.testing
from folkmoot.node.actors.session import Asker
from folkmoot.node.contracts import PeerUnreachable
from folkmoot.node.moderation.sampling import GIVE, BlindReview, SamplingMethods
from folkmoot.protocol.moderation.bounds import SAMPLE_LOOK_S, SAMPLE_TRIES
from folkmoot.protocol.record import Record
from folkmoot.storage import draws
from folkmoot.storage.draws import NUMBER_BYTES, Drawn

from tests.moderation.decisions import MAX, MO, NODE
from tests.moderation.samples import drawn
from tests.moderation.test_drawing import Commits, desk
from tests.node.people import Author
from tests.storage.making import run

ANN, BEN = Author(2**81), Author(2**81 + 1)


class Casebook:
    """Knows some versions.

    Args:
        versions: they.
    """

    def __init__(self, versions: Sequence[Record]) -> None:
        self._versions = {each.id: each for each in versions}

    async def versions(self, posts: Sequence[tuple[bytes, bytes]], level: str) -> list[Record | None]:
        await trio.lowlevel.checkpoint()
        return [self._versions.get(version) for _, version in posts]


def numbered(number: int, post: Record) -> Drawn:
    draw = drawn(post_item=post.item, version=post.id)
    return Drawn(number.to_bytes(NUMBER_BYTES, "big") + post.key, draw)


def review(posts: Sequence[Record], there: Sequence[Record]) -> BlindReview:
    """The review of a node that drew some posts, some of which are still there."""
    commits = Commits()
    run(commits.store, lambda tx: draws.keep(tx, [numbered(at, post) for at, post in enumerate(posts)]))
    drawing = desk(commits, share=1.0, share_actioned=1.0)
    return BlindReview(drawing, cast(Any, Casebook(there)), NODE, cast(Any, None))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The keys of the rows that were read, as they are."""
    made: list[bytes] = []
    read = draws._read

    def counted(at: bytes, row: bytes) -> Drawn | None:
        made.append(at)
        return read(at, row)

    monkeypatch.setattr(draws, "_read", counted)
    return made


async def test_what_is_not_given_is_not_read(reads: list[bytes]) -> None:
    posts = [ANN.post(f"number {number}") for number in range(70)]
    posts[:10] = [BEN.post(f"own {number}") for number in range(10)]
    made = review(posts, posts)
    passing = None
    for _ in range(30):
        given = await made.give(BEN.account, passing)
        assert given is not None
        passing = given["at"]
    reads.clear()
    given = await made.give(BEN.account, passing)
    assert given is not None and Record.from_wire(given["post"]).id == posts[40].id, "neither own nor passed"
    assert reads == [given["at"]]
    reads.clear()
    given = await made.give(MO.account, None)
    assert given is not None and Record.from_wire(given["post"]).id == posts[0].id
    for _ in range(9):
        given = await made.give(MO.account, given["at"])
        assert given is not None
    given = await made.give(MO.account, given["at"])
    assert given is not None and Record.from_wire(given["post"]).id == posts[41].id, "others were given those"
    assert len(reads) == 11


async def test_what_is_gone_is_passed_over_in_one_go(reads: list[bytes]) -> None:
    posts = [ANN.post(f"number {number}") for number in range(SAMPLE_TRIES + 2)]
    made = review(posts, posts[-1:])
    assert await made.give(MO.account, None) is None, "not all in one go"
    assert len(reads) == SAMPLE_TRIES
    given = await made.give(MAX.account, None)
    assert given is not None and Record.from_wire(given["post"]).id == posts[-1].id
    assert len(reads) == SAMPLE_TRIES + 2


class Peers:
    """Other nodes, by their ids: what each answers, or None for one that does not."""

    def __init__(self, answers: Mapping[bytes, Any]) -> None:
        self._answers = answers
        self.asked: list[bytes] = []

    async def call(self, node_id: bytes, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        assert method == GIVE
        self.asked.append(node_id)
        answer = self._answers[node_id]
        if answer is not None:
            await trio.lowlevel.checkpoint()
            return answer
        with trio.move_on_after(timeout_s):
            await trio.sleep_forever()
        raise PeerUnreachable("no answer in time")


class Everybody:
    """All may review."""

    def reviewers_only(self, asker: Asker, what: str) -> bytes:
        assert asker.account is not None
        return asker.account


def methods(peers: Peers, *others: bytes) -> SamplingMethods:
    """What a node answers that has nothing itself."""
    unused = cast(Any, None)
    asked = cast(Any, Casebook([])), cast(Any, Everybody()), lambda: others, peers, unused, unused
    return SamplingMethods(bytes(16), review([], []), *asked, lambda: ["rude"])


async def sampled(methods: SamplingMethods) -> Any:
    """The version that is given out, or None."""
    return (await methods.sample(Asker("192.0.2.1", bytes(32), account=MO.account), {}))["post"]


async def test_an_answer_that_cannot_be_read_is_told_and_the_next_node_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd, fine = b"o" * 16, b"f" * 16
    given = {"at": b"row", "account": NODE.account, "id": bytes(32), "drawn_us": 1, "post": "the post"}
    peers = Peers({odd: {"given": {**given, "id": 7}}, fine: {"given": given}})
    with caplog.at_level(logging.INFO):
        assert await sampled(methods(peers, odd, fine)) == "the post"
    assert f"node {odd.hex()[:8]} gives nothing to look at" in caplog.text


async def test_nodes_that_do_not_answer_are_asked_for_so_long_in_all(
    autojump_clock: trio.testing.MockClock,
) -> None:
    silent = [bytes((number,)) * 16 for number in range(1, 9)]
    peers = Peers(dict.fromkeys(silent))
    began = trio.current_time()
    assert await sampled(methods(peers, *silent)) is None
    assert trio.current_time() - began == SAMPLE_LOOK_S
    assert peers.asked == silent[:2]
