"""The evidence of a policy on a command line: told, and counted again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.community.documents import Document
from folkmoot.cli.progress import OnProgress, progress_bar
from folkmoot.node.configuration.toml_source import TomlSource
from folkmoot.node.moderation.policy_layers import layers_of
from folkmoot.protocol.moderation.policy import PolicyError, Regional
from folkmoot.protocol.moderation.table import LANGUAGE

if TYPE_CHECKING:
    from folkmoot.cli.evaluating.recounting import Claim, Finding

_ENGLISH: Final = "en"
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)

Option = Callable[..., Any]


class LabelledType(click.ParamType[tuple[str, Path]]):
    """A folder of labelled sets, and the language of its texts."""

    name = "[language=]dir"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        """The language, English if none is named, and the folder."""
        if isinstance(value, tuple):
            return value
        before, equals, after = value.partition("=")
        named = bool(equals) and LANGUAGE.fullmatch(before) is not None
        language, folder = (before, after) if named else (_ENGLISH, value)
        return language, _FOLDER.convert(folder, param, ctx)


def evidence_options(command: Option) -> Option:
    """Give a command what counting again needs."""
    for option in (
        click.option(
            "--skip-unknown", is_flag=True, help="Leave CSV files alone whose names say nothing here."
        ),
        click.option(
            "--jobs", type=click.IntRange(1, 64), help="How many models to train at once; one a processor."
        ),
        click.option("--models", type=_FOLDER, help="Where the models are.  [default: beside FILE]"),
        click.option(
            "--evidence-from",
            "labelled",
            type=LabelledType(),
            multiple=True,
            metavar="[LANGUAGE=]DIR",
            help="Count the evidence again from these labelled sets; once a language, en if none is named.",
        ),
    ):
        command = option(command)
    return command


def evidence_in(
    read: Document,
    policy: Regional,
    labelled: Sequence[tuple[str, Path]],
    models: Path | None,
    jobs: int | None,
    skip_unknown: bool,
) -> list[Finding]:
    """What is known of the evidence of a policy.

    Args:
        read, policy: what was read, and what it says in all regions.
        labelled: folders to count again from, by language; none to leave it at what it says.
        models: where its models are; None for beside it.
        jobs: how many are trained at once; None for one a processor.
        skip_unknown: see `read_folder`.

    Raises:
        PolicyError: something else was found than it says; with places in it.
        FolderError, TableError, OperatorError: a folder or a file is not what it should be.
    """
    # Imported here: other commands have no use for what this brings along.
    from folkmoot.cli.evaluating import recounting

    folders = dict(labelled)
    if len(folders) < len(labelled):
        raise click.UsageError("--evidence-from is given once for each language")
    claims = _placed(read, policy)
    if not labelled:
        return [recounting.unchecked(claim) for claim in claims.values()]
    file = Path(read.called)
    counting = recounting.Recounting(
        folders,
        [file.parent] if models is None else [models],
        processes=jobs or os.cpu_count() or 1,
        skip_unknown=skip_unknown,
        bar=_bar,
    )
    findings = list(counting.check(list(claims.values())))
    if problems := recounting.problems_of(zip(claims, findings, strict=True)):
        raise PolicyError(problems)
    return findings


def _placed(read: Document, policy: Regional) -> dict[str, Claim]:
    """All that a policy says of its models, in whichever of its layers, by `file:line:column`."""
    from folkmoot.cli.evaluating.recounting import claims_of

    file = Path(read.called)
    placed: dict[str, Claim] = {}
    for region, document in policy.different().items():
        layers = [
            TomlSource(file.with_name(name) if name else file, data.decode())
            for name, data in layers_of(read.data, region).items()
        ]
        at = {
            model["id"]: (source, number)
            for source in layers
            for number, model in enumerate(source.data.get("models", ()))
        }
        for claim in claims_of(document):
            source, number = at[claim.model.id]
            placed.setdefault(source.locate(("models", number, *claim.path)), claim)
    return placed


def _bar(counted: str) -> AbstractContextManager[OnProgress]:
    return progress_bar(counted, quiet=False)
