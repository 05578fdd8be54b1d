"""`folkmoot moderate`: the models that judge texts, measured."""

from __future__ import annotations

import os
from pathlib import Path

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import progress_bar

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Measure the models that judge texts."""


@command.command(
    epilog=examples(
        "folkmoot moderate evaluate --train labelled --test labelled",
        "folkmoot moderate evaluate --train labelled --test kept-back --json",
        "folkmoot moderate evaluate --train labelled --test labelled --markdown evaluation.md",
    )
)
@click.option("--train", type=FOLDER, required=True, help="The folder of labelled sets to learn from.")
@click.option("--test", type=FOLDER, required=True, help="The folder of labelled sets to measure on.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides folds and orders."
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="How many models to train at once; one a processor by default."
)
@click.option("--skip-unknown", is_flag=True, help="Leave CSV files alone whose names say nothing here.")
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the report to this file too, as a page.",
)
@json_option
def evaluate(
    train: Path,
    test: Path,
    seed: int,
    jobs: int | None,
    skip_unknown: bool,
    markdown: Path | None,
    output: Output,
) -> int:
    """Train text models on labelled sets and measure them on others.

    A folder has one file a set, `davidson_tweets.csv.gz` or `.csv` and so on; other names are refused with
    those that are known. Texts that are measured on are never learnt from, in whatever set they stand and
    however they are written; one folder given for both is measured in five folds. HateCheck is only ever
    measured on. All intervals are of 95 %. The same folders and seed give the same report, on any machine.

    Exit code 0 says that every set was measured, whether or not targets were reached, and 3 that some could
    not be, because nothing in the training folder says what they ask. 1 says that a folder or file is broken,
    with the file, the line and how to mend it.
    """
    # Imported here: other commands have no use for what this brings along.
    from folkmoot.cli.evaluating.evaluation import evaluate as measure
    from folkmoot.cli.evaluating.page import page
    from folkmoot.cli.evaluating.report import as_lines

    report = measure(
        train,
        test,
        seed=seed,
        processes=jobs or os.cpu_count() or 1,
        skip_unknown=skip_unknown,
        bar=lambda counted: progress_bar(counted, quiet=False),
    )
    if markdown is not None:
        try:
            markdown.write_text(page(report), encoding="utf-8")
        except OSError as error:
            raise OperatorError(
                f"{markdown}: {error.strerror}", hint="name a file that can be written"
            ) from error
    output.result(report, as_lines(report))
    return DEGRADED if report["not_evaluated"] else OK
