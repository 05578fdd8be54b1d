"""Which links a partition or a slow line touches, and how faults add up."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.cli.cluster.faults import (
    LinkFault,
    merged,
    partition,
    read_faults,
    slow,
    wire_links,
    write_faults,
)
from folkmoot.cli.cluster.layout import ClusterDirectory, Manifest, NodeEntry
from folkmoot.cli.errors import OperatorError

NODES = tuple(
    NodeEntry(name=f"{region}-{number}", region=region, id=f"{index:032x}")
    for index, (region, number) in enumerate([("eu", 1), ("us", 1), ("ap", 1), ("eu", 2)])
)
MANIFEST = Manifest(name="try", nodes=NODES, program=(), ca=None)


def links(faults: list[LinkFault]) -> set[str]:
    return {f"{fault.source}>{fault.to}" for fault in faults}


@pytest.mark.parametrize(
    ("groups", "one_way", "cut"),
    [
        (["ap"], False, "ap-1>eu-1 ap-1>eu-2 ap-1>us-1 eu-1>ap-1 eu-2>ap-1 us-1>ap-1"),
        (["ap"], True, "ap-1>eu-1 ap-1>eu-2 ap-1>us-1"),
        (["eu-1,us", "eu-2,ap-1"], True, "eu-1>eu-2 eu-1>ap-1 us-1>eu-2 us-1>ap-1"),
        (["eu-1", "us-1,eu-2,ap"], False, "eu-1>us-1 eu-1>eu-2 eu-1>ap-1 us-1>eu-1 eu-2>eu-1 ap-1>eu-1"),
        (["eu-1", "us-1", "ap-1,eu-2"], True, "eu-1>us-1 eu-1>ap-1 eu-1>eu-2 us-1>ap-1 us-1>eu-2"),
    ],
)
def test_a_partition_cuts_exactly_the_links_across(groups: list[str], one_way: bool, cut: str) -> None:
    faults = partition(MANIFEST, groups, one_way=one_way)
    assert all(fault.cut for fault in faults)
    assert links(faults) == set(cut.split())


@pytest.mark.parametrize(
    ("groups", "complaint"),
    [
        (["eu", "eu-1"], "eu-1 cannot be on two sides"),
        (["all"], "nothing to cut"),
        (["mars"], "no node or region 'mars'"),
        ([""], "no node or region ''"),
    ],
)
def test_a_partition_that_makes_no_sense_is_refused(groups: list[str], complaint: str) -> None:
    with pytest.raises(OperatorError, match=complaint):
        partition(MANIFEST, groups, one_way=False)


@pytest.mark.parametrize(
    ("link", "one_way", "touched"),
    [
        ("us:ap", True, "us-1>ap-1"),
        ("us:ap", False, "us-1>ap-1 ap-1>us-1"),
        ("eu:us-1", True, "eu-1>us-1 eu-2>us-1"),
        ("eu:eu", True, "eu-1>eu-2 eu-2>eu-1"),
        ("ap:all", True, "ap-1>eu-1 ap-1>eu-2 ap-1>us-1"),
    ],
)
def test_a_slow_line_is_directed(link: str, one_way: bool, touched: str) -> None:
    faults = slow(MANIFEST, link, delay_ms=50, loss=0.1, one_way=one_way)
    assert {(fault.delay_ms, fault.loss, fault.cut) for fault in faults} == {(50, 0.1, False)}
    assert links(faults) == set(touched.split())


@pytest.mark.parametrize("link", ["eu", "eu:mars", ""])
def test_a_line_that_is_none_is_refused(link: str) -> None:
    with pytest.raises(OperatorError):
        slow(MANIFEST, link, delay_ms=1, loss=0, one_way=False)


def test_faults_add_up() -> None:
    cut = LinkFault(source="a", to="b", cut=True)
    slower = LinkFault(source="a", to="b", delay_ms=9)
    other = LinkFault(source="b", to="a", loss=0.5)
    both = LinkFault(source="a", to="b", cut=True, delay_ms=9)
    assert merged([cut], [slower, other]) == [both, other]
    assert merged([slower, other], [cut]) == [both, other]
    assert merged([], [cut]) == [cut]


def test_a_node_is_told_of_all_its_links_and_of_no_others() -> None:
    faults = [
        LinkFault(source="eu-1", to="us-1", delay_ms=5),
        LinkFault(source="us-1", to="eu-1", cut=True),
    ]
    told = wire_links(MANIFEST, faults, "eu-1")
    assert [link["to"] for link in told] == [node.id for node in NODES if node.name != "eu-1"]
    assert [(link["cut"], link["delay_ms"]) for link in told] == [(False, 5), (False, 0), (False, 0)]


def test_faults_are_remembered(tmp_path: Path) -> None:
    directory = ClusterDirectory(tmp_path)
    assert read_faults(directory) == []
    faults = partition(MANIFEST, ["ap"], one_way=False)
    write_faults(directory, faults)
    assert read_faults(directory) == faults
    directory.faults_file.write_text("{")
    with pytest.raises(OperatorError, match="unreadable"):
        read_faults(directory)
