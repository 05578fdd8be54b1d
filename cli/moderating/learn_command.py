"""`folkmoot moderate learn` and `folkmoot moderate replay`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.moderating.subjects import reviewer_key
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import OnProgress, progress_bar
from folkmoot.cli.social.own_key import key_option

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PATIENCE_S = 600.0


@click.command(
    epilog=examples(
        "folkmoot moderate learn --model models/HASH.model --out models",
        "folkmoot moderate learn --model models/HASH.model --out models --rule threats --json",
    )
)
@click.option("--model", "current_file", type=FILE, required=True, help="The model that is in use.")
@click.option(
    "--base",
    "base_file",
    type=FILE,
    help="What learning begins from.  [default: what the model in use began from]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where the challenger and its manifest go.",
)
@click.option(
    "--rule", "rules", multiple=True, help="A rule that stands for the question; may be given several times."
)
@click.option(
    "--reviewer-share",
    type=FiniteFloat(0.0, 1.0, min_open=True),
    default=0.33,
    show_default=True,
    help="What part of the weight may come of one reviewer.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides folds and orders."
)
@key_option
@target_options
@json_option
def learn(
    current_file: Path,
    base_file: Path | None,
    out: Path,
    rules: tuple[str, ...],
    reviewer_share: float,
    seed: int,
    key_file: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Teach a challenger by what people decided and answered, and compare it with the model in use.

    What it learns from is gathered from the whole cluster: settled decisions, and answers of the blind
    review. All of it is replayed in the order in which it was found, from a base that has seen none of it, so
    that the same decisions give the same model, byte for byte, on any machine. The manifest beside the model
    names what it follows from.

    Exit code 0 says that the challenger tells posts apart better, beyond chance, than the model in use, and 3
    that it does not, or that parts of the cluster did not answer. Nothing changes until a policy names it and
    is activated.
    """
    # Imported here: other commands have no use for what this brings along.
    from folkmoot.cli.moderating import learned
    from folkmoot.cli.moderating.learning import gather, model_in, taught
    from folkmoot.protocol.moderation.text.challenging import Plan
    from folkmoot.protocol.moderation.text.weighing import Shares

    key = reviewer_key(target, key_file, output)
    current = model_in(current_file)
    base = learned.base_of(current_file, current) if base_file is None else model_in(base_file)
    question = current.classes[1]
    if base is not None and base.classes != current.classes:
        raise OperatorError(f"{base_file}: it judges {base.classes[1]}, and the model in use {question}")
    plan = Plan(question, base, seed, Shares(reviewer=reviewer_share))
    found = converse(
        target, lambda client: gather(client, question, rules), operator=key, patience_s=_PATIENCE_S
    )
    challenger, texts = taught(found, plan, current, _bar)
    report = learned.report_of(found, texts, plan, current, challenger)
    report |= learned.written(out, found, plan, rules, challenger)
    output.result(report, learned.as_lines(report))
    return OK if report["better"] and not found.missing else DEGRADED


@click.command(
    epilog=examples(
        "folkmoot moderate replay models/HASH.json",
        "folkmoot moderate replay HASH.json --base models/BASE.model --json",
    )
)
@click.argument("manifest", type=FILE)
@click.option(
    "--base", "base_file", type=FILE, help="What learning begins from.  [default: beside the manifest]"
)
@key_option
@target_options
@json_option
def replay(
    manifest: Path, base_file: Path | None, key_file: Path | None, target: Target, output: Output
) -> int:
    """Teach a model anew by what its manifest names, and compare the two.

    The texts are fetched from the cluster. Exit code 0 says that the same model came of it, to the byte, and
    3 that another did: because posts were deleted since, which takes their texts from everybody, or because
    this is another version of the program or of Unicode, or because the manifest is not true.
    """
    from folkmoot.cli.moderating import learned
    from folkmoot.cli.moderating import manifest as manifests
    from folkmoot.cli.moderating.learning import with_texts

    key = reviewer_key(target, key_file, output)
    said = manifests.read(manifest)
    plan = learned.plan_of(said, manifest, base_file)
    lessons = said.read_lessons()
    found = converse(target, lambda client: with_texts(client, lessons), operator=key, patience_s=_PATIENCE_S)
    report: dict[str, Any] = learned.replayed(said, plan, found)
    output.result(report, learned.replayed_lines(report))
    return OK if report["same"] else DEGRADED


def _bar(counted: str) -> AbstractContextManager[OnProgress]:
    return progress_bar(counted, quiet=False)
