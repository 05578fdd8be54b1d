"""`folkmoot moderate`: the models that judge texts, trained and measured."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

import click
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.evaluating.forms import QUESTIONS
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import OnProgress, progress_bar
from folkmoot.protocol.moderation.table import LANGUAGE

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _language_tag(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not LANGUAGE.fullmatch(value.lower()):
        raise click.BadParameter(f"{value!r} is no language tag, such as pt-br")
    return value.lower()


@click.group()
def command() -> None:
    """Train the models that judge texts, and measure them."""


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


@command.command(
    "train",
    epilog=examples(
        "folkmoot moderate train --train labelled --question toxic --out models",
        "folkmoot moderate train --train labelled --question hate --out models --language en --json",
    ),
)
@click.option("--train", type=FOLDER, required=True, help="The folder of labelled sets to learn from.")
@click.option("--question", type=click.Choice(QUESTIONS), required=True, help="What the model is to judge.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the model's file goes: beside a policy, or models/ of a data directory.",
)
@click.option(
    "--language",
    default="en",
    show_default=True,
    callback=_language_tag,
    help="Of the texts, for the evidence.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides folds and orders."
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="How many models to train at once; one a processor by default."
)
@click.option("--skip-unknown", is_flag=True, help="Leave CSV files alone whose names say nothing here.")
@json_option
def train_model(
    train: Path,
    question: str,
    out: Path,
    language: str,
    seed: int,
    jobs: int | None,
    skip_unknown: bool,
    output: Output,
) -> None:
    """Train a text model for the gate, and print what a policy says to use it.

    The model learns from every text of the folder that says something of the question (never from HateCheck)
    and is written to `<hash>.model`. The evidence that is printed counts texts by the scores of models that
    had not seen them; `at_precision` in a rule finds its threshold there. It promises something about texts
    like those of the folder, as often bad as they are: where bad ones are rarer, precision is lower. The same
    folder and seed give the same model, on any machine.
    """
    from folkmoot.cli.evaluating.corpus import prepare
    from folkmoot.cli.evaluating.folders import read_folder
    from folkmoot.cli.evaluating.teaching import teach as taught_by
    from folkmoot.cli.evaluating.teaching import untaught

    def bar(counted: str) -> AbstractContextManager[OnProgress]:
        return progress_bar(counted, quiet=False)

    corpus = prepare(read_folder(train, skip_unknown=skip_unknown))
    if why := untaught(corpus, question):
        raise OperatorError(f"{train}: {why}", hint="name a folder with sets that do, or another question")
    taught = taught_by(corpus, question, seed=seed, processes=jobs or os.cpu_count() or 1, bar=bar)
    file = out / f"{taught.model.hash()}.model"
    try:
        out.mkdir(parents=True, exist_ok=True)
        file.write_bytes(taught.model.encode())
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}", hint="name a folder that can be written") from error
    policy = taught.as_policy(language)
    report = {"file": str(file), "hash": taught.model.hash(), "texts": taught.texts, "policy": policy}
    output.result(report, f"{file} learnt from {taught.texts} texts; to use it, a policy says\n\n{policy}")
