"""`folkmoot audit`: whether moderation treats groups alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from folkmoot.cli.connection import Target, converse, lazy_target_options
from folkmoot.cli.durations import Duration
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.given import refuse
from folkmoot.cli.moderating.subjects import reviewer_key
from folkmoot.cli.numbers import counted as counted_in_words
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import progress_bar
from folkmoot.cli.social.own_key import key_option
from folkmoot.protocol.moderation.fairness.bias import Compared, Measure, audit
from folkmoot.protocol.moderation.fairness.counting import By
from folkmoot.protocol.moderation.fairness.tally import EVERYBODY, Tally

Found = dict[str, tuple[Tally, tuple[Measure, ...]]]
"""What was counted, by what it is called, and by which measures it is compared."""

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """Find out whether moderation treats groups of posts alike."""


@command.command(
    epilog=examples(
        "folkmoot audit bias --since 30d",
        "folkmoot audit bias --by region --plot regions.svg",
        "folkmoot audit bias --by dialect --dialects ours.toml --json",
        "folkmoot audit bias --policy policy.toml --on labelled",
    )
)
@click.option(
    "--since",
    "since_s",
    type=Duration(0, 3_650 * 86_400),
    default="30d",
    show_default=True,
    help="Posts from how long ago.",
)
@click.option(
    "--by",
    type=click.Choice([each.value for each in By]),
    default=By.LANGUAGE.value,
    show_default=True,
    help="What puts posts into groups.",
)
@click.option("--dialects", type=FILE, help="Declares sets of words.  [default: those of folkmoot]")
@click.option("--policy", type=FILE, help="Audit this policy on labelled texts, before it is live.")
@click.option(
    "--on",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of labelled sets for that.",
)
@click.option("--skip-unknown", is_flag=True, help="Leave CSV files alone whose names say nothing here.")
@click.option("--rules", "every_rule", is_flag=True, help="Show each rule by itself, too.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw an SVG file, too.")
@key_option
@lazy_target_options
@json_option
def bias(
    since_s: float,
    by: str,
    dialects: Path | None,
    policy: Path | None,
    folder: Path | None,
    skip_unknown: bool,
    every_rule: bool,
    plot: Path | None,
    key_file: Path | None,
    find_target: Callable[[], Target],
    output: Output,
) -> int:
    """Compare how moderation treats groups of posts.

    Each group is compared with all posts that are not in it, by how many are flagged, how many of those with
    which nothing is wrong (as the blind sample says), how often people overturn that, and how long what is
    held back waits for them. No text leaves the node it is on. It is for moderators, experts and operators.

    With --policy and --on it tells what a policy would do to labelled texts instead; no node is needed.

    Exit code 1 says that an alarm is up: a ratio is over 1.25 with its whole interval of 95 %, and not by
    chance. 3 says that parts of the cluster did not answer, or that not all groups could be compared, which
    are more than 192 then.
    """
    # Imported here: other commands have no use for what this brings along.
    from folkmoot.cli.auditing.gathering import declared, gather

    if (policy is None) != (folder is None):
        raise Usage("--policy and --on go together", hint="folkmoot audit bias --help")
    if policy is not None and folder is not None:
        refuse(("since_s", "by", "key_file"), "with --on")
        sets = None if dialects is None else declared(dialects)
        return _tell(_labelled(policy, folder, sets, skip_unknown=skip_unknown), [], plot, every_rule, output)
    refuse(("skip_unknown",), "without --on")
    if by != By.DIALECT:
        refuse(("dialects",), f"with --by {by}")
    sets = declared(dialects) if by == By.DIALECT else b""
    since_us = max(0, time.time_ns() // 1000 - int(since_s * 1e6))
    target = find_target()
    key = reviewer_key(target, key_file, output)
    tally, missing = converse(target, lambda client: gather(client, by, since_us, sets), operator=key)
    return _tell({f"posts by {by}": (tally, tuple(Measure))}, missing, plot, every_rule, output)


def _labelled(policy: Path, folder: Path, sets: bytes | None, *, skip_unknown: bool) -> Found:
    """What a policy would do to the labelled sets of a folder.

    Raises:
        PolicyError, FolderError, TableError: something cannot be read.
        OperatorError: a model that the policy names is not there.
    """
    from folkmoot.cli.auditing.labelled import compared, size, tallies
    from folkmoot.cli.evaluating.evaluation import Counted
    from folkmoot.cli.evaluating.folders import read_folder
    from folkmoot.node.moderation.dialects import Dialects
    from folkmoot.node.moderation.policy_file import load_engine

    engine = load_engine(policy)
    if engine.problems:
        raise OperatorError(engine.problems[0], hint=f"put the model's file beside {policy}")
    texts = compared(read_folder(folder, skip_unknown=skip_unknown), all_sets=sets is not None)
    if not texts:
        raise OperatorError(f"{folder}: none of its sets compares groups", hint="name sets with --dialects")
    with progress_bar("texts judged", quiet=False) as told:
        counted = Counted(told, size(texts))
        found = tallies(texts, engine, None if sets is None else Dialects(sets), counted.one_more)
    # How often something is flagged is no matter of fairness where it is known that it should be.
    return {
        name: (tally, (Measure.FALSE_POSITIVES if tally.of(EVERYBODY).fine.members else Measure.FLAG_RATE,))
        for name, tally in found.items()
    }


def _tell(found: Found, missing: list[int], plot: Path | None, every_rule: bool, output: Output) -> int:
    from folkmoot.cli.auditing.picture import picture
    from folkmoot.cli.auditing.telling import alarm_sentence, as_json, plot_of, rows_of, shown, unsaid
    from folkmoot.node.data_directory import replace_file

    audits = {name: audit(tally, measures) for name, (tally, measures) in found.items()}
    lines: list[str] = []
    drawn: dict[str, list[Compared]] = {}
    for name, each in audits.items():
        some = shown(each, every_rule=every_rule)
        drawn[name] = some
        numbers = found[name][0].of(EVERYBODY)
        words = [counted_in_words(numbers.posts, "post")] if numbers.posts else []
        if sampled := numbers.sampled.members:
            words.append(f"{counted_in_words(sampled, 'answer')} to the blind sample")
        lines += ["", f"{name}: {', '.join(words) or 'none'}", ""]
        lines += (
            [*rows_of(some), "", *plot_of(some)] if some else ["nothing was flagged that can be compared"]
        )
        for line in unsaid(each):
            lines += ["", line]
    if missing:
        lines += ["", f"{len(missing)} ranges did not answer: their posts are not counted"]
    if plot is not None:
        title = f"Moderation of {', '.join(audits) if len(audits) == 1 else 'labelled sets'}"
        try:
            replace_file(plot, picture(title, drawn).encode())
        except OSError as error:
            raise OperatorError(f"{plot}: {error.strerror}", hint="name another file") from error
    told = {"audits": {name: as_json(each) for name, each in audits.items()}, "missing": missing}
    output.result(told, lines[1:])
    alarmed = [each for each in audits.values() if each.alarms]
    for each in alarmed:
        output.note(alarm_sentence(each))
    is_whole = not missing and all(each.says_all for each in audits.values())
    return FAILED if alarmed else OK if is_whole else DEGRADED
