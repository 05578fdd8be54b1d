"""Who follows whom: graphs from files and made up ones, by rank."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from folkmoot.cli.bench.graph import FollowGraph, made_up_graph, read_graph
from folkmoot.cli.errors import OperatorError

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "graph"
DIRECTED = "follower\tfollowee\nann\tbob\ncat\tbob\ncat\tann\ndan\tann\nbob\tann\nann\tbob\nann\tann\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def edges(graph: FollowGraph) -> list[tuple[int, int]]:
    return list(graph.edges(0, len(graph)))


def test_accounts_are_numbered_by_their_followers(tmp_path: Path) -> None:
    """Ann (three), Bob (two, one of them twice), then Cat and Dan as they came; nobody follows themselves."""
    graph = read_graph([written(tmp_path / "g.tsv", DIRECTED)])
    assert graph.accounts == 4
    assert edges(graph) == [(0, 1), (1, 0), (2, 0), (2, 1), (3, 0)]


def test_a_file_may_be_gzipped_and_says_the_same(tmp_path: Path) -> None:
    plain = read_graph([written(tmp_path / "g.tsv", DIRECTED)])
    packed = tmp_path / "g.tsv.gz"
    packed.write_bytes(gzip.compress(DIRECTED.encode()))
    assert read_graph([packed]).digest == plain.digest


def test_only_the_most_followed_are_kept(tmp_path: Path) -> None:
    whole = [written(tmp_path / "g.tsv", DIRECTED)]
    graph = read_graph(whole, 2)
    assert graph.accounts == 2 and edges(graph) == [(0, 1), (1, 0)]
    assert graph.digest != read_graph(whole).digest
    assert read_graph(whole, 100).accounts == 4


def test_pairs_follow_each_other_and_files_have_different_people(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tsv", DIRECTED)
    other = written(tmp_path / "b.tsv", "user_a\tuser_b\nann\tbob\nann\tcat\n")
    assert edges(read_graph([other])) == [(0, 1), (0, 2), (1, 0), (2, 0)]
    assert read_graph([one, other]).accounts == 7
    assert len(read_graph([one, other])) == 9


@pytest.mark.parametrize("text", ["", "a\tb\n", "a\tb\nno tab\n", "a\tb\nx\t\n", "a\tb\nx\tx\n"])
def test_what_is_no_graph_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(OperatorError, match=r"g\.tsv"):
        read_graph([written(tmp_path / "g.tsv", text)])


def test_a_damaged_archive_is_said(tmp_path: Path) -> None:
    file = tmp_path / "g.tsv.gz"
    file.write_bytes(gzip.compress(DIRECTED.encode() * 100)[:-20])
    with pytest.raises(OperatorError, match="cannot be read"):
        read_graph([file])


def test_a_made_up_graph_has_a_heavy_tail_and_is_the_same_again() -> None:
    graph = made_up_graph(Random(1), 500)
    assert graph.digest == made_up_graph(Random(1), 500).digest != made_up_graph(Random(2), 500).digest
    follows = edges(graph)
    assert len(set(follows)) == len(follows) and all(one != other for one, other in follows)
    assert set(Counter(follower for follower, _ in follows)) == set(range(500))
    followers = Counter(followee for _, followee in follows)
    ranked = [followers[rank] for rank in range(500)]
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] > 20 * ranked[250]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the corpora lie beside a checkout")
def test_a_real_graph() -> None:
    graph = read_graph([SHARED / "epinions_trust.tsv.gz"])
    assert (graph.accounts, len(graph)) == (75_879, 508_837)
    assert Counter(graph.followees).most_common(1) == [(0, 3_035)]
