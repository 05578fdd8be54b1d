"""What commands on local clusters share: making one, waiting until it answers, keeping its faults."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import click
from folkmoot.cli.cluster.control import ClusterFailed, LocalCluster
from folkmoot.cli.cluster.faults import LinkFault, read_faults, wire_links, write_faults
from folkmoot.cli.cluster.layout import Shape, sample_document
from folkmoot.cli.connection import Target, ask
from folkmoot.cli.toml_text import render
from folkmoot.node.configuration.reading import (
    ConfigError,
    LoadedConfig,
    find_setting,
    load,
    parse_text,
    with_id,
)
from folkmoot.node.configuration.setting import SLUG
from folkmoot.node.founding import founding_problems
from folkmoot.protocol.identity import account_from_text

ACQUAINTANCE_POLL_S: Final = 0.05


def parse_shape(
    nodes: int, regions: str, replicas: str | None, tls: bool, assignments: Sequence[str]
) -> Shape:
    """A cluster's shape from the words of a command line.

    Raises:
        click.UsageError: a word is not what it should be.
    """
    names = tuple(regions.split(","))
    for name in names:
        if not re.fullmatch(SLUG, name):
            raise click.UsageError(f"--regions: {name!r} is not a region's name (a-z, 0-9, dashes)")
    if len(set(names)) < len(names):
        raise click.UsageError("--regions names one twice")
    settings = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set wants section.key=value, got {assignment!r}")
        settings.append((key, parse_text(find_setting(key), text)))
    return Shape(nodes, names[:nodes], _parse_replicas(replicas), tls, tuple(settings))


def _parse_replicas(text: str | None) -> int | dict[str, int] | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    pairs = [pair.partition("=") for pair in text.split(",")]
    if all(equals and number.isascii() and number.isdigit() for _, equals, number in pairs):
        return {region: int(number) for region, _, number in pairs}
    raise click.UsageError(f"--replicas wants a number, or eu=1,us=1; got {text!r}")


def create(cluster: LocalCluster, name: str, shape: Shape) -> None:
    """Lay a cluster out, if its nodes can run with what they would be given.

    Raises:
        click.UsageError: the name, a setting or the replicas are wrong; nothing was written.
    """
    if not re.fullmatch(SLUG, name):
        raise click.UsageError(f"{name!r} is not a cluster's name (a-z, 0-9, dashes; at most 63)")
    problems = _problems(name, shape)
    if problems:
        raise click.UsageError("\n".join(problems))
    cluster.create(name, shape)


def _problems(name: str, shape: Shape) -> list[str]:
    """What is wrong with a node's configuration, and with the cluster it would found."""
    document = sample_document(name, shape)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "folkmoot.toml"
        file.write_text(render(document))
        try:
            loaded = load(file)
        except ConfigError as error:
            # Nobody has seen that file, so its lines say nothing.
            return [re.sub(rf"^{re.escape(str(file))}(:\d+)*: ", "", each) for each in error.problems]
    first = document["cluster"]["founders"][0]
    config = with_id(loaded.config, first["id"])
    sources = {**loaded.sources, "cluster.replicas": "--replicas"}
    return list(founding_problems(LoadedConfig(config, sources), account_from_text(first["service_account"])))


def up(cluster: LocalCluster, deadline_s: float) -> dict[str, Any]:
    """Start what does not run; return the description once all nodes answer clients and know each other.

    A cluster that does not come up is stopped again; its logs stay.

    Raises:
        ClusterFailed: a node did not start, or the nodes did not find each other in time.
        Unreachable: a node does not answer.
    """
    was_running = cluster.running()
    try:
        described = cluster.up(deadline_s)
        if read_faults(cluster.directory):
            _tell(cluster, described)
        else:
            _await_acquaintance(described, deadline_s)
    except BaseException:
        if not was_running:
            cluster.down()
        raise
    return described


def _await_acquaintance(described: dict[str, Any], deadline_s: float) -> None:
    running = _serving(described)
    deadline = time.monotonic() + deadline_s
    for node in running:
        while strangers := _strangers(described, node, running):
            if time.monotonic() > deadline:
                names = ", ".join(strangers)
                raise ClusterFailed(
                    f"after {deadline_s:g} s {node['name']} does not count on {names}: see folkmoot doctor"
                )
            time.sleep(ACQUAINTANCE_POLL_S)


def _serving(described: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes that run and are not given up for dead: those serve nobody, and nobody waits for them."""
    running = [node for node in described["nodes"] if node["state"] == "running"]
    given_up: set[str] = set()
    for node in running:
        status = ask(_only(described, node), "cluster.status")
        given_up |= {seen["id"] for seen in status["nodes"] if seen["roster"] == "dead"}
    return [node for node in running if node["id"] not in given_up]


def _strangers(
    described: dict[str, Any], node: dict[str, Any], running: Iterable[dict[str, Any]]
) -> list[str]:
    """The running nodes that `node` does not see alive, or whose acknowledgements may not count yet; itself
    included. One that is being rebuilt is none of them: that takes its time."""
    status = ask(_only(described, node), "cluster.status")
    known = {
        seen["id"] for seen in status["nodes"] if seen["state"] == "alive" and seen["standing"] != "unproven"
    }
    return [other["name"] for other in running if other["id"] not in known]


def changed(cluster: LocalCluster, operation: str, nodes: Iterable[str]) -> dict[str, Any]:
    """Do something to nodes that may make them forget or have missed their faults, and tell them again."""
    described = cluster.ask(operation, nodes)
    if read_faults(cluster.directory):
        _tell(cluster, described)
    return described


def set_faults(cluster: LocalCluster, wanted: Sequence[LinkFault]) -> list[str]:
    """Put exactly these faults in force.

    Returns:
        The names of the nodes that do not run, and are told when they do.
    """
    described = cluster.ask("status")
    write_faults(cluster.directory, wanted)
    _tell(cluster, described)
    return [node["name"] for node in described["nodes"] if node["state"] != "running"]


def _tell(cluster: LocalCluster, described: dict[str, Any]) -> None:
    """Tell every node that serves the faults of its links."""
    wanted = read_faults(cluster.directory)
    operator = cluster.directory.operator()
    for node in _serving(described):
        links = wire_links(cluster.manifest, wanted, node["name"])
        ask(_only(described, node), "fault.set", {"links": links}, operator=operator)


def _only(described: dict[str, Any], node: dict[str, Any]) -> Target:
    return Target((node["address"],), Path(described["ca"]) if described["ca"] else None)
