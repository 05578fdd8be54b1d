"""Members come and go on the command line: what is shown beforehand is what happens, on real nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing
from folkmoot.cli import moving
from folkmoot.cli.cluster import life
from folkmoot.cli.cluster.control import LocalCluster
from folkmoot.cli.durations import span
from folkmoot.cli.errors import describe
from folkmoot.cli.exit_codes import DEGRADED, FAILED, INTERRUPTED, OK, USAGE
from folkmoot.cli.moving import Unwatched, summary, wait_gone, waits_of, watch
from folkmoot.cli.output import Output
from folkmoot.protocol.client import Client
from folkmoot.protocol.errors import TIMEOUT, WireError

from tests.checking.local import NAME, Home, Ran
from tests.waiting import until_blocking

NAMES = {"a" * 32: "eu-1", "b" * 32: "us-1"}


def plan(**given: Any) -> dict[str, Any]:
    """A plan of one move, and what else is given of it."""
    change = {"range": 1, "from": "a" * 32, "to": "b" * 32}
    nodes = {"a" * 32: {"gets": 0, "gives": 1}, "b" * 32: {"gets": 1, "gives": 0}}
    told = {
        "ranges": 1,
        "count": 1,
        "changes": [change],
        "nodes": nodes,
        "blocked": [],
        "waits": [],
        "fewer": "",
    }
    size = {"cells": 1200, "bytes": 2_500_000, "unknown": 0, "eta_s": 14.2, "eta_assumed": False}
    return {**told, **size, **given}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, "about 1,200 cells (2.5 MB) to copy, about 14 s (as it went so far)", id="known"),
        pytest.param({"eta_assumed": True}, "(assumed: nothing has moved yet)", id="assumed"),
        pytest.param({"unknown": 2}, "(2.5 MB) and 2 ranges of which nobody tells to copy", id="unknown"),
        pytest.param(
            {"handed": 7}, "to copy, 7 copies to hand on before they are dropped, about", id="handed"
        ),
    ],
)
def test_a_plan_is_told_with_its_size_and_its_time(given: dict[str, Any], expected: str) -> None:
    lines = summary(plan(**given), NAMES)
    assert expected in lines[1]
    assert lines[2:] == ["eu-1 gives 1", "us-1 gets 1"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0, "under 1 s"), (1.2, "1 s"), (119.0, "119 s"), (150.0, "2 min"), (7200.0, "2.0 h")],
)
def test_a_span_is_as_exact_as_an_estimate(seconds: float, told: str) -> None:
    assert span(seconds) == told


class Answers:
    """A client to whom plans are told one after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "ring.plan"
        return self._answers.pop(0)


def told(count: int, **done: int) -> dict[str, Any]:
    """An answer to `ring.plan`: changes left, and how many each node has made since it started."""
    progress = {
        node: {"done": made, "left": 0, "running": {}, "cells": 10 * made, "bytes": made, "stuck": {}}
        for node, made in done.items()
    }
    return {"plan": plan(count=count), "progress": progress}


async def test_who_tells_late_how_far_it_is_has_not_done_it_all_just_now(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A busy node may not answer the first time; what it did in its life is not what was asked for."""
    client = Answers(told(3, one=5), told(1, one=6, late=40), told(0, one=7, late=41))
    came = await watch(cast(Client, client), Output(as_json=True), told(0, one=5))
    assert (came["made"], came["left"], came["cells"]) == (3, 0, 30)


def stuck(count: int, **reasons: str) -> dict[str, Any]:
    """An answer in which one node says why ranges do not move."""
    answer = told(count, one=0)
    answer["progress"]["one"]["stuck"] = reasons
    return answer


AWAY = {"node": "b" * 32, "ranges": [4, 5], "reason": "us-1 is dead, and 2 ranges cannot move without it"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param({"plan": plan(waits=[AWAY])}, [AWAY["reason"]], id="for a node"),
        pytest.param(stuck(1, **{"7": "full"}), ["range 7 waits: full"], id="for what a node says"),
        pytest.param(
            stuck(2, **{"7": "full", "8": "full"}), ["2 ranges wait: full"], id="once for all alike"
        ),
        pytest.param({"plan": plan()}, ["nothing has moved for 30 s, and no node says why"], id="unknown"),
    ],
)
async def test_watching_ends_when_nothing_moves_and_says_why(
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
    answer: dict[str, Any],
    said: list[str],
) -> None:
    client = Answers(*[{"progress": {}, **answer}] * 100)
    came = await watch(cast(Client, client), Output(as_json=False))
    assert 30 <= trio.current_time() < 32
    assert len(came["reasons"]) == len(said)
    assert all(reason.startswith(start) for reason, start in zip(came["reasons"], said, strict=True))
    assert came["left"] > 0
    noted = capsys.readouterr().err
    assert noted.count(said[0]) == (0 if "no node" in said[0] else 1)


async def test_what_was_waited_for_and_is_done_is_no_reason(autojump_clock: trio.testing.MockClock) -> None:
    client = Answers(stuck(1, **{"7": "full"}), stuck(0, **{"7": "full"}))
    came = await watch(cast(Client, client), Output(as_json=False))
    assert (came["left"], came["reasons"]) == (0, [])


def test_what_a_node_says_of_a_range_that_waits_for_another_is_left_out() -> None:
    answer = stuck(2, **{"4": "us-1 did not fence", "9": "full"})
    answer["plan"]["waits"] = [AWAY]
    assert waits_of(answer) == [AWAY["reason"], "range 9 waits: full"]


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        pytest.param(
            {"leftovers": 2, "leftovers_reason": "us-1 is silent", "seat": True}, "of 2 ranges", id="rest"
        ),
        pytest.param({"leftovers": 0, "leftovers_reason": "", "seat": True}, "it holds a seat", id="seat"),
        pytest.param({"leftovers": 0, "leftovers_reason": "", "seat": False}, "its last step", id="step"),
        pytest.param(None, "it does not answer", id="silent"),
    ],
)
async def test_what_keeps_a_leaver_on_the_roster_is_told_in_the_end(
    autojump_clock: trio.testing.MockClock, progress: dict[str, Any] | None, said: str
) -> None:
    class Kept:
        async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
            if method == "cluster.status":
                return {"nodes": [{"id": "a" * 32, "name": "eu-1", "member": True}]}
            return {"progress": {} if progress is None else {"a" * 32: progress}}

    [reason] = await wait_gone(cast(Client, Kept()), "a" * 32)
    assert 30 <= trio.current_time() < 32
    assert f"eu-1 has no range any more and is still on the roster: {said}" in reason


async def test_watching_goes_on_as_long_as_anything_moves(autojump_clock: trio.testing.MockClock) -> None:
    slow = [told(2, one=done // 50) for done in range(0, 400)]
    came = await watch(cast(Client, Answers(*slow, told(0, one=9))), Output(as_json=True))
    assert came["left"] == 0 and not came["reasons"]
    assert trio.current_time() > 150


@pytest.mark.parametrize(
    ("error", "code"),
    [(WireError(TIMEOUT, "no answer to ring.plan"), DEGRADED), (KeyboardInterrupt(), INTERRUPTED)],
)
@pytest.mark.parametrize("is_agreed", [True, False])
def test_what_is_agreed_upon_is_told_though_it_could_not_be_watched(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, is_agreed: bool
) -> None:
    class Node:
        """Agrees to whatever it is asked, and then answers nothing more; or not even that."""

        async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
            if method == "cluster.status":
                return {"nodes": []}
            if params.get("dry_run"):
                return {"epoch": 6, "changed": True, "plan": plan()}
            if method == "node.drain" and is_agreed:
                return {"epoch": 7, "changed": True, "plan": plan()}
            if method == "ring.plan" and is_agreed and not asked:
                asked.append(method)
                return {"epoch": 6, "plan": plan(), "progress": {}}
            raise error

    asked: list[str] = []
    monkeypatch.setattr(moving, "converse", lambda target, talk, **_: trio.run(talk, Node()))
    with pytest.raises((Unwatched, type(error))) as caught:
        moving.carry_out(
            cast(Any, None), None, Output(as_json=True), "node.drain", {}, dry_run=False, wait=True
        )
    failure = describe(caught.value)
    assert failure is not None and failure.exit_code == code
    assert isinstance(caught.value, Unwatched) is is_agreed
    if is_agreed:
        assert failure.to_json()["error"]["epoch"] == 7
        assert "is agreed upon, at epoch 7, and goes on by itself" in failure.message


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_what_waits_for_a_killed_node_is_told_and_is_not_watched_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folkmoot: Callable[..., Any]
) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()

    def run(*words: str) -> Ran:
        return home.run(*words, "--cluster", NAME, "--json")

    def watched(*words: str) -> Any:
        """A command that gives up soon: that it waits for 30 s is tried on virtual time."""
        with monkeypatch.context() as impatient:
            impatient.setattr(moving, "STILL_S", 2.0)
            return folkmoot(*words, "--cluster", NAME, "--json")

    def may_fail() -> bool:
        seats = run("seats", "show").json
        return seats["may_fail"] == 1 and not seats["changing"]

    with home.cluster(4) as cluster:
        until_blocking(may_fail, what="seats of which one may fail", within_s=60)
        kill("eu-2", cluster, run)
        left = watched("node", "decommission", "eu-2")
        assert left.code == DEGRADED, left.out + left.err
        [reason] = left.json["reasons"]
        assert reason.startswith("eu-2 is dead") and "folkmoot node replace eu-2" in reason
        for told in (run("ring", "plan"), watched("ring", "rebalance")):
            assert told.code == DEGRADED and reason in told.out
        shown = run("node", "show", "eu-2")
        assert shown.json["waits"] == [reason] and shown.json["gives"] == len(left.json["plan"]["changes"])
        replaced = run("node", "replace", "eu-2")
        assert replaced.code == OK, replaced.out + replaced.err

        assert run("ring", "replicas", "eu=1", "eu=2").code == USAGE
        asked = run("ring", "replicas", "5")
        assert asked.code == DEGRADED and "5 copies asked for, 3 possible: add 2 nodes" in asked.out
        assert run("ring", "plan").code == DEGRADED


def kill(name: str, cluster: LocalCluster, run: Callable[..., Ran]) -> None:
    """Kill a node, and wait until it is taken for dead by whoever is asked."""
    cluster.ask("kill", [name])

    def is_dead() -> bool:
        return bool(run("node", "show", name).json["state"] == "dead")

    until_blocking(is_dead, what=f"{name} to be taken for dead", within_s=60)


def back_from_the_dead(cluster: LocalCluster, run: Callable[..., Ran]) -> None:
    """A node that was given up runs again: it is no replica, and nothing is asked of it."""
    life.up(cluster, 30)
    assert life.set_faults(cluster, []) == [], "it has none to be told of, for it serves nobody"
    shown = run("node", "show", "eu-2").json
    assert (shown["roster"], shown["state"], shown["ranges"]) == ("dead", "alive", 0)
    checked = run("check")
    assert checked.code == OK, checked.out + checked.err
    assert checked.json["passed"] and checked.json["replicas"] == 3 and checked.json["silent"] == []


@pytest.mark.cluster
@pytest.mark.timeout(240)
def test_members_go_and_come_back_and_the_plans_say_what_will_be(tmp_path: Path) -> None:
    home = Home(tmp_path)

    def run(*words: str) -> Ran:
        return home.run(*words, "--cluster", NAME, "--json")

    def ranges() -> dict[str, int]:
        return {node["name"]: node["ranges"] for node in run("ring", "show").json["nodes"]}

    with home.cluster(4) as cluster:
        load = ("--seconds", "1", "--rate", "100", "--batch", "1", "--level", "all")
        assert run("bench", "run", *load).code == OK
        before = ranges()
        dry = run("node", "drain", "eu-2", "--dry-run").json
        assert dry["plan"]["count"] == before["eu-2"] and dry["plan"]["unknown"] == 0
        assert dry["plan"]["cells"] > 0 and dry["plan"]["bytes"] > 0 and dry["plan"]["eta_s"] > 0
        assert ranges() == before, "a dry run moves nothing"

        drained = run("node", "drain", "eu-2")
        assert drained.code == OK, drained.out + drained.err
        assert (drained.json["made"], drained.json["left"]) == (before["eu-2"], 0)
        assert 0 < drained.json["cells"] <= dry["plan"]["cells"], "repair may have brought some"
        assert ranges() == {**before, "eu-1": 64, "eu-2": 0}
        settled = run("ring", "plan").json
        assert settled["plan"]["count"] == 0 and settled["plan"]["eta_s"] == 0

        assert run("node", "join", "eu-2", "--no-wait").code == OK
        joined = run("ring", "rebalance")
        assert joined.code == OK and joined.json["left"] == 0
        assert ranges() == before

        assert run("ring", "replicas", "eu=1", "us=1", "ap=1").code == OK
        assert ranges() == before, "as many copies in every region as there were"
        blocked = run("node", "decommission", "us-1")
        assert blocked.code == FAILED
        assert blocked.json["error"]["name"] == "conflict" and "us" in blocked.json["error"]["message"]
        assert run("node", "drain", "nobody").code == FAILED
        assert run("ring", "replicas", "eu=x").code == USAGE
        too_many = run("ring", "replicas", "eu=3", "us=1", "ap=1", "--dry-run")
        assert too_many.code in (FAILED, DEGRADED), too_many.out

        kill("eu-2", cluster, run)
        replaced = run("node", "replace", "eu-2")
        assert replaced.code == OK, replaced.out + replaced.err
        assert replaced.json["left"] == 0
        after = ranges()
        assert after["eu-1"] == 64 and after.get("eu-2", 0) == 0
        checked = run("check").json
        assert [checked[name] for name in ("lost", "resurrected", "diverged")] == [0, 0, 0]
        back_from_the_dead(cluster, run)
