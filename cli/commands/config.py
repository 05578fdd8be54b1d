"""`folkmoot config`: is it right, and what does it say."""

from __future__ import annotations

from typing import Any

import click
from folkmoot.cli.config_option import ConfigChoice, config_option
from folkmoot.cli.examples import examples
from folkmoot.cli.output import Output, json_option, table
from folkmoot.cli.preflight import check_surroundings
from folkmoot.cli.toml_text import reference, render_value
from folkmoot.node.configuration.reading import LoadedConfig
from folkmoot.node.configuration.settings_table import Setting, settings
from folkmoot.node.configuration.values import to_plain


@click.group()
def command() -> None:
    """Check and show a configuration."""


@command.command(
    epilog=examples("folkmoot config check", "folkmoot config check --config /etc/folkmoot/folkmoot.toml")
)
@config_option
@json_option
def check(choice: ConfigChoice, output: Output) -> None:
    """Report everything wrong with a configuration, as `start` would.

    Reads the files, then looks at the keys, certificates, policy and ports they name, and at the cluster that
    the founders and replicas make. The store is not opened. What of the policy will not be in force,
    because a rule has expired or a text model is not there, is told as well.
    """
    warnings = check_surroundings(choice.load())
    good = f"{choice.file} is good to start with"
    told = "\n".join((good, *(f"but {each}" for each in warnings)))
    output.result({"ok": True, "config": str(choice.file), "warnings": warnings}, told)


@command.command(
    epilog=examples(
        "folkmoot config show",
        "folkmoot config show --effective --json",
        "folkmoot config show --reference > folkmoot.toml",
    )
)
@click.option("--effective", is_flag=True, help="All settings, defaults too.")
@click.option(
    "--reference", "as_reference", is_flag=True, help="A commented file of all settings; reads nothing."
)
@config_option
@json_option
def show(effective: bool, as_reference: bool, choice: ConfigChoice, output: Output) -> None:
    """Show what is set, from where, and what makes a change take effect."""
    if as_reference:
        output.result({"reference": reference()}, reference().rstrip("\n"))
        return
    loaded = choice.load()
    rows = [
        row
        for each in settings()
        if (row := _row(each, loaded)) and (effective or row["source"] != "default")
    ]
    shown = [row | {"value": "unset" if row["value"] is None else render_value(row["value"])} for row in rows]
    output.result({"settings": rows}, table(shown, ("name", "value", "source", "applies")))


def _row(setting: Setting, loaded: LoadedConfig) -> dict[str, Any]:
    section = getattr(loaded.config, setting.section)
    return {
        "name": setting.name,
        "value": to_plain(getattr(section, setting.key)),
        "source": loaded.sources[setting.name],
        "applies": setting.applies,
        "unit": setting.unit,
        "sentence": setting.sentence,
    }
