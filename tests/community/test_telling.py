"""What the commands about policies make of files and of what nodes tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folkmoot.cli.community.documents import Document, lines_of_difference, named_differences
from folkmoot.cli.community.layers import layer_lines, told_layers, write_layers
from folkmoot.cli.community.telling import log_line, node_lines, policy_line, proposal_lines
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import FAILED, OK
from folkmoot.cli.main import run
from folkmoot.protocol.community.bounds import DOCUMENT_BYTES

from tests.moderation.documents import HEAD, rule, word_list
from tests.moderation.layered import TOP, bundle, files_of, own, written

HASH, OTHER = "ab" * 32, "cd" * 32
BEFORE = HEAD + word_list("one", ["a"]) + word_list("two", ["b"]) + rule("r", ["one"], "hold")
AFTER = HEAD + word_list("one", ["a", "c"]) + word_list("three", ["b"]) + rule("r", ["one"], "hold")


def document(text: str) -> Document:
    return Document("it", text.encode())


def test_a_difference_names_what_has_an_id_and_shows_the_lines() -> None:
    before, after = document(BEFORE), document(AFTER)
    assert named_differences(before, after) == {
        "lists": {"added": ["three"], "removed": ["two"], "changed": ["one"]}
    }
    lines = lines_of_difference(before, after)
    assert '-words = ["a"]' in lines and '+words = ["a", "c"]' in lines
    assert lines_of_difference(before, before) == []


def test_differences_of_layers_are_told_by_their_names() -> None:
    before = Document("active", bundle(eu=own("eu")))
    after = Document(
        "new", bundle(community=own("all"), eu=own("eu") + word_list("more", ["m"]), us=own("us"))
    )
    assert named_differences(before, after) == {
        "lists": {"added": ["more (eu.toml)", "us (us.toml)", "all"]},
        "rules": {"added": ["us (us.toml)", "all"]},
    }
    lines = lines_of_difference(before, after)
    heads = [line[4:-13] for line in lines if line.startswith(("---", "+++"))]
    assert heads == ["active", "new", "active: eu.toml", "new: eu.toml", "active: us.toml", "new: us.toml"]
    alone = Document("alone", BEFORE.encode())
    assert named_differences(alone, before)["lists"]["added"] == ["base (base.toml)", "eu (eu.toml)"]
    assert lines_of_difference(after, after) == []


def test_layers_are_shown_one_after_the_other_and_written_as_files(tmp_path: Path) -> None:
    files = files_of(eu=own("eu"), us=own("us"))
    layers = Document("it", bundle(eu=own("eu"), us=own("us"))).layers("eu")
    assert list(layers) == ["base.toml", "eu.toml", TOP]
    lines = layer_lines(layers)
    assert [line.split()[1] for line in lines if line.startswith("# ")] == list(layers)
    told = told_layers(layers)
    assert told[1]["document"] == files["eu.toml"].decode() and told[1]["file"] == "eu.toml"
    made = write_layers(layers, tmp_path / "new")
    assert [Path(each).read_bytes() for each in made] == [files[name] for name in layers]
    with pytest.raises(OperatorError, match="is there already"):
        write_layers({"other.toml": b"", **layers}, tmp_path / "new")
    assert not (tmp_path / "new" / "other.toml").exists()
    alone = Document("it", BEFORE.encode()).layers()
    assert layer_lines(alone) == BEFORE.splitlines() and told_layers(alone)[0]["file"] is None


def test_a_policy_in_layers_is_checked_in_all_regions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, files_of(eu=own("eu") + rule("more", ["eu"], "hold")))
    assert run(["policy", "check", str(file)]) == OK
    told = capsys.readouterr().out
    assert "community.toml is a policy: 1 list, 0 patterns, 1 rule\n" in told
    assert "in region eu: 2 lists, 0 patterns, 3 rules\n" in told
    written(tmp_path, files_of(eu=rule("base", ["base"], "accept")))
    assert run(["policy", "check", str(file)]) == FAILED
    assert "eu.toml:9:1: then is 'accept'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ((0, None, 100, None), "no policy was ever activated"),
        (
            (1, HASH, 100, None),
            "epoch 1: abababababab judges all accounts; before it was each node's own",
        ),
        ((2, HASH, 10, OTHER), "epoch 2: abababababab judges 10 % of the accounts, cdcdcdcdcdcd the o"),
        (
            (3, None, 100, HASH),
            "epoch 3: each node's own file judges all accounts; before it was aba",
        ),
    ],
)
def test_by_what_accounts_are_judged(policy: tuple[Any, ...], expected: str) -> None:
    told = dict(zip(("epoch", "hash", "percent", "previous"), policy, strict=True))
    assert policy_line(told).startswith(expected)


def test_a_proposal_says_who_and_how_to_confirm_it() -> None:
    proposal = {"percent": 5, "hash": HASH, "by": "did:key:z", "rules": ["slurs"], "expires_ms": 0}
    first, second = proposal_lines(proposal)
    assert "for 5 % of the accounts" in first and "because of slurs" in first
    assert "folkmoot policy confirm abababababab" in second
    assert proposal_lines(None) == []


def test_nodes_that_lag_say_why() -> None:
    nodes = [
        {"name": "eu-1", "state": "running", "epoch": 2, "judging": HASH, "why": ""},
        {
            "name": "us-1",
            "state": "fetching",
            "epoch": 1,
            "judging": OTHER,
            "why": "no",
            "acknowledged": False,
        },
    ]
    lines = node_lines({"acknowledged": 1, "nodes": nodes})
    assert lines[0] == "acknowledged by 1/2 nodes"
    assert lines[2].endswith("-") and lines[3].endswith("no")


def test_a_line_of_the_log() -> None:
    changed = {"at_ms": 0, "by": "did:key:a", "what": "confirmed", "epoch": 3, "hash": HASH}
    changed["proposer"] = "did:key:b"
    assert log_line(changed).endswith("did:key:a confirmed abababababab (epoch 3), proposed by did:key:b")
    given = {"at_ms": 0, "by": "x", "what": "granted", "role": "expert", "account": "y", "reason": "good"}
    assert log_line(given).endswith("x granted expert to y: good")


def test_check_says_all_that_is_wrong_and_needs_no_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(BEFORE)
    assert run(["policy", "check", str(file)]) == OK
    assert "2 lists, 0 patterns, 1 rule\n" in capsys.readouterr().out
    file.write_text(BEFORE.replace('"hold"', '"destroy"').replace('"one"', '"none"', 1))
    assert run(["policy", "check", str(file)]) == FAILED
    assert "destroy" in (said := capsys.readouterr().err) and "policy.toml:" in said and "'one'" in said
    file.write_text(BEFORE + "#" * DOCUMENT_BYTES)
    assert run(["policy", "check", str(file)]) == FAILED
    assert "too large to be activated" in capsys.readouterr().err
