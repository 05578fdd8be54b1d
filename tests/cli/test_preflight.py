"""`config check` refuses what `start` refuses, and local clusters are looked at before they are made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.main import run
from folkmoot.cli.preflight import check_surroundings
from folkmoot.node.configuration.reading import ConfigError, load
from folkmoot.node.moderation.media import outcome

from tests.moderation.documents import HEAD, condition, model, rule, word_list

Problems = Callable[..., list[str]]
FOUNDER = """
[[cluster.founders]]
id = "00112233445566778899aabbccddeeff"
name = "two"
region = "us"
service_account = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
"""


@pytest.fixture
def node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The configuration of a node with certificates of its own."""
    words = ["init", "--directory", str(tmp_path / "n"), "--cluster", "town", "--name", "one", "--json"]
    assert run(words) == exit_codes.OK
    node_id = json.loads(capsys.readouterr().out)["id"]
    assert run(["cert", "create-ca", "--cluster", "town", "--out", str(tmp_path / "ca")]) == exit_codes.OK
    cert = ["--ca", str(tmp_path / "ca"), "--node-id", node_id, "--out", str(tmp_path / "n" / "tls")]
    assert run(["cert", "create-node", *cert]) == exit_codes.OK
    capsys.readouterr()
    return tmp_path / "n" / "folkmoot.toml"


@pytest.fixture
def problems(node: Path, capsys: pytest.CaptureFixture[str]) -> Problems:
    """What `config check` and `start` both say against a configuration with further words."""

    def said_by_both(*words: str) -> list[str]:
        said = []
        for command in (["config", "check"], ["start"]):
            assert run([*command, "--json", "--config", str(node), *words]) == exit_codes.FAILED
            error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
            assert error["name"] == "config_error"
            said.append(error["problems"])
        assert said[0] == said[1]
        assert not (node.parent / "store").exists()
        return list(said[0])

    return said_by_both


def test_a_good_node_passes(node: Path) -> None:
    assert run(["config", "check", "--config", str(node)]) == exit_codes.OK


def test_what_of_a_policy_is_not_in_force_is_told_and_keeps_no_node_from_starting(
    node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = node.parent / "policy.toml"
    old = HEAD + word_list("words", ["foo"]) + rule("old", ["words"], "hold") + "expires = 2001-02-03\n"
    policy.write_text(old + model("m", labels=["toxic"]) + condition("nude", "media.nsfw > 0.8"))
    assert run(["config", "check", "--config", str(node), "--json"]) == exit_codes.OK
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    absent, expired, unseen = warnings
    assert unseen == f"{policy}: media.nsfw says nothing here, because screening.enabled is off"
    assert absent.startswith(f"{policy}: model m: {'0' * 64}.model is not in {node.parent} or")
    assert expired == f"{policy}: rule old expired on 2001-02-03"
    assert run(["config", "check", "--config", str(node)]) == exit_codes.OK
    assert f"but {expired}" in capsys.readouterr().out


def test_a_tls_key_that_others_can_read(node: Path, problems: Problems) -> None:
    key = node.parent / "tls" / "node.key"
    for mode in (0o640, 0o604):
        key.chmod(mode)
        [problem] = problems()
        assert f"{key} can be read by others (mode {mode:o}); run `chmod 600 {key}`" in problem
    (node.parent / "tls" / "node.crt").chmod(0o644)
    key.chmod(0o600)
    assert run(["config", "check", "--config", str(node)]) == exit_codes.OK


def test_more_copies_than_nodes(node: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    [problem] = problems("--set", "cluster.replicas=2")
    assert problem.startswith("flag cluster.replicas: cluster.replicas: 2 copies")
    monkeypatch.setenv("FOLKMOOT__CLUSTER__REPLICAS", "99")
    [problem] = problems()
    assert problem.startswith("environment FOLKMOOT__CLUSTER__REPLICAS: ")
    assert "99 copies" in problem and "there are 1" in problem
    monkeypatch.setenv("FOLKMOOT__CLUSTER__REPLICAS", "1")
    assert run(["config", "check", "--config", str(node)]) == exit_codes.OK


def test_that_films_are_not_looked_at_is_said_and_keeps_nobody_from_starting(
    node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = node.read_text()
    node.write_text(config + "\n[screening]\nenabled = true\n")
    installed = {"numpy", "PIL", "av"}
    monkeypatch.setattr(outcome, "_installed", lambda module: module in installed)
    said = set(check_surroundings(load(node)))
    installed.remove("av")
    [warning] = set(check_surroundings(load(node))) - said
    assert "folkmoot[video]" in warning and "media.types" in warning
    node.write_text(node.read_text() + '\n[media]\ntypes = ["image/png"]\n')
    assert set(check_surroundings(load(node))) == said


def test_copies_in_a_region_that_has_too_few_nodes(node: Path, problems: Problems) -> None:
    node.write_text(node.read_text() + "\n[cluster.replicas]\neu = 5\n")
    [problem] = problems()
    assert f"{node}:" in problem and "make no cluster" in problem and "eu" in problem


def test_founders_that_name_another_cluster_of_nodes_are_learnt_from(node: Path) -> None:
    """A node that founds nothing asks for no copies of its own."""
    node.write_text(node.read_text() + FOUNDER)
    check_surroundings(load(node, flags={"cluster.replicas": "99", "cluster.seeds": "127.0.0.1:1"}))


def test_founders_listed_twice(node: Path, problems: Problems) -> None:
    node.write_text(node.read_text() + FOUNDER + FOUNDER)
    with pytest.raises(ConfigError):
        check_surroundings(load(node))
    assert problems()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--replicas", "eu=5"), "--replicas: "),
        (("--replicas", "4"), "4 copies of everything need as many founders, and there are 3"),
        (("--replicas", "mars=1"), "mars"),
        (("--set", "gossip.profile=slow"), "gossip.profile"),
    ],
)
def test_a_local_cluster_that_cannot_be_is_never_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    place = tmp_path / "z"
    place.mkdir()
    (place / "mine").write_text("kept")
    assert run(["cluster", "up", "z", "--dir", str(place), *words]) == exit_codes.USAGE
    assert complaint in capsys.readouterr().err
    assert [file.name for file in place.iterdir()] == ["mine"]
