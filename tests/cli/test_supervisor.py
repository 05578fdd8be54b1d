"""A local cluster's processes: started together, watched, broken one by one, and never leaked."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.cluster.control import ClusterFailed, LocalCluster, NotRunning
from folkmoot.cli.cluster.layout import ClusterDirectory, Shape
from folkmoot.cli.errors import OperatorError
from folkmoot.node.configuration.reading import load

from tests.waiting import until_blocking

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
SHAPE = Shape(nodes=3, regions=("eu", "us"), tls=False)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster(ClusterDirectory(tmp_path / "c"))
    cluster.create("try", SHAPE, STAND_IN)
    yield cluster
    if cluster.directory.exists:
        cluster.down()


def states(described: dict[str, Any]) -> dict[str, str]:
    return {node["name"]: node["state"] for node in described["nodes"]}


def pids(described: dict[str, Any]) -> list[int]:
    return [node["pid"] for node in described["nodes"] if node["pid"]]


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and merely waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def misbehave(cluster: LocalCluster, node: str, how: str) -> None:
    (cluster.directory.data(node).path / "misbehave").write_text(how)


def test_up_describes_nodes_that_listen_and_the_first_is_the_seed(cluster: LocalCluster) -> None:
    described = cluster.up()
    assert states(described) == {"eu-1": "running", "us-1": "running", "eu-2": "running"}
    assert [node["region"] for node in described["nodes"]] == ["eu", "us", "eu"]
    assert all(alive(pid) for pid in [*pids(described), described["supervisor"]])
    first, second, third = described["nodes"]
    assert first["id"] == cluster.directory.data("eu-1").node_id()
    assert "seeds []" in cluster.directory.log_file("eu-1").read_text()
    for node in (second, third):
        assert f"seeds ['{first['peers']}'" in cluster.directory.log_file(node["name"]).read_text()


def test_down_leaves_no_process_and_can_be_repeated(cluster: LocalCluster) -> None:
    described = cluster.up()
    cluster.down()
    assert not any(alive(pid) for pid in pids(described))
    until_blocking(lambda: not alive(described["supervisor"]), what="the supervisor's end")
    cluster.down()
    with pytest.raises(NotRunning, match="cluster try is not running"):
        cluster.ask("status")


def test_up_again_brings_back_what_is_missing(cluster: LocalCluster) -> None:
    before = cluster.up()
    cluster.ask("kill", ["us-1"])
    after = cluster.up()
    assert states(after) == dict.fromkeys(("eu-1", "us-1", "eu-2"), "running")
    assert pids(after)[0] == pids(before)[0]
    assert pids(after)[1] != pids(before)[1]


def test_kill_pause_resume_restart(cluster: LocalCluster) -> None:
    before = cluster.up()
    described = cluster.ask("kill", ["us"])
    assert states(described) == {"eu-1": "running", "us-1": "stopped", "eu-2": "running"}
    assert described["nodes"][1]["exit_code"] == -signal.SIGKILL
    assert states(cluster.ask("pause", ["eu-2"]))["eu-2"] == "paused"
    stat = Path(f"/proc/{before['nodes'][2]['pid']}/stat")
    until_blocking(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what="the stop")
    assert states(cluster.ask("resume", ["eu-2"]))["eu-2"] == "running"
    cluster.ask("pause", ["eu-2"])
    restarted = cluster.ask("restart", ["all"])
    assert states(restarted) == dict.fromkeys(("eu-1", "us-1", "eu-2"), "running")
    assert not set(pids(restarted)) & set(pids(before))


def test_a_node_that_ends_by_itself_is_seen(cluster: LocalCluster) -> None:
    described = cluster.up()
    os.kill(described["nodes"][0]["pid"], signal.SIGKILL)
    until_blocking(lambda: states(cluster.ask("status"))["eu-1"] == "stopped", what="the end to be seen")


def test_nodes_die_with_their_supervisor(cluster: LocalCluster) -> None:
    described = cluster.up()
    os.kill(described["supervisor"], signal.SIGKILL)
    until_blocking(lambda: not any(alive(pid) for pid in pids(described)), what="the nodes' end")
    assert not cluster.running()
    assert states(cluster.up()) == dict.fromkeys(("eu-1", "us-1", "eu-2"), "running")


def test_a_terminated_supervisor_stops_its_nodes(cluster: LocalCluster) -> None:
    described = cluster.up()
    os.kill(described["supervisor"], signal.SIGTERM)
    until_blocking(lambda: not alive(described["supervisor"]), what="the supervisor's end")
    assert not any(alive(pid) for pid in pids(described))


def test_a_cluster_whose_directory_disappears_ends(cluster: LocalCluster) -> None:
    described = cluster.up()
    cluster.directory.delete()
    everyone = [*pids(described), described["supervisor"]]
    until_blocking(lambda: not any(alive(pid) for pid in everyone), what="the end of all")


@pytest.mark.parametrize("node", ["eu-1", "us-1"])
def test_a_node_that_cannot_start_is_reported_with_its_log(cluster: LocalCluster, node: str) -> None:
    misbehave(cluster, node, "fail")
    with pytest.raises(ClusterFailed, match=rf"{node} ended with exit code 7(?s:.*)the disk is on fire"):
        cluster.up()


def test_a_node_that_never_listens_runs_into_the_deadline(cluster: LocalCluster) -> None:
    misbehave(cluster, "eu-2", "hang")
    with pytest.raises(ClusterFailed, match=r"eu-2 did not listen within 4 s"):
        cluster.up(deadline_s=4.0)


def test_a_stubborn_node_is_killed(cluster: LocalCluster) -> None:
    misbehave(cluster, "eu-1", "stubborn")
    described = cluster.up()
    os.kill(described["nodes"][0]["pid"], signal.SIGTERM)
    assert alive(described["nodes"][0]["pid"])
    cluster.ask("kill", ["eu-1"])
    assert not alive(described["nodes"][0]["pid"])


def test_a_second_supervisor_is_refused(cluster: LocalCluster) -> None:
    cluster.up()
    with pytest.raises(ClusterFailed, match="another supervisor runs"):
        cluster._start_supervisor()


def test_clusters_stand_side_by_side_in_deep_directories(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    clusters = [LocalCluster(ClusterDirectory(deep / name)) for name in ("one", "two")]
    try:
        ports = set()
        for name, each in zip(("one", "two"), clusters, strict=True):
            each.create(name, Shape(nodes=2, regions=("eu",), tls=False), STAND_IN)
            ports |= {node["address"] for node in each.up()["nodes"]}
        assert len(ports) == 4
        clusters[0].down()
        assert states(clusters[1].ask("status")) == {"eu-1": "running", "eu-2": "running"}
    finally:
        for each in clusters:
            each.down()


@pytest.mark.parametrize("request_", [{}, [], 7, {"op": "dance"}, {"op": []}, {"op": "kill", "nodes": 7}])
def test_what_is_not_a_request_is_refused_and_the_supervisor_lives(
    cluster: LocalCluster, request_: Any
) -> None:
    cluster.up()
    assert "not a request" in cluster._exchange(request_, 5)["error"]
    assert cluster.running()


def test_unknown_nodes_are_named(cluster: LocalCluster) -> None:
    cluster.up()
    with pytest.raises(ClusterFailed, match="no node or region 'ap'"):
        cluster.ask("kill", ["ap"])


def test_a_layout_can_be_started_by_any_node(cluster: LocalCluster) -> None:
    configs = [load(cluster.directory.config_file(node.name)).config for node in cluster.manifest.nodes]
    assert [config.node.name for config in configs] == ["eu-1", "us-1", "eu-2"]
    assert len({config.cluster.founders for config in configs}) == 1
    assert [founder.id for founder in configs[0].cluster.founders] == [
        cluster.directory.data(config.node.name).node_id() for config in configs
    ]
    assert configs[0].operators.accounts == (cluster.directory.operator().account,)
    assert configs[0].cluster.replicas == 3
    assert configs[0].faults.enabled


def test_a_layout_is_never_overwritten(cluster: LocalCluster) -> None:
    with pytest.raises(OperatorError, match="cluster try exists"):
        cluster.create("try", SHAPE, STAND_IN)
