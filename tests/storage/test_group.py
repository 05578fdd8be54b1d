"""Group commit: what is in a group, what happens to the rest when one fails, what a full disk refuses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from folkmoot.protocol.limits import KIB
from folkmoot.protocol.record import Record
from folkmoot.storage import transaction as transaction_module
from folkmoot.storage.errors import CommitFailed, DiskFull, StoreCorrupt
from folkmoot.storage.group import Completion, Job, commit_group
from folkmoot.storage.interface import Engine
from folkmoot.storage.memory_engine import MemoryEngine, MemoryTransaction
from folkmoot.storage.outcomes import PutStatus
from folkmoot.storage.store import Store
from folkmoot.storage.transaction import Admission, WriteTransaction
from folkmoot.storage.verify import verify

from tests.storage.conftest import Engines
from tests.storage.making import (
    ABSENT,
    NOW_US,
    cells_of,
    damage_sums,
    deletion,
    open_store,
    person,
    post,
    put,
    reaction,
    run,
)

ANN = person(1)


def job(act: Callable[[WriteTransaction], Any], admission: Admission = Admission.CLIENT_PUT) -> Job:
    return Job(act, admission, lambda result, error: None)


def putting(number: int) -> Job:
    return job(lambda tx: tx.put_record(post(ANN, number)).status)


def liking(number: int) -> Job:
    return job(lambda tx: tx.put_record(reaction("like", person(2), ANN, number)).status)


def failing(number: int) -> Job:
    def act(tx: WriteTransaction) -> None:
        tx.put_record(post(ANN, number))
        raise RuntimeError(str(number))

    return job(act)


def test_many_jobs_are_one_commit_and_one_sync(engine: Engine, store: Store) -> None:
    before = engine.commits
    completions = commit_group(store, [putting(number) for number in range(200)])
    assert engine.commits == before + 1
    assert [completion.result for completion in completions] == [PutStatus.STORED] * 200
    assert len(cells_of(store)) == 200


def test_jobs_see_what_earlier_jobs_of_the_group_did(store: Store) -> None:
    statuses = [completion.result for completion in commit_group(store, [putting(1), putting(1)])]
    assert statuses == [PutStatus.STORED, PutStatus.DUPLICATE]


@pytest.mark.parametrize("failures", [[0], [2], [4], [0, 4], [1, 2, 3], [0, 1, 2, 3, 4], list(range(12))])
def test_a_job_that_raises_takes_nobody_along(store: Store, failures: list[int]) -> None:
    size = max(5, len(failures) + 2)
    jobs = [failing(number) if number in failures else putting(number) for number in range(size)]
    completions = commit_group(store, jobs)
    for number, (completed, result, error) in enumerate(completions):
        assert completed is jobs[number]
        if number in failures:
            assert (result, str(error)) == (None, str(number))
        else:
            assert (result, error) == (PutStatus.STORED, None)
    assert set(cells_of(store)) == {post(ANN, number).key for number in range(size) if number not in failures}
    assert verify(store.engine).ok


def test_an_empty_group(store: Store) -> None:
    assert commit_group(store, []) == []


def fill(store: Store, admission: Admission) -> int:
    """Write posts until this class of writes is refused; how many went in."""
    for number in range(10_000):
        try:
            put(store, post(ANN, number, "x" * 2000), admission=admission)
        except DiskFull as full:
            assert full.to_wire_error().kind.name == "disk_full"
            return number
    raise AssertionError("the cap refused nothing")


def test_the_disk_cap_refuses_by_class_and_deletions_last(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=768 * KIB))
    clients = fill(store, Admission.CLIENT_PUT)
    assert 0.8 < store.usage().fraction < 0.95
    peers = fill(store, Admission.PEER_JOIN)
    essential = fill(store, Admission.ESSENTIAL)
    assert clients < peers < essential
    assert store.usage().fraction <= 1.0
    with pytest.raises(DiskFull):
        put(store, post(ANN, 9999, "x" * 2000))
    # A deletion makes room whatever the class, and what is already there is still recognised.
    assert put(store, deletion(ANN, 1))[0].status is PutStatus.STORED
    assert put(store, post(ANN, 2, "x" * 2000))[0].status is PutStatus.DUPLICATE
    for number in range(essential):
        assert put(store, deletion(ANN, number, stamp=3))[0].status in (
            PutStatus.STORED,
            PutStatus.DUPLICATE,
            PutStatus.ABSORBED,
        )
    assert put(store, post(ANN, 9999, "x" * 2000))[0].status is PutStatus.STORED
    assert verify(store.engine).ok


def fill_with_deletions(store: Store) -> int:
    """Delete what never was, by ever new accounts, until that is refused; how many went in."""
    for number in range(10_000):
        try:
            put(store, *(deletion(person(1000 + 20 * number + i), 1) for i in range(20)))
        except DiskFull:
            return number
    raise AssertionError("the cap refused nothing")


def fill_with_hints(store: Store) -> None:
    """Leave hints until they are dropped."""

    def leave(tx: WriteTransaction, number: int) -> None:
        for i in range(100):
            tx.hint(ABSENT, b"%d" % (100 * number + i), NOW_US)

    for number in range(1000):
        run(store, partial(leave, number=number), admission=Admission.ESSENTIAL)
        if store.hints_dropped:
            return
    raise AssertionError("the cap dropped nothing")


def test_deletions_of_nothing_and_hints_leave_the_last_room_to_others(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=768 * KIB))
    posts = [post(ANN, number) for number in range(40)]
    put(store, *posts)
    run(store, lambda tx: tx.meta_put("incarnation", b"7"))
    assert fill_with_deletions(store) > 10
    assert store.usage().fraction < 0.95
    fill_with_hints(store)
    assert store.usage().fraction < 0.98
    # To delete what is there is accepted until 98 %, even where the cell grows by what the deletion has seen.
    seen = {person(2000 + i).account: NOW_US for i in range(15)}
    gone = 0
    with pytest.raises(DiskFull):
        for number in range(len(posts)):
            put(store, deletion(ANN, number, seen=seen))
            gone += 1
    assert 0 < gone < len(posts)
    assert put(store, deletion(ANN, gone))[0].status is PutStatus.STORED
    # Whatever the disk is like, a node can say who it is, and starts again.
    run(store, lambda tx: tx.meta_put("incarnation", b"8"), admission=Admission.ESSENTIAL)
    run(store, lambda tx: tx.meta_put("topology", b"t" * 10_000), admission=Admission.ESSENTIAL)
    again = open_store(engines.reopen(store.engine))
    assert (again.meta_get("incarnation"), again.meta_get("topology")) == (b"8", b"t" * 10_000)
    run(again, lambda tx: tx.meta_put("incarnation", b"999"), admission=Admission.ESSENTIAL)
    assert verify(again.engine).ok


def test_a_kept_hint_is_renewed_on_a_full_disk(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=512 * KIB))
    run(store, lambda tx: tx.hint(ABSENT, b"kept", NOW_US))
    fill(store, Admission.ESSENTIAL)
    assert run(store, lambda tx: tx.hint(ABSENT, b"kept", NOW_US)) == [True]
    assert run(store, lambda tx: tx.hint(ABSENT, b"new", NOW_US)) == [False]
    assert store.hint_states()[ABSENT].waiting == 1


def test_named_values_are_bounded_by_their_growth(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_module, "STORE_META_BYTES", 1000)
    run(store, lambda tx: tx.meta_put("one", b"x" * 500))
    with pytest.raises(DiskFull):
        run(store, lambda tx: tx.meta_put("two", b"x" * 500))
    run(store, lambda tx: tx.meta_put("one", b"y" * 500))
    run(store, lambda tx: tx.meta_put("one", b"z"))
    run(store, lambda tx: tx.meta_put("two", b"x" * 500))
    assert store.meta_get("one") == b"z" and store.meta_get("two") == b"x" * 500


def test_a_store_warns_before_it_refuses(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=512 * KIB))
    assert not store.usage().warn
    fill(store, Admission.CLIENT_PUT)
    assert store.usage().warn


def test_one_refused_record_leaves_the_others_of_its_job(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=512 * KIB))
    fill(store, Admission.CLIENT_PUT)

    def act(tx: WriteTransaction) -> list[bool]:
        def accepted(record: Record) -> bool:
            try:
                tx.put_record(record)
            except DiskFull:
                return False
            return True

        return [accepted(post(ANN, 9999, "x" * 2000)), accepted(deletion(ANN, 1))]

    assert run(store, act) == [[False, True]]
    assert post(ANN, 9999).key not in cells_of(store)


def test_a_full_map_fails_the_group_that_filled_it(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=4096 * KIB, map_bytes=512 * KIB))
    put(store, post(ANN, 0))

    def flood(tx: WriteTransaction) -> None:
        for number in range(1, 500):
            tx.put_record(post(ANN, number, "x" * 3000))

    completions = commit_group(store, [job(flood), putting(1000)])
    assert isinstance(completions[0].error, DiskFull)
    assert completions[1].result is PutStatus.STORED
    assert set(cells_of(store)) == {post(ANN, 0).key, post(ANN, 1000).key}
    assert verify(store.engine).ok


def test_a_full_map_that_a_job_does_not_notice(engines: Engines) -> None:
    store = open_store(engines.make(cap_bytes=4096 * KIB, map_bytes=512 * KIB))

    def flood(tx: WriteTransaction) -> int:
        for number in range(1, 500):
            try:
                tx.put_record(post(ANN, number, "x" * 3000))
            except DiskFull:
                return number
        return 0

    completions = commit_group(store, [putting(1000), job(flood)])
    assert [type(completion.error) for completion in completions] == [DiskFull, DiskFull]
    assert cells_of(store) == {}
    assert put(store, post(ANN, 0))[0].status is PutStatus.STORED


def test_a_failed_commit_is_not_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(MemoryEngine())

    def fail(transaction: MemoryTransaction) -> None:
        raise CommitFailed("the disk said no")

    monkeypatch.setattr(MemoryTransaction, "commit", fail)
    with pytest.raises(CommitFailed, match="the disk said no"):
        commit_group(store, [putting(1)])


def test_damage_outside_of_the_jobs_is_a_failed_commit(store: Store) -> None:
    damage_sums(store)
    with pytest.raises(CommitFailed, match=r"StoreCorrupt: .* of table blocks") as failed:
        commit_group(store, [putting(2), liking(1)])
    assert isinstance(failed.value.__cause__, StoreCorrupt)


def test_a_store_that_cannot_be_written_is_a_failed_commit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*, write: bool = False) -> None:
        raise OSError("no such luck")

    monkeypatch.setattr(store, "_engine", SimpleNamespace(begin=fail))
    with pytest.raises(CommitFailed, match="no such luck"):
        commit_group(store, [putting(1)])


def test_completions_tell_whoever_asked(store: Store) -> None:
    told: list[tuple[Any, BaseException | None]] = []
    asked = Job(lambda tx: 7, Admission.ESSENTIAL, lambda result, error: told.append((result, error)))
    error = ValueError()
    Completion(asked, 7, None).tell()
    Completion(asked, None, error).tell()
    assert told == [(7, None), (None, error)]
