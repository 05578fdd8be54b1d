"""The coordinator: whom it asks, what it makes of each refusal, and who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.actors.coordinator import Coordinator
from folkmoot.node.contracts import (
    Coverage,
    PeerUnreachable,
    Put,
    PutResult,
    Settle,
)
from folkmoot.node.routing import Router
from folkmoot.protocol import errors, limits
from folkmoot.protocol.errors import ErrorKind, WireError
from folkmoot.protocol.key import lane_of
from folkmoot.protocol.ring.levels import Level

from tests.node.doubles import Answer, Everybody, Lanes, ScriptedPeers, Unasked, everyone
from tests.node.people import Author

HERE, FIRST, SECOND, THIRD = (bytes((number,)) * 16 for number in (1, 2, 3, 4))


class OwnReplica(Unasked):
    """This node's replica: it keeps everything."""

    async def put(self, puts: Sequence[Put], level: Level, region: str, settle: Settle) -> None:
        stored = PutResult("stored", Coverage((), frozenset({HERE}), region), changed=True)
        settle(dict.fromkeys(range(len(puts)), stored))


def kept_by(*nodes: bytes) -> Answer:
    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        return {"coverages": [list(nodes)], "results": [["stored", 0, None, True]] * len(params["puts"])}

    return answer


def fails(error: Exception) -> Answer:
    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        raise error

    return answer


def asked_in_turn(*answers: Answer) -> Answer:
    """The first time the first, and so on."""
    left = list(answers)

    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        return await left.pop(0)(method, params)

    return answer


def held(until: trio.Event, then: Answer) -> Answer:
    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        await until.wait()
        return await then(method, params)

    return answer


def coordinator(
    answers: Mapping[bytes, Answer], topology: Lanes, liveness: Everybody | None = None
) -> tuple[Coordinator, ScriptedPeers]:
    peers = ScriptedPeers(answers)
    router = Router(HERE, "eu", topology, liveness or Everybody(), everyone)
    return Coordinator(router, topology, peers, OwnReplica()), peers


def everywhere(lane: int) -> tuple[bytes, ...]:
    return (FIRST, SECOND)


async def outcome(
    answers: Mapping[bytes, Answer], topology: Lanes | None = None
) -> tuple[PutResult, list[bytes]]:
    """What becomes of one post, and who was asked."""
    asked, peers = coordinator(answers, topology or Lanes(everywhere))
    results: dict[int, PutResult] = {}
    await asked.put([Put(Author(1).post())], "one", results.update)
    return results[0], [node_id for node_id, _ in peers.calls]


async def test_the_first_that_takes_it_is_enough() -> None:
    result, asked = await outcome({FIRST: kept_by(FIRST), SECOND: kept_by(SECOND)})
    assert (result.status, asked) == ("stored", [FIRST])
    assert result.coverage is not None and result.coverage.acks == {FIRST}


@pytest.mark.parametrize(
    "error",
    [
        PeerUnreachable("it went away"),
        *(WireError(kind, "not now") for kind in (errors.BUSY, errors.DISK_FULL, errors.SHUTTING_DOWN)),
        *(WireError(kind, "who knows") for kind in (errors.TIMEOUT, errors.INTERNAL)),
    ],
    ids=repr,
)
async def test_one_that_cannot_is_passed_over(error: Exception) -> None:
    result, asked = await outcome({FIRST: fails(error), SECOND: kept_by(SECOND)})
    assert (result.status, asked) == ("stored", [FIRST, SECOND])


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BUSY, "refused"),
        (errors.DISK_FULL, "refused"),
        (errors.SHUTTING_DOWN, "refused"),
        (errors.TIMEOUT, "uncertain"),
        (errors.INTERNAL, "uncertain"),
    ],
    ids=str,
)
async def test_what_nobody_took_is_refused_only_when_that_is_certain(kind: ErrorKind, status: str) -> None:
    refusal = fails(WireError(kind, "no"))
    result, asked = await outcome({FIRST: refusal, SECOND: refusal})
    assert (result.status, asked) == (status, [FIRST, SECOND])
    assert result.error is not None
    assert result.error["name"] == (kind.name if status == "refused" else "level_unreachable")


STALE = WireError(errors.STALE_TOPOLOGY, "the range changed hands during the put").to_wire()


async def changed_hands(method: str, params: Mapping[str, Any]) -> Any:
    """The replica kept the record, and then the slots were others."""
    return {"coverages": [[FIRST]], "results": [["refused", 0, STALE, True]]}


async def test_what_one_kept_before_the_slots_changed_is_not_called_refused() -> None:
    """It is on a disk: nobody may say that it is not."""
    busy = fails(WireError(errors.BUSY, "not now"))  # by itself a refusal that keeps nothing
    answers = {FIRST: asked_in_turn(changed_hands, busy), SECOND: busy}
    result, asked = await outcome(answers)
    assert (result.status, asked) == ("uncertain", [FIRST, FIRST, SECOND])


async def test_what_one_try_stored_is_no_duplicate_in_the_next() -> None:
    async def has_it(method: str, params: Mapping[str, Any]) -> Any:
        return {"coverages": [[FIRST]], "results": [["duplicate", 0, None, False]]}

    topology = Lanes(everywhere)
    result, _ = await outcome({FIRST: asked_in_turn(changed_hands, has_it)}, topology)
    assert (result.status, result.changed, topology.refreshed) == ("stored", True, [FIRST])


async def test_only_who_knows_newer_epochs_is_caught_up_with() -> None:
    topology = Lanes(everywhere)
    gone = fails(PeerUnreachable("it went away"))
    await outcome({FIRST: asked_in_turn(changed_hands, gone), SECOND: gone}, topology)
    assert topology.refreshed == [FIRST]


async def test_a_record_that_one_cannot_keep_goes_to_another_alone() -> None:
    """A damaged cell there concerns that record, and nothing else of the message."""

    async def damaged(method: str, params: Mapping[str, Any]) -> Any:
        refusal = WireError(errors.INTERNAL, "damaged").to_wire()
        return {
            "coverages": [[FIRST]],
            "results": [["refused", -1, refusal, False], ["stored", 0, None, True]],
        }

    asked, peers = coordinator({FIRST: damaged, SECOND: kept_by(SECOND)}, Lanes(everywhere))
    results: dict[int, PutResult] = {}
    await asked.put([Put(Author(1).post()), Put(Author(2).post())], "one", results.update)
    acks = [result.coverage.acks if result.coverage else None for _, result in sorted(results.items())]
    assert acks == [frozenset({SECOND}), frozenset({FIRST})]
    assert [node_id for node_id, _ in peers.calls] == [FIRST, SECOND]


async def test_one_doubt_makes_it_uncertain() -> None:
    """The first may have kept it, whatever the second says."""
    answers = {FIRST: fails(PeerUnreachable("gone")), SECOND: fails(WireError(errors.BUSY, "no"))}
    result, _ = await outcome(answers)
    assert result.status == "uncertain"


async def test_a_record_that_is_wrong_is_not_carried_on() -> None:
    result, asked = await outcome({FIRST: fails(WireError(errors.BAD_SIGNATURE, "forged"))})
    assert (result.status, asked) == ("refused", [FIRST])


async def test_a_stale_epoch_is_caught_up_with_and_asked_again() -> None:
    topology = Lanes(everywhere)
    stale = WireError(errors.STALE_TOPOLOGY, "older than mine")
    epochs: list[Any] = []

    async def answer(method: str, params: Mapping[str, Any]) -> Any:
        epochs.append(params["ranges"][0][1])
        if len(epochs) == 1:
            raise stale
        return await kept_by(FIRST)(method, params)

    result, asked = await outcome({FIRST: answer}, topology)
    assert (result.status, asked, epochs) == ("stored", [FIRST, FIRST], [1, 2])
    assert topology.refreshed == [FIRST]


def authors_of(first: int, second: int) -> tuple[Author, Author]:
    """An author of a lane with this remainder by two, and one of a lane with that."""

    def one(remainder: int, start: int) -> Author:
        return next(
            author
            for author in map(Author, range(start, start + 99))
            if lane_of(author.post().key) % 2 == remainder
        )

    return one(first, 1), one(second, 200)


async def test_those_who_are_answered_do_not_wait_for_those_who_are_not() -> None:
    def nodes_of(lane: int) -> tuple[bytes, ...]:
        return (HERE,) if lane % 2 == 0 else (FIRST, SECOND)

    hanging = trio.Event()
    asked, peers = coordinator(
        {FIRST: held(hanging, fails(PeerUnreachable("gone"))), SECOND: kept_by(SECOND)}, Lanes(nodes_of)
    )
    here, there = authors_of(0, 1)
    results: dict[int, PutResult] = {}
    async with trio.open_nursery() as nursery:
        puts = [Put(there.post()), Put(here.post())]
        nursery.start_soon(asked.put, puts, "one", results.update)
        await trio.testing.wait_all_tasks_blocked()
        assert results.keys() == {1}
        hanging.set()
    assert results[0].status == "stored"
    assert [node_id for node_id, _ in peers.calls] == [FIRST, SECOND]


@pytest.mark.parametrize("suspected", [False, True])
async def test_what_needs_a_suspect_is_asked_for_apart(suspected: bool) -> None:
    """Results of one message come back together, so who may have to wait long travels alone."""

    def nodes_of(lane: int) -> tuple[bytes, ...]:
        return (FIRST,) if lane % 2 == 0 else (FIRST, SECOND)

    liveness = Everybody(suspected=frozenset({SECOND} if suspected else ()))
    asked, peers = coordinator({FIRST: kept_by(FIRST)}, Lanes(nodes_of), liveness)
    one, other = authors_of(0, 1)
    results: dict[int, PutResult] = {}
    await asked.put([Put(one.post()), Put(other.post())], "one", results.update)
    assert {result.status for result in results.values()} == {"stored"}
    assert len(peers.calls) == (2 if suspected else 1)


async def stalled(method: str, params: Mapping[str, Any]) -> Any:
    await trio.sleep_forever()


def never_twice(results: dict[int, PutResult]) -> Settle:
    def settle(told: Mapping[int, PutResult]) -> None:
        assert results.keys().isdisjoint(told), "a put is settled once"
        results.update(told)

    return settle


async def timed(
    answers: Mapping[bytes, Answer], count: int = 1
) -> tuple[list[str], float, list[dict[str, Any]]]:
    """What becomes of posts in one lane, after how many seconds, and the puts that replicas were given."""
    given: list[dict[str, Any]] = []

    def noting(answer: Answer) -> Answer:
        async def noted(method: str, params: Mapping[str, Any]) -> Any:
            given.append(dict(params))
            return await answer(method, params)

        return noted

    asked, _ = coordinator(
        {node: noting(answer) for node, answer in answers.items()}, Lanes(lambda lane: tuple(answers))
    )
    results: dict[int, PutResult] = {}
    author, began = Author(1), trio.current_time()
    puts = [Put(author.post()) for _ in range(count)]
    await asked.put(puts, "one", never_twice(results))
    statuses = [result.status for _, result in sorted(results.items())]
    return statuses, trio.current_time() - began, given


async def test_a_stalled_replica_is_not_waited_out(autojump_clock: trio.testing.MockClock) -> None:
    """The next is given the very same bytes, so that whatever the first still does is the same."""
    statuses, seconds, given = await timed({FIRST: stalled, SECOND: kept_by(SECOND)}, count=3)
    assert statuses == ["stored"] * 3
    assert seconds == pytest.approx(limits.PUT_HEDGE_S)
    first, second = (params["puts"] for params in given)
    assert first == second


async def test_who_was_slow_and_answers_first_after_all_is_believed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(method: str, params: Mapping[str, Any]) -> Any:
        await trio.sleep(2 * limits.PUT_HEDGE_S)
        return await kept_by(FIRST)(method, params)

    statuses, seconds, given = await timed({FIRST: slow, SECOND: stalled})
    assert (statuses, len(given)) == (["stored"], 2)
    assert seconds == pytest.approx(2 * limits.PUT_HEDGE_S)


async def test_a_hedge_that_finds_nobody_leaves_the_answer_to_who_is_still_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(method: str, params: Mapping[str, Any]) -> Any:
        await trio.sleep(3 * limits.PUT_HEDGE_S)
        return await kept_by(FIRST)(method, params)

    answers = {FIRST: slow, SECOND: fails(WireError(errors.BUSY, "no"))}
    statuses, seconds, _ = await timed(answers)
    assert statuses == ["stored"]
    assert seconds == pytest.approx(3 * limits.PUT_HEDGE_S)


async def test_all_who_are_stalled_share_the_time_of_one_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    statuses, seconds, given = await timed({FIRST: stalled, SECOND: stalled, THIRD: stalled})
    assert (statuses, len(given)) == (["uncertain"], 3)
    assert seconds == pytest.approx(limits.REQUEST_TIMEOUT_S)


async def test_only_so_many_messages_are_doubled_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """All wait for one stalled replica; the other, which is slow as well, is not asked everything at once."""
    under_way = most = 0

    async def slow(method: str, params: Mapping[str, Any]) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(0.5)
        under_way -= 1
        return await kept_by(SECOND)(method, params)

    asked, _ = coordinator({FIRST: stalled, SECOND: slow}, Lanes(everywhere))
    results: dict[int, PutResult] = {}
    settle = never_twice(results)
    count = 2 * limits.PUT_HEDGES_UNDER_WAY

    async def put(number: int) -> None:
        await asked.put([Put(Author(number + 1).post())], "one", lambda told: settle({number: told[0]}))

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(put, number)
    assert [result.status for result in results.values()] == ["stored"] * count
    assert most == limits.PUT_HEDGES_UNDER_WAY
