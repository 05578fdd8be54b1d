"""Faults on the links between a local cluster's nodes: which are wanted, and telling the nodes.

A fault stands on one directed link and acts in the sender's transport, so it needs neither root nor the
other end. What is in force is kept beside the manifest, because a node forgets its faults when it restarts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import Any

import msgspec
from folkmoot.cli.cluster.layout import ClusterDirectory, Manifest, NodeEntry
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.node.data_directory import replace_file


class LinkFault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with the messages from one node to another.

    Args:
        source, to: node names.
        cut: nothing arrives; connections stall.
        delay_ms: everything arrives that much later.
        loss: the share of datagrams that are dropped, 0 to 1; connections lose nothing.
    """

    source: str
    to: str
    cut: bool = False
    delay_ms: float = 0.0
    loss: float = 0.0


def read_faults(directory: ClusterDirectory) -> list[LinkFault]:
    """The faults in force."""
    try:
        return msgspec.json.decode(directory.faults_file.read_bytes(), type=list[LinkFault])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        raise OperatorError(f"{directory.faults_file} is unreadable: {error}") from error


def write_faults(directory: ClusterDirectory, faults: Iterable[LinkFault]) -> None:
    """Remember the faults in force."""
    replace_file(directory.faults_file, msgspec.json.encode(list(faults)))


def merged(old: Iterable[LinkFault], new: Iterable[LinkFault]) -> list[LinkFault]:
    """The faults after `new` were added: a cut link stays slow, a slow one stays cut."""
    links = {(fault.source, fault.to): fault for fault in old}
    for fault in new:
        before = links.get((fault.source, fault.to))
        if before is not None and fault.cut:
            fault = msgspec.structs.replace(before, cut=True)
        elif before is not None:
            fault = msgspec.structs.replace(fault, cut=before.cut)
        links[fault.source, fault.to] = fault
    return list(links.values())


def partition(manifest: Manifest, groups: Sequence[str], *, one_way: bool) -> list[LinkFault]:
    """Cut every link between nodes of different groups.

    Args:
        groups: each a comma-separated list of node names and regions; nodes in none form one more group.
        one_way: cut only links from an earlier group to a later one.

    Raises:
        Usage: a word names no node, a node stands in two groups, or there is nothing to cut.
    """
    sides = [manifest.find(group.split(",")) for group in groups]
    named = [node.name for side in sides for node in side]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise Usage(f"{twice} cannot be on two sides of a partition")
    rest = [node for node in manifest.nodes if node.name not in named]
    sides += [rest] if rest else []
    if len(sides) < 2:
        raise Usage(f"all nodes are on one side ({', '.join(named)}): nothing to cut")
    return [
        LinkFault(source=source.name, to=to.name, cut=True)
        for source, to in _across(sides)
        if not one_way or _side(sides, source) < _side(sides, to)
    ]


def _across(sides: Sequence[Sequence[NodeEntry]]) -> Iterator[tuple[NodeEntry, NodeEntry]]:
    for one, other in permutations(sides, 2):
        yield from ((source, to) for source in one for to in other)


def _side(sides: Sequence[Sequence[NodeEntry]], node: NodeEntry) -> int:
    return next(index for index, side in enumerate(sides) if node in side)


def read_link(text: str) -> tuple[str, str]:
    """The two ends of a link, `FROM:TO`.

    Raises:
        Usage: it is not of that form.
    """
    source, colon, to = text.partition(":")
    if not (source and colon and to):
        raise Usage(f"{text!r} is not a link: write FROM:TO, such as eu-1:us-1 or eu:all")
    return source, to


def slow(manifest: Manifest, link: str, *, delay_ms: float, loss: float, one_way: bool) -> list[LinkFault]:
    """Delay or lose what travels over links.

    Args:
        link: `FROM:TO`, each a node, a region or `all`; both ways unless `one_way`.
        delay_ms, loss: see `LinkFault`.

    Raises:
        Usage: it is not of that form, a word names no node, or there is no such link.
    """
    source, to = read_link(link)
    pairs = {(a.name, b.name) for a in manifest.find([source]) for b in manifest.find([to]) if a != b}
    if not pairs:
        raise Usage(f"{link!r} is no link: both ends are the same node")
    if not one_way:
        pairs |= {(b, a) for a, b in pairs}
    return [LinkFault(source=a, to=b, delay_ms=delay_ms, loss=loss) for a, b in sorted(pairs)]


def wire_links(manifest: Manifest, faults: Iterable[LinkFault], source: str) -> list[dict[str, Any]]:
    """The `links` of `fault.set` for the node called `source`: all of them, those without a fault too.

    Setting every link at once replaces what the node had without a moment in which all are whole.
    """
    wanted = {fault.to: fault for fault in faults if fault.source == source}
    links = []
    for node in manifest.nodes:
        if node.name != source:
            fault = wanted.get(node.name, LinkFault(source=source, to=node.name))
            links.append({"to": node.id, "cut": fault.cut, "delay_ms": fault.delay_ms, "loss": fault.loss})
    return links
