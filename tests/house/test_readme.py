"""What the README tells people to type works, in a home and a checkout of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.console import Shown, differences, printed_by, script_of, script_with_marks, shown_commands
from tests.house.tree import ROOT, read

# `make test` would run this test again; where the clone comes from depends on the reader.
LEFT_OUT = ("make test", "git clone", "cd ")


def linked_checkout(folder: Path) -> Path:
    """A folder that shows this checkout's files, so that what commands write lands beside them.

    The installation is brought up to date first: an install from inside the folder would make the real
    `.venv` point at a folder that is gone after the test.
    """
    subprocess.run(["make", "dev"], cwd=ROOT, check=True, capture_output=True)
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name != ".git":
            (folder / entry.name).symlink_to(entry)
    return folder


def run_in_own_home(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with nothing of this user's but the interpreter that runs the tests."""
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
    }
    return subprocess.run(
        ["bash", "-c", script],
        cwd=linked_checkout(home / "folkmoot"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_the_commands_of_the_readme_work_and_print_what_it_shows(tmp_path: Path) -> None:
    commands = shown_commands(read("README.md"))
    assert Shown("make demo", "") in [Shown(each.command, "") for each in commands]
    finished = run_in_own_home(script_with_marks(commands, LEFT_OUT), tmp_path)
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
    complaints = differences(commands, printed_by(finished.stdout))
    assert not complaints, "\n\n".join(complaints)


def test_the_readme_says_how_to_test() -> None:
    assert "make test" in [each.command for each in shown_commands(read("README.md"))]


def test_continuous_integration_runs_what_the_readme_says() -> None:
    lines = read(".ci/run").splitlines()
    assert lines[-2:] == ["make test", "make check"]
    assert "set -euo pipefail" in lines


DOCUMENT = """Text.

```console
$ echo one \\
    two
one two
$ make test
… 100 passed
$ false
$ echo three
```

```
$ echo not-a-console
```
"""


def test_commands_are_found_in_order_with_their_output() -> None:
    assert shown_commands(DOCUMENT) == [
        Shown("echo one \\\n    two", "one two"),
        Shown("make test", "… 100 passed"),
        Shown("false", ""),
        Shown("echo three", ""),
    ]


def test_a_command_that_fails_is_reported(tmp_path: Path) -> None:
    finished = run_in_own_home(script_of(shown_commands(DOCUMENT), LEFT_OUT), tmp_path)
    assert finished.returncode != 0
    assert finished.stdout == "one two\n"
    assert "failed: false" in finished.stderr


def test_an_output_that_is_shown_otherwise_is_reported(tmp_path: Path) -> None:
    shown = [
        Shown(
            "echo 'stored: 3 posts in 0.25 s by did:key:z6MkAlice'",
            "stored: 1,200 posts in 9 s by did:key:z6Mk…",
        ),
        Shown("printf 'name     state\\nus-1 dead\\nmore\\n'", "name  state\nus-1  suspect"),
        Shown("echo us-2", "us-1"),
        Shown("echo gone", "lost"),
        Shown("true", "a word"),
        Shown("make test", "not run"),
        Shown("echo more", ""),
    ]
    finished = run_in_own_home(script_with_marks(shown, LEFT_OUT), tmp_path)
    complaints = differences(shown, printed_by(finished.stdout))
    assert [each.splitlines()[0] for each in complaints] == ["$ echo us-2", "$ echo gone", "$ true"]


def test_what_commands_write_stays_out_of_the_checkout(tmp_path: Path) -> None:
    script = script_of([Shown("echo mine > written-by-a-test", ""), Shown("test -f Makefile", "")], ())
    assert run_in_own_home(script, tmp_path).returncode == 0
    assert not (ROOT / "written-by-a-test").exists()
