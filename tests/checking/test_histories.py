"""Histories on disk: the three forms, what is wrong with a bad one, and real ones with known verdicts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from folkmoot.cli.checking.histories import BadHistory, find_histories, read_history
from folkmoot.cli.checking.linearizability import judge_folder
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK, USAGE
from folkmoot.cli.main import run

LOG = """\
INFO  jepsen.core - everything is set up
INFO  jepsen.util - 0	:invoke	:write	1
INFO  jepsen.util - 1	:invoke	:read	nil
INFO  jepsen.util - 0	:ok	:write	1
INFO  jepsen.util - 1	:fail	:read	:timed-out
INFO  jepsen.util - 0	:invoke	:cas	[1 2]
INFO  jepsen.util - 1	:invoke	:cas	[1 3]
INFO  jepsen.util - 0	:info	:cas	:timed-out
INFO  jepsen.util - 1	:fail	:cas	[1 3]
INFO  jepsen.util - 0	:invoke	:read	nil
INFO  jepsen.util - 0	:ok	:read	2
"""
MAPS = """\
{:process 0, :type :invoke, :f :append, :key "a", :value "x \\"y\\""}
{:process 1, :type :invoke, :f :get, :key "b", :value nil}
{:process 1, :type :ok, :f :get, :key "b", :value ""}
{:process 0, :type :ok, :f :append, :key "a", :value "x \\"y\\""}
{:process 1, :type :invoke, :f :get, :key "a", :value nil}
{:process 1, :type :ok, :f :get, :key "a", :value "x \\"y\\""}
"""
OWN = "\n".join(
    json.dumps(line)
    for line in (
        {"process": "eu-1", "type": "invoke", "f": "cas", "key": "roster", "value": [None, "b"]},
        {"process": "us-1", "type": "invoke", "f": "read", "key": "handle"},
        {"process": "eu-1", "type": "ok", "f": "cas", "key": "roster", "value": [None, "b"]},
        {"process": "us-1", "type": "ok", "f": "read", "key": "handle", "value": None},
        {"process": "us-1", "type": "invoke", "f": "read", "key": "roster"},
    )
)


def stale(text: str, was: str, instead: str) -> str:
    assert text.count(was) >= 1
    return instead.join(text.rsplit(was, 1))


@pytest.mark.parametrize(
    ("name", "text", "objects", "operations"),
    [("a.log", LOG, 1, 5), ("a.txt", MAPS, 2, 3), ("a.jsonl", OWN, 2, 3)],
)
def test_each_form_is_read(tmp_path: Path, name: str, text: str, objects: int, operations: int) -> None:
    (tmp_path / name).write_text(text)
    with gzip.open(tmp_path / f"{name}.gz", "wt") as file:
        file.write(text)
    plain, packed = (read_history(*found) for found in find_histories(tmp_path))
    assert plain.objects == packed.objects
    assert len(plain.objects) == objects
    assert sum(map(len, plain.objects.values())) == operations
    assert judge_folder(tmp_path).passed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.log", stale(LOG, ":read	2", ":read	3")),
        ("a.txt", stale(MAPS, '"x \\"y\\""', '"y"')),
        ("a.jsonl", stale(OWN, '"value": null', '"value": "nobody wrote this"')),
    ],
)
def test_each_form_is_judged(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    result = judge_folder(tmp_path)
    assert not result.passed
    [told] = result.summary()["files"]
    assert told["blocked"].startswith("no order has ")
    assert "FAILED: 0 of 1" in result.text()[-1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("nothing of the sort\n", "is empty"),
        (OWN.replace("invoke", "started", 1), ":1: type 'started' is not one of"),
        (OWN.splitlines()[2], ":1: an answer to process eu-1, which called nothing"),
        (OWN.splitlines()[0] + "\n" + OWN.splitlines()[0], ":2: process eu-1 calls before it was answered"),
        (OWN.splitlines()[0] + "\n{", ":2: "),
        ('{"process": 1, "type": "invoke"}', ":1: 'f'"),
        ('{"process": 1, "type": "invoke", "f": "push"}', "calls of no one kind of object: push"),
        (MAPS.replace(":key", ":clef"), ":1: not a map of an operation"),
        ("INFO  jepsen.util - 0	:invoke	:write	one", ":1: invalid literal"),
        ("INFO  jepsen.core - 0	:ok	:read	7", ":1: not a line of an operation"),
        ("INFO  jepsen.util - 0	:invoke	:cas	7", ":1: the value of a cas is [expected, new]"),
        ('{"process": 1, "type": "invoke", "f": "cas", "value": [1]}', ":1: the value of a cas is"),
        (
            '{"process": 1, "type": "invoke", "f": "write", "value": {"a": 1}}',
            ":1: value is text, a number",
        ),
        ('{"process": 1, "type": "invoke", "f": "write", "value": [[1]]}', ":1: value is text, a number"),
        ('{"process": [1], "type": "invoke", "f": "read"}', ":1: process is text or a whole number"),
        ('{"process": 1, "type": "invoke", "f": "read", "key": ["a"]}', ":1: key is text or a whole number"),
        ('{"process": 1, "type": "invoke", "f": ["read"]}', ":1: f is text, and not ['read']"),
        ('{"process": 1, "type": ["invoke"], "f": "read"}', ":1: type is text"),
        ("{\n", ":1: "),
        ('{"a":' * 100_000, ":1: "),
    ],
)
def test_what_is_no_history_is_said_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadHistory) as refused:
        read_history(tmp_path / "a.txt")
    assert complaint in str(refused.value)


def test_a_file_that_is_no_text_and_expectations_that_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"\xff\xfe")
    with pytest.raises(BadHistory, match="cannot be read"):
        read_history(tmp_path / "a.log")
    (tmp_path / "a.log").write_text(LOG)
    for rows in ("file,verdict\na.log,true\n", "file,linearizable\na.log,True\n"):
        (tmp_path / "expected.csv").write_text(rows)
        with pytest.raises(BadHistory, match=r"expected\.csv:2: a row has a file, and true or false"):
            find_histories(tmp_path)


def test_the_command_holds_histories_to_what_is_said_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.log").write_text(LOG)
    (tmp_path / "two-bad.txt").write_text(MAPS)
    asked = ["check", "--json", "--linearizability", str(tmp_path)]
    assert run(asked) == FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["histories"], told["agree"], told["linearizable"], told["passed"]) == (2, 1, 2, False)
    (tmp_path / "expected.csv").write_text("file,linearizable\none.log,true\ntwo-bad.txt,true\n")
    assert run(asked) == OK
    assert json.loads(capsys.readouterr().out)["agree"] == 2


def test_a_history_that_is_too_hard_is_undecided_and_never_agreed_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is said of it; and one that is certainly wrong is the worse news."""
    lines = [f'{{:process {n}, :type :invoke, :f :append, :key "0", :value "{n}"}}' for n in range(9)]
    lines += [f'{{:process {n}, :type :ok, :f :append, :key "0", :value "{n}"}}' for n in range(9)]
    lines += [f'{{:process 0, :type :{kind}, :f :get, :key "0", :value "no"}}' for kind in ("invoke", "ok")]
    asked = ["check", "--json", "--linearizability", str(tmp_path), "--tries", "1000"]
    for name in ("hard.txt", "hard-ok.txt", "hard-bad.txt"):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        assert run(asked) == DEGRADED
        told = json.loads(capsys.readouterr().out)
        assert (told["passed"], told["agree"], told["undecided"]) == (False, 0, 1)
        assert [(each["undecided"], each["linearizable"]) for each in told["files"]] == [(True, None)]
        (tmp_path / name).rename(tmp_path / "kept")
    (tmp_path / "kept").rename(tmp_path / "hard.txt")
    assert run([word for word in asked if word != "--json"]) == DEGRADED
    text = capsys.readouterr().out
    assert "hard.txt is undecided" in text and "UNDECIDED: 0 of 1" in text
    (tmp_path / "two-bad.txt").write_text(MAPS)
    assert run(asked) == FAILED
    assert json.loads(capsys.readouterr().out)["undecided"] == 1


def test_a_file_that_is_no_history_is_counted_and_the_others_are_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("nothing of the sort\n")
    (tmp_path / "b.log").write_text(LOG)
    (tmp_path / "c.log.gz").write_bytes(gzip.compress(LOG.encode())[:-20])
    asked = ["check", "--linearizability", str(tmp_path)]
    assert run([*asked, "--json"]) == FAILED
    told = json.loads(capsys.readouterr().out)
    counts = {name: told[name] for name in ("histories", "agree", "undecided", "unreadable", "passed")}
    assert counts == {"histories": 3, "agree": 1, "undecided": 0, "unreadable": 2, "passed": False}
    assert ["unreadable" in each for each in told["files"]] == [True, False, True]
    assert run(asked) == FAILED
    text = capsys.readouterr().out
    assert "a.txt is no history:" in text and "FAILED: 1 of 3" in text and "2 no history" in text


def test_a_bound_without_histories_is_a_wrong_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--tries", "7"]) == USAGE
    assert "--linearizability" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "count"), [("linearizability_etcd", 71), ("linearizability_kv", 4)])
def test_real_histories_are_judged_as_published(
    name: str, count: int, shared_data: Callable[[str], Path]
) -> None:
    """Jepsen's histories of etcd and of a key-value store, with the verdicts of another checker's tests."""
    summary = judge_folder(shared_data(f"conformance/{name}")).summary()
    assert (summary["histories"], summary["agree"]) == (count, count)
    assert 0 < summary["linearizable"] < count
