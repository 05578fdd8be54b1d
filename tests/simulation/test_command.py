"""`folkmoot simulate` from outside."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from folkmoot.cli.commands.simulate import command
from folkmoot.cli.main import run
from folkmoot.node.simulation.schedule import FAULTS
from folkmoot.node.tally import AckTally

from tests.waiting import until_blocking

# Says when nodes are up and people write. What a shell put aside is deaf to these, hence the handlers.
INTERRUPTIBLE = """
import signal, sys
from folkmoot.cli.main import main
from folkmoot.node.simulation import everybody
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
live = everybody.Everybody.live_and_settle
async def told(self, *arguments):
    print("under way", file=sys.stderr, flush=True)
    await live(self, *arguments)
everybody.Everybody.live_and_settle = told
sys.argv = ["folkmoot", "simulate", "--minutes", "1000", *sys.argv[1:]]
main()
"""


def simulate(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def lines_of(result: Result) -> list[dict[str, Any]]:
    """What was printed on standard output, one JSON object a line."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_says_exactly_what_is_promised() -> None:
    arguments = ("--seed", "3", "--nodes", "3", "--minutes", "0.3", "--faults", "none", "--json")
    result = simulate(*arguments)
    (told,) = lines_of(result)
    assert list(told) == ["seed", "trace", "simulated_s", "real_s", "checks", "tried"]
    assert told["seed"] == 3
    assert told["simulated_s"] >= 18
    assert {"I2", "I3", "I5", "I6", "I9", "I10", "I12"} <= set(told["checks"])
    assert all(check["ok"] and check["compared"] for check in told["checks"].values())
    assert result.return_value == 0
    assert lines_of(simulate(*arguments))[0]["trace"] == told["trace"]


def test_several_seeds_are_a_line_each() -> None:
    result = simulate("--seeds", "4..5", "--nodes", "3", "--minutes", "0.2", "--faults", "loss", "--json")
    assert [told["seed"] for told in lines_of(result)] == [4, 5]


def test_a_broken_promise_ends_with_1_and_the_line_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AckTally, "reached", lambda self, level: bool(self.acked))
    result = simulate("--seed", "2", "--nodes", "3", "--minutes", "0.2", "--faults", "delay,loss")
    assert result.return_value == 1
    assert "I5     BROKEN" in result.stdout
    assert "replay: folkmoot simulate --seed 2 --nodes 3 --minutes 0.2 --faults delay,loss" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_signal_ends_it_at_once_and_is_said(as_json: bool, number: signal.Signals) -> None:
    """In a run that would take longer than the test may."""
    command_line = [sys.executable, "-c", INTERRUPTIBLE, *["--json"] * as_json]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "under way\n"
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == "folkmoot: interrupted\n"
    assert (json.loads(out)["error"]["name"] if as_json else out) == ("interrupted" if as_json else "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--faults", "gremlins"),
        ("--faults", ""),
        ("--faults", "loss,,delay"),
        ("--seeds", "9..3"),
        ("--seeds", "many"),
        ("--seed", "3", "--seeds", "1..2"),
        ("--nodes", "0"),
        ("--episodes", "999"),
        ("--episodes", "0"),
        ("--episodes", "1", "--faults", "none"),
    ],
)
def test_a_wrong_command_line_is_2(arguments: tuple[str, ...]) -> None:
    assert run(("simulate", *arguments)) == 2


def test_every_fault_is_in_the_help() -> None:
    told = " ".join(simulate("--help").output.split())
    assert all(re.search(rf"\b{name}\b", told) for name in FAULTS)


def test_workers_do_not_outlive_a_series_that_was_killed(tmp_path: Path) -> None:
    arguments = ("simulate", "--seeds", "1..4", "--minutes", "900", "--nodes", "3", "--jobs", "2")
    with subprocess.Popen([sys.executable, "-m", "folkmoot.cli", *arguments]) as process:
        try:
            until_blocking(lambda: len(workers_of(process.pid)) >= 2, what="two workers", within_s=30)
            workers = workers_of(process.pid)
        finally:
            process.kill()
    until_blocking(lambda: not any(map(is_alive, workers)), what="the workers to end", within_s=30)


def workers_of(parent: int) -> list[int]:
    """The process ids of the workers, without what multiprocessing has beside them."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
