"""Which configuration a command means: `--config`, `--set`, the environment, and where to look by default."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.node.configuration.reading import LoadedConfig, load

Command = TypeVar("Command", bound=Callable[..., Any])

CONFIG_NAME: Final = "folkmoot.toml"


def home() -> Path:
    """Where a node lives unless told otherwise: under `/var/lib` for root, the XDG data home for others."""
    return Path("/var/lib/folkmoot") if os.geteuid() == 0 else user_home()


def user_home() -> Path:
    """Where a person's own things are, such as the key they post with."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "folkmoot"


def find_config(given: Path | None) -> Path:
    """The configuration file to use.

    Raises:
        OperatorError: none was given and none is where it could be.
    """
    if given is not None:
        return given
    candidates = [Path(CONFIG_NAME), home() / CONFIG_NAME, Path("/etc/folkmoot") / CONFIG_NAME]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise OperatorError(f"no configuration found; looked for {looked}", hint="folkmoot init")


class ConfigChoice:
    """What the command line says about the configuration.

    Args:
        file: `--config`.
        assignments: `--set`, as `section.key=value`.
    """

    def __init__(self, file: Path | None, assignments: Sequence[str]) -> None:
        self._given = file
        self.flags: dict[str, str] = {}
        for assignment in assignments:
            name, equals, value = assignment.partition("=")
            if not equals or "." not in name:
                raise click.UsageError(f"--set wants section.key=value, got {assignment!r}")
            self.flags[name] = value

    @property
    def file(self) -> Path:
        """The file meant. Raises OperatorError as `find_config` does."""
        return find_config(self._given)

    def load(self) -> LoadedConfig:
        """Read it, now. Raises ConfigError as `folkmoot.node.configuration.reading.load` does."""
        return load(self.file, environment=os.environ, flags=self.flags)


def config_option(command: Command) -> Command:
    """Give a command `--config` and `--set`, and pass it a `choice`."""

    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="FOLKMOOT_CONFIG",
        help="The configuration file. [default: ./folkmoot.toml, then the node's home]",
    )
    @click.option(
        "--set",
        "assignments",
        metavar="SECTION.KEY=VALUE",
        multiple=True,
        help="Override one setting; may be repeated.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, config_file: Path | None, assignments: Sequence[str], **options: Any) -> Any:
        return command(*args, choice=ConfigChoice(config_file, assignments), **options)

    return wrapped  # type: ignore[return-value]  # the same command with its `choice` filled in
