"""The systemd unit starts the program that there is, and gives it the time that it takes."""

from __future__ import annotations

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import click
import pytest
from folkmoot.cli.main import cli
from folkmoot.cli.node_process import DRAIN_S
from folkmoot.protocol import limits

from tests.house.tree import ROOT, read

UNIT = "configs/folkmoot.service"


@pytest.fixture
def service() -> dict[str, str]:
    """The `[Service]` section; of a name that stands twice, the last."""
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
    parser.read_string(read(UNIT))
    return dict(parser["Service"])


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_it_starts_the_program(service: dict[str, str]) -> None:
    program, name, *words = service["ExecStart"].split()
    command = cli.get_command(click.Context(cli), name)
    assert Path(program).name == "folkmoot" and command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    assert service["Type"] == "notify", "the node says READY=1 itself"


def test_it_waits_for_the_node_to_drain(service: dict[str, str]) -> None:
    assert seconds(service["TimeoutStopSec"]) > DRAIN_S
    assert seconds(service["WatchdogSec"]) >= limits.REQUEST_TIMEOUT_S
    assert int(service["LimitNOFILE"]) > 2 * limits.CONNECTIONS_PER_LISTENER + limits.ROSTER_NODES


def test_it_gives_the_least_rights(service: dict[str, str]) -> None:
    assert service["CapabilityBoundingSet"] == ""
    assert {service[name] for name in ("NoNewPrivileges", "PrivateDevices", "MemoryDenyWriteExecute")} == {
        "yes"
    }
    assert service["ProtectSystem"] == "strict" and service["StateDirectory"] == "folkmoot"
    assert service["User"] != "root"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_understands_it(tmp_path: Path) -> None:
    unit = tmp_path / "folkmoot.service"
    unit.write_text((ROOT / UNIT).read_text().replace("/usr/local/bin/folkmoot", shutil.which("true") or ""))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    said = [line for line in verified.stderr.splitlines() if "folkmoot.service" in line]
    assert (verified.returncode, said) == (0, [])
