"""Which options somebody has typed."""

from __future__ import annotations

from collections.abc import Iterable

import click
from folkmoot.cli.errors import Usage


def is_given(parameter: str) -> bool:
    """Whether the running command's parameter of this name was typed, rather than taken by default."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is click.core.ParameterSource.COMMANDLINE


def refuse(parameters: Iterable[str], where: str) -> None:
    """Refuse options that would be passed over.

    Args:
        parameters: their names in the running command.
        where: in which case they mean nothing, as in "with --on".

    Raises:
        Usage: one of them was typed.
    """
    context = click.get_current_context()
    options = {each.name: each.opts[0] for each in context.command.params}
    for name in parameters:
        if is_given(name):
            raise Usage(f"{options[name]} means nothing {where}", hint=f"{context.command_path} --help")
