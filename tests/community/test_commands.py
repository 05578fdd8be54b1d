"""`folkmoot policy` and `folkmoot role` against real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli import main
from folkmoot.cli.exit_codes import FAILED, OK

from tests.checking.local import NAME, Home
from tests.moderation.documents import HEAD, rule, word_list

LABELS = HEAD + word_list("words", ["harbour"]) + rule("harbours", ["words"], "label", label="harbour")
REFUSES = LABELS.replace('then = "label"', 'then = "refuse"').replace('label = "harbour"\n', "")


@pytest.mark.cluster
def test_a_policy_is_activated_judges_everywhere_and_is_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, home.environment[name])
    mild, strict = tmp_path / "mild.toml", tmp_path / "strict.toml"
    mild.write_text(LABELS)
    strict.write_text(REFUSES)

    def run(*words: str, code: int = OK, node: str = "") -> dict[str, Any]:
        """What a command prints; run in this process, since there are many."""
        whom = ("--node", node, "--tls", "off") if node else ("--cluster", NAME)
        capsys.readouterr()
        assert main.run([*words, *whom, "--json"]) == code, capsys.readouterr()
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    def activate(file: Path, *more: str) -> dict[str, Any]:
        previewed = run("policy", "preview", str(file))
        return run("policy", "activate", str(file), "--preview", previewed["preview"], *more)

    with home.cluster(nodes=3) as cluster:
        nodes = cluster.ask("status")["nodes"]
        refused = run("policy", "activate", str(mild), code=FAILED)
        assert (
            refused["error"]["name"] == "preview_needed" and "policy preview" in refused["error"]["message"]
        )
        activated = activate(mild, "--reason", "to try")
        assert activated["policy"]["epoch"] == 1 and activated["acknowledged"] == len(activated["nodes"]) == 3
        for node in nodes:
            posted = run("post", "Down by the harbour.", node=node["address"])
            assert posted["verdict"]["labels"][0]["value"] == "harbour", posted
        late = run("policy", "activate", str(mild), "--replaces", "0", code=FAILED)
        assert late["error"]["name"] == "conflict"
        proposed = activate(strict)
        assert proposed["policy"]["epoch"] == 1 and proposed["proposal"]["rules"] == ["harbours"]
        run("policy", "confirm", proposed["proposal"]["hash"][:12], code=FAILED)
        changes = run("policy", "diff", "active", "proposed")["changes"]
        assert changes == {"rules": {"changed": ["harbours"]}}
        assert run("policy", "show")["document"] == LABELS
        back = run("policy", "rollback", "--reason", "enough")
        assert back["policy"]["hash"] is None and back["acknowledged"] == 3
        assert not run("post", "Down by the harbour again.").get("verdict")
        log = run("policy", "log")["changes"]
        assert [(each["what"], each.get("reason")) for each in log] == [
            ("rolled back", "enough"),
            ("proposed", None),
            ("activated", "to try"),
        ]
        granted = run("role", "grant", log[0]["by"], "expert")
        assert granted["roles"] == ["expert"]
        assert run("role", "ls")["holders"] == [{"account": log[0]["by"], "roles": ["expert"]}]
