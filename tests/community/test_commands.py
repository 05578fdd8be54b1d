"""`folkmoot policy` and `folkmoot role` against real processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import main
from folkmoot.cli.exit_codes import FAILED, OK

from tests.checking.local import NAME, Home
from tests.moderation.documents import HEAD, rule, word_list
from tests.moderation.layered import TOP, files_of, own, written

LABELS = HEAD + word_list("words", ["harbour"]) + rule("harbours", ["words"], "label", label="harbour")
REFUSES = LABELS.replace('then = "label"', 'then = "refuse"').replace('label = "harbour"\n', "")


SPOKEN = "Down by the harbour."

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Somebody's home, in which commands are run."""
    home = Home(tmp_path)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, home.environment[name])
    return home


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """What a command prints; run in this process, since there are many."""

    def run(*words: str, code: int = OK, node: str = "") -> dict[str, Any]:
        whom = ("--node", node, "--tls", "off") if node else ("--cluster", NAME)
        capsys.readouterr()
        assert main.run([*words, *whom, "--json"]) == code, capsys.readouterr()
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return run


@pytest.mark.cluster
def test_a_policy_is_activated_judges_everywhere_and_is_rolled_back(
    tmp_path: Path, home: Home, run: Run
) -> None:
    mild, strict = tmp_path / "mild.toml", tmp_path / "strict.toml"
    mild.write_text(LABELS)
    strict.write_text(REFUSES)
    with home.cluster(nodes=3) as cluster:
        nodes = cluster.ask("status")["nodes"]
        activated = _activated(run, mild, "--reason", "to try")
        assert activated["policy"]["epoch"] == 1 and activated["acknowledged"] == len(activated["nodes"]) == 3
        for node in nodes:
            posted = run("post", SPOKEN, node=node["address"])
            assert posted["verdict"]["labels"][0]["value"] == "harbour", posted
        late = run("policy", "activate", str(mild), "--replaces", "0", code=FAILED)
        assert late["error"]["name"] == "conflict"
        proposed = _activated(run, strict)
        assert proposed["policy"]["epoch"] == 1 and proposed["proposal"]["rules"] == ["harbours"]
        run("policy", "confirm", proposed["proposal"]["hash"][:12], code=FAILED)
        changes = run("policy", "diff", "active", "proposed")["changes"]
        assert changes == {"rules": {"changed": ["harbours"]}}
        assert run("policy", "show")["document"] == LABELS
        _is_tried_without_effect(run, strict)
        _is_taken_back(run, activated["policy"]["hash"])
        assert not run("post", "Down by the harbour again.").get("verdict")
        log = run("policy", "log")["changes"]
        assert [(each["what"], each.get("reason")) for each in log] == [
            ("rolled back", "enough"),
            ("proposed", None),
            ("activated", "to try"),
        ]
        granted = run("role", "grant", log[0]["by"], "expert")
        assert granted["roles"] == ["expert"]
        (holder,) = run("role", "ls")["holders"]
        assert (holder["account"], holder["roles"]) == (log[0]["by"], ["expert"])
        assert holder["since_ms"] >= log[0]["at_ms"]


def _activated(run: Run, file: Path, *more: str) -> dict[str, Any]:
    refused = run("policy", "activate", str(file), code=FAILED)["error"]
    assert refused["name"] == "preview_needed" and "folkmoot policy preview" in refused["message"]
    previewed = run("policy", "preview", str(file))
    assert previewed["rules"][0]["rule"] == "harbours"
    return run("policy", "activate", str(file), "--preview", previewed["preview"], *more)


def _is_tried_without_effect(run: Run, file: Path) -> None:
    assert run("policy", "shadow")["shadow"] is None
    begun = run("policy", "shadow", str(file))["shadow"]
    assert begun["posts"] == 0 and run("policy", "shadow")["shadow"]["since_ms"] == begun["since_ms"]
    assert run("policy", "shadow", "off")["shadow"] is None


def _is_taken_back(run: Run, hash: str) -> None:
    counted = run("policy", "rollback", "--reverse-decisions", "--dry-run")
    assert counted == {"policy": hash, "dry_run": True, "counts": {"labels": 3}}
    undone = run("policy", "rollback", "--reverse-decisions", "--reason", "enough")
    assert undone["counts"] == {"labels": 3}
    assert run("policy", "reverse", hash[:12])["counts"] == {}
    before = run("policy", "status")["policy"]
    again = run("policy", "rollback", "--reverse-decisions", code=FAILED)["error"]
    assert before["hash"] is None and "nothing was rolled back" in again["message"]
    assert run("policy", "status")["policy"] == before


@pytest.mark.cluster
def test_a_policy_in_layers_goes_to_all_nodes_as_one(tmp_path: Path, home: Home, run: Run) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    with home.cluster(nodes=3) as cluster:
        regions = {node["region"]: node["address"] for node in cluster.ask("status")["nodes"]}
        file = written(folder, files_of(community=LABELS.removeprefix(HEAD), eu=own("eu"), us=own("us")))
        previewed = run("policy", "preview", str(file))
        assert {previewed["region"], *(each["region"] for each in previewed["regions"])} == set(regions)
        activated = run("policy", "activate", str(file), "--preview", previewed["preview"])
        assert activated["acknowledged"] == len(activated["nodes"]) == 3
        assert {each["region"] for each in activated["nodes"]} == set(regions)
        for region, address in regions.items():
            verdict = run("post", f"In {region}, by the harbour.", node=address)["verdict"]
            assert {each["value"] for each in verdict["labels"]} == {"harbour", *({region} - {"ap"})}
            assert verdict["policy"] == activated["policy"]["hash"]
        shown = run("policy", "show", "--region", "us")
        assert [each["file"] for each in shown["layers"]] == ["base.toml", "us.toml", TOP]
        assert run("policy", "diff", "active", str(file))["lines"] == []
        out = tmp_path / "out"
        assert len(run("policy", "show", "--out", str(out))["written"]) == 4
        assert run("policy", "diff", str(out / TOP), str(file))["lines"] == []
