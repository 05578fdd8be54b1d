"""Command lines: what they print where, what they end with, and what they leave behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from folkmoot.cli import exit_codes
from folkmoot.cli.errors import OperatorError, Unreachable, describe
from folkmoot.cli.main import COMMANDS, cli
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.toml_text import reference
from folkmoot.node.configuration.reading import load
from folkmoot.node.configuration.settings_table import settings
from folkmoot.node.data_directory import DataDirectory, DataDirectoryError
from folkmoot.protocol.errors import BUSY, FORBIDDEN, WireError

from tests.house.tree import ROOT
from tests.small_disks import files_up_to

REFERENCE_FILE = Path(__file__).parents[2] / "configs" / "folkmoot.toml"


class TestHelp:
    def test_it_lists_commands_and_exit_codes_without_importing_any_command(self) -> None:
        program = (
            "import sys; from folkmoot.cli.main import run; code = run(['--help'])\n"
            "heavy = ('folkmoot.cli.commands.', 'trio', 'rich')\n"
            "print([name for name in sys.modules if name.startswith(heavy)])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        listing, _, imported = done.stdout.rstrip().rpartition("\n")
        assert imported == "[]"
        for name in (name for section in COMMANDS.values() for name in section):
            assert f"\n  {name} " in listing
        for code, meaning in exit_codes.MEANINGS.items():
            assert f"{code} " in listing and meaning in listing

    def test_every_command_says_in_the_listing_what_its_own_help_says(self) -> None:
        context = click.Context(cli)
        for section in COMMANDS.values():
            for name, sentence in section.items():
                command = cli.get_command(context, name)
                assert command is not None and command.help is not None
                assert command.help.partition("\n\n")[0].replace("\n", " ") == sentence

    def test_every_leaf_has_examples_and_json(self) -> None:
        leaves = list(_leaves(cli, "folkmoot"))
        assert len(leaves) > 15
        for path, leaf in leaves:
            assert "Examples:" in (leaf.epilog or ""), path
            assert any("--json" in parameter.opts for parameter in leaf.params), path

    def test_the_version_is_printed(self, folkmoot: Any) -> None:
        assert folkmoot("--version").out.startswith("folkmoot, version ")


def _leaves(command: click.Command, path: str) -> Any:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _leaves(child, f"{path} {name}")
    else:
        yield path, command


class TestNumbers:
    @pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "inf", "-inf", "1e999"])
    def test_only_finite_ones_are_taken(self, text: str) -> None:
        with pytest.raises(click.BadParameter, match="not a finite number"):
            FiniteFloat(0, 10)(text)
        with pytest.raises(click.BadParameter, match="not a finite number"):
            FiniteFloat()(float(text))
        assert (FiniteFloat(0, 10)("2.5"), FiniteFloat(min=0)(0)) == (2.5, 0.0)
        for beyond in ("11", "-1", "x", ""):
            with pytest.raises(click.BadParameter):
                FiniteFloat(0, 10)(beyond)

    def test_every_command_takes_no_other(self) -> None:
        typed = [
            (path, parameter.name, parameter.type)
            for path, leaf in _leaves(cli, "folkmoot")
            for parameter in leaf.params
            if isinstance(parameter.type, click.types.FloatParamType | click.FloatRange)
        ]
        assert len(typed) > 5
        assert [found for found in typed if not isinstance(found[2], FiniteFloat)] == []

    @pytest.mark.parametrize(
        "words",
        [
            ("simulate", "--minutes", "nan"),
            ("bench", "run", "--seconds", "nan"),
            ("check", "--deadline", "nan"),
            ("cluster", "slow", "eu-1:us-1", "--delay-ms", "nan"),
            ("cluster", "slow", "eu-1:us-1", "--loss", "nan"),
        ],
    )
    def test_what_is_none_is_a_usage_error(self, folkmoot: Any, words: tuple[str, ...]) -> None:
        ran = folkmoot(*words)
        assert (ran.code, ran.out) == (exit_codes.USAGE, "")
        assert "not a finite number" in ran.err


class TestUsage:
    @pytest.mark.parametrize(
        "words",
        [
            ("--nonsense",),
            ("dance",),
            ("init",),
            ("init", "--clustr", "x"),
            ("keys", "new"),
            ("config", "show", "--set", "x"),
        ],
    )
    def test_a_wrong_line_is_exit_code_2_with_a_way_on(self, folkmoot: Any, words: tuple[str, ...]) -> None:
        ran = folkmoot(*words)
        assert (ran.code, ran.out) == (exit_codes.USAGE, "")
        assert ran.err.startswith("folkmoot: ")
        assert "--help" in ran.err

    def test_with_json_the_error_is_an_object_on_standard_output(self, folkmoot: Any) -> None:
        ran = folkmoot("init", "--json")
        assert ran.code == exit_codes.USAGE
        assert ran.json["error"]["name"] == "usage"
        assert ran.json["error"]["hint"] == "folkmoot init --help"


class TestInit:
    def test_it_makes_a_node_that_checks(self, folkmoot: Any, tmp_path: Path) -> None:
        made = folkmoot(
            *("init", "--directory", "n", "--cluster", "alpha", "--name", "one", "--tls", "off", "--json")
        )
        assert made.code == exit_codes.OK
        assert made.json["config"] == str(tmp_path / "n" / "folkmoot.toml")
        assert (tmp_path / "n").stat().st_mode & 0o777 == 0o700
        assert folkmoot("config", "check", "--config", "n/folkmoot.toml", "--json").json["ok"] is True
        config = load(tmp_path / "n" / "folkmoot.toml").config
        assert (config.node.name, config.cluster.id, config.tls.mode) == ("one", "alpha", "off")

    def test_it_has_a_policy_to_begin_with_where_the_configuration_says(
        self, folkmoot: Any, tmp_path: Path
    ) -> None:
        made = folkmoot("init", "--directory", "n", "--cluster", "alpha", "--tls", "off", "--json").json
        policy = tmp_path / "n" / "policy.toml"
        assert made["policy"] == str(policy) == str(load(Path(made["config"])).config.gate.policy)
        assert policy.read_bytes() == (ROOT / "configs" / "policies" / "default.toml").read_bytes()
        policy.write_text("version = 99\n")
        said = folkmoot("config", "check", "--config", made["config"], "--json").json["error"]["problems"]
        assert any(problem.startswith(f"{policy}:1:1: ") for problem in said), said

    def test_a_policy_that_is_there_already_is_kept(self, folkmoot: Any, tmp_path: Path) -> None:
        (tmp_path / "n").mkdir()
        (tmp_path / "n" / "policy.toml").write_text("mine")
        assert (
            folkmoot("init", "--directory", "n", "--cluster", "alpha", "--tls", "off").code == exit_codes.OK
        )
        assert (tmp_path / "n" / "policy.toml").read_text() == "mine"

    def test_it_never_overwrites(self, folkmoot: Any, tmp_path: Path) -> None:
        folkmoot("init", "--directory", "n", "--cluster", "alpha")
        before = {file: file.read_bytes() for file in (tmp_path / "n").rglob("*") if file.is_file()}
        again = folkmoot("init", "--directory", "n", "--cluster", "beta")
        assert again.code == exit_codes.FAILED
        assert "exists" in again.err
        assert {file: file.read_bytes() for file in before} == before

    def test_a_disk_that_fills_up_leaves_nothing_in_the_way(
        self, folkmoot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_room(data: DataDirectory, *words: object) -> None:
            raise DataDirectoryError(f"{data.id_file}: No space left on device")

        line = ("init", "--directory", "n", "--cluster", "alpha")
        for room in (0, 70):
            with files_up_to(room):
                assert folkmoot(*line).code == exit_codes.FAILED
        with monkeypatch.context() as patched:
            patched.setattr(DataDirectory, "create", no_room)
            assert folkmoot(*line).code == exit_codes.FAILED
        assert [file for file in (tmp_path / "n").rglob("*") if file.is_file()] == []
        assert folkmoot(*line).code == exit_codes.OK

    def test_a_bad_value_leaves_nothing_behind(self, folkmoot: Any, tmp_path: Path) -> None:
        ran = folkmoot("init", "--directory", "n", "--cluster", "Not A Slug", "--seed", "nowhere")
        assert ran.code == exit_codes.USAGE
        assert "cluster.id" in ran.err and "cluster.seeds" in ran.err
        assert not (tmp_path / "n").exists()

    def test_the_ring_of_the_cluster_is_taken(self, folkmoot: Any, tmp_path: Path) -> None:
        folkmoot("init", "--directory", "a", "--cluster", "alpha")
        ring = tmp_path / "a" / "keys" / "gossip.ring"
        ran = folkmoot(
            "init", "--directory", "b", "--cluster", "alpha", "--seed", "h:1", "--gossip-ring", str(ring)
        )
        assert ran.code == exit_codes.OK
        assert (tmp_path / "b" / "keys" / "gossip.ring").read_bytes() == ring.read_bytes()


class TestConfigCheck:
    def test_all_unknown_keys_are_reported_with_their_lines(self, folkmoot: Any, tmp_path: Path) -> None:
        file = tmp_path / "bad.toml"
        file.write_text('[node]\nname = "one"\nregoin = "eu"\n[cluster]\nid = "a"\nsedes = []\n')
        ran = folkmoot("config", "check", "--config", str(file), "--json")
        assert ran.code == exit_codes.FAILED
        assert ran.json["error"]["problems"] == [
            f"{file}:3:1: no setting node.regoin; did you mean region?",
            f"{file}:6:1: no setting cluster.sedes; did you mean seeds?",
        ]
        assert f"{file}:3:1" in ran.err

    def test_all_that_is_missing_around_it_is_reported(self, folkmoot: Any, tmp_path: Path) -> None:
        file = tmp_path / "f.toml"
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        file.write_text(
            f'[node]\nname = "one"\n[cluster]\nid = "a"\n[listen]\nclients = "127.0.0.1:{port}"\n'
            '[gate]\npolicy = "absent.toml"\n'
        )
        with taken:
            problems = folkmoot("config", "check", "--config", str(file), "--json").json["error"]["problems"]
        for word in (
            "node.id",
            "service.key",
            "gossip.ring",
            "tls.ca",
            "tls.certificate",
            "tls.key",
            "gate.policy",
        ):
            assert sum(word in problem for problem in problems) == 1, word
        busy = problems[0]
        assert busy.startswith(f"{file}:6:1: listen.clients: cannot listen"), "what has a line comes first"
        assert f"`ss -ltnp 'sport = :{port}'` shows who does" in busy

    def test_without_any_configuration_it_says_where_it_looked(self, folkmoot: Any) -> None:
        ran = folkmoot("config", "check")
        assert ran.code == exit_codes.FAILED
        assert "looked for folkmoot.toml" in ran.err
        assert "try: folkmoot init" in ran.err


class TestConfigShow:
    def test_effective_lists_every_setting_with_its_source(self, folkmoot: Any) -> None:
        folkmoot("init", "--directory", "n", "--cluster", "alpha")
        line = ("config", "show", "--config", "n/folkmoot.toml", "--set", "log.level=debug", "--json")
        rows = {row["name"]: row for row in folkmoot(*line, "--effective").json["settings"]}
        assert list(rows) == [setting.name for setting in settings()]
        assert rows["log.level"] | {"sentence": ""} == {
            "name": "log.level",
            "value": "debug",
            "source": "flag log.level",
            "applies": "reload",
            "unit": "",
            "sentence": "",
        }
        assert rows["store.disk_cap"]["source"] == "default"
        assert "store.disk_cap" not in {row["name"] for row in folkmoot(*line).json["settings"]}

    def test_the_reference_file_in_configs_is_the_one_printed(self, folkmoot: Any) -> None:
        assert folkmoot("config", "show", "--reference").out == reference() == REFERENCE_FILE.read_text()

    def test_the_reference_is_a_configuration_and_stays_one_uncommented(self, tmp_path: Path) -> None:
        load(REFERENCE_FILE)
        file = tmp_path / "all.toml"
        file.write_text("\n".join(_uncommented(reference())))
        config = load(file).config
        assert len(config.cluster.founders) == len(config.screening.lists) == 1


def _uncommented(text: str) -> list[str]:
    """Every setting with its value; arrays of tables come last and as their examples have them, for after
    them TOML takes no more keys of their sections."""
    plain: list[str] = []
    tables: list[str] = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        at = next((number for number, line in enumerate(lines) if line.startswith("# [[")), None)
        if at is None:
            plain += [line.removeprefix("# ") for line in lines if " = " in line or line.startswith("[")]
        else:
            tables += [line.removeprefix("# ") for line in lines[at:]]
    return [*plain, *tables]


class TestKeys:
    def test_a_new_key_is_private_and_shows_its_account(self, folkmoot: Any, tmp_path: Path) -> None:
        made = folkmoot("keys", "new", "alice.key")
        assert made.code == exit_codes.OK
        assert made.out.startswith("did:key:z6Mk")
        assert (tmp_path / "alice.key").stat().st_mode & 0o777 == 0o600
        shown = folkmoot("keys", "show", "alice.key", "--json")
        assert shown.json["account"] == made.out.strip()
        assert (tmp_path / "alice.key").read_text().strip().partition(":")[2] not in shown.out

    def test_a_key_is_never_overwritten(self, folkmoot: Any, tmp_path: Path) -> None:
        folkmoot("keys", "new", "k")
        before = (tmp_path / "k").read_bytes()
        ran = folkmoot("keys", "new", "k")
        assert ran.code == exit_codes.FAILED
        assert (tmp_path / "k").read_bytes() == before

    @pytest.mark.parametrize("text", ["", "hello", "ed25519-seed:00"])
    def test_what_is_no_key_is_refused(self, folkmoot: Any, tmp_path: Path, text: str) -> None:
        (tmp_path / "k").write_text(text)
        (tmp_path / "k").chmod(0o600)
        ran = folkmoot("keys", "show", "k")
        assert (ran.code, ran.out) == (exit_codes.FAILED, "")

    def test_a_directory_that_is_not_there_is_said(self, folkmoot: Any) -> None:
        ran = folkmoot("keys", "new", "absent/k")
        assert ran.code == exit_codes.FAILED
        assert "absent/k: No such file or directory" in ran.err


@pytest.mark.parametrize(
    ("error", "name", "code"),
    [
        (OperatorError("no"), "operator_error", exit_codes.FAILED),
        (Unreachable("no"), "unreachable", exit_codes.UNREACHABLE),
        (WireError(BUSY, "no", retry_after_ms=5), "busy", exit_codes.DEGRADED),
        (WireError(FORBIDDEN, "no"), "forbidden", exit_codes.FAILED),
        (click.UsageError("no"), "usage", exit_codes.USAGE),
        (KeyboardInterrupt(), "interrupted", exit_codes.INTERRUPTED),
        (PermissionError(13, "no", "f"), "system", exit_codes.FAILED),
        (
            ExceptionGroup("", [ExceptionGroup("", [Unreachable("no")])]),
            "unreachable",
            exit_codes.UNREACHABLE,
        ),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, name: str, code: int) -> None:
    failure = describe(error)
    assert failure is not None
    assert (failure.name, failure.exit_code) == (name, code)


def test_an_interrupt_is_one_whatever_broke_with_it() -> None:
    error = BaseExceptionGroup(
        "", [KeyError("on the way out"), BaseExceptionGroup("", [KeyboardInterrupt()])]
    )
    failure = describe(error)
    assert failure is not None and failure.exit_code == exit_codes.INTERRUPTED


@pytest.mark.parametrize("error", [KeyError("bug"), ExceptionGroup("", [Unreachable("no"), KeyError("bug")])])
def test_a_bug_keeps_its_traceback(error: BaseException) -> None:
    assert describe(error) is None


def test_a_reader_that_had_enough_gets_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "folkmoot.cli", "config", "show", "--reference"]
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (exit_codes.FAILED, b"")
