"""`folkmoot simulate` from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from folkmoot.cli.commands.simulate import command
from folkmoot.cli.main import run
from folkmoot.node.tally import AckTally


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
    assert list(told) == ["seed", "trace", "simulated_s", "real_s", "checks"]
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


@pytest.mark.parametrize(
    "arguments", [("--faults", "gremlins"), ("--seeds", "9..3"), ("--seeds", "many"), ("--nodes", "0")]
)
def test_a_wrong_command_line_is_2(arguments: tuple[str, ...]) -> None:
    assert run(("simulate", *arguments)) == 2
