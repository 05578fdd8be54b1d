"""`folkmoot moderate`: what waits for review, what is decided and why, and the models that judge texts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.evaluating.forms import QUESTIONS
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.moderating.deciding import Wish
from folkmoot.cli.moderating.deciding import decide as make
from folkmoot.cli.moderating.learn_command import learn, replay
from folkmoot.cli.moderating.many import decide_all, lines_of_all
from folkmoot.cli.moderating.queue import Queue, by_author, named_in, waiting
from folkmoot.cli.moderating.sample_command import sample
from folkmoot.cli.moderating.statements_command import statements
from folkmoot.cli.moderating.subjects import Named, SubjectType, reviewer_key
from folkmoot.cli.moderating.telling import lines_of, readers_language, told_of
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import OnProgress, progress_bar
from folkmoot.cli.social.own_key import key_option
from folkmoot.cli.social.writing import level_option, report
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.decision import ACTIONS, MEDIA
from folkmoot.protocol.moderation.grounds import CATEGORIES
from folkmoot.protocol.moderation.table import LANGUAGE
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

HELD_MOST: Final = 10_000
_WORDS: Final = frozenset(f"--{word}" for word in ACTIONS) - {"--label"}
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _language_tag(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not LANGUAGE.fullmatch(value.lower()):
        raise click.BadParameter(f"{value!r} is no language tag, such as pt-br")
    return value.lower()


@click.group()
def command() -> None:
    """Review what waits, decide, say why, and train the models that judge texts."""


for _command in (statements, sample, learn, replay):
    command.add_command(_command)


@command.command(
    epilog=examples("folkmoot moderate held --cluster local", "folkmoot moderate held --by-author")
)
@click.option(
    "--limit", type=click.IntRange(1, HELD_MOST), default=50, show_default=True, help="At most so many."
)
@click.option("--author", type=WhoType(), help="Only what this account wrote.")
@click.option("--by-author", "counts", is_flag=True, help="How much each account has waiting.")
@key_option
@target_options
@json_option
def held(
    limit: int, author: Who | None, counts: bool, key_file: Path | None, target: Target, output: Output
) -> int:
    """List what waits for review, and why.

    What waits is looked for all over the cluster, in no particular order. It is for moderators, experts and
    operators. Exit code 3 says that parts of the cluster did not answer, so that more may wait there.
    """
    key = reviewer_key(target, key_file, output)

    async def talk(client: Client) -> Queue:
        whose = None if author is None else await author.found(client)
        return await waiting(client, HELD_MOST if counts else limit, whose)

    found = converse(target, talk, operator=key)
    if counts:
        told = by_author(found)[:limit]
        lines = [f"{each['waiting']:>6,}  {each['author']}" for each in told]
    else:
        told = [told_of(named_in(each), each) for each in found.items]
        lines = [line for each in told for line in lines_of(each)]
    lines = lines or ["nothing waits for review"]
    if found.has_more and counts:
        lines.append(f"more than {HELD_MOST:,} wait: these are counts of the first")
    if found.missing:
        lines.append(f"{len(found.missing)} ranges did not answer: more may wait there")
    output.result({"authors" if counts else "held": told, "missing": found.missing}, lines)
    return DEGRADED if found.missing else OK


class _OneThing(click.Command):
    """A command that is not told two things at once, of which the last would count."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse more than one action."""
        said = [each for each in dict.fromkeys(args) if each in _WORDS]
        if len(said) > 1:
            raise click.UsageError(f"say one thing: {' or '.join(said)}", ctx)
        return super().parse_args(ctx, args)


@command.command(
    cls=_OneThing,
    epilog=examples(
        "folkmoot moderate decide did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --release --reason 'Fine.'",
        "folkmoot moderate decide did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5 --remove --reason 'A scam.' "
        "--rule scams --category scams_and_fraud",
        "folkmoot moderate decide --author did:key:z6Mk… --reject --reason 'Spam.'",
    ),
)
@click.argument("posts", metavar="[POST]...", nargs=-1, type=SubjectType())
@click.option("--author", type=WhoType(), help="Decide about all that waits of this account.")
@click.option("--release", "word", flag_value="release", help="Let go the version that waits.")
@click.option("--reject", "word", flag_value="reject", help="Never let it go; what is shown stays.")
@click.option("--remove", "word", flag_value="remove", help="Hide the post, whatever is written into it.")
@click.option("--limit", "word", flag_value="limit", help="Show it on no page of a tag or a search.")
@click.option("--warn", "word", flag_value="warn", help="Show it behind a warning, which is the reason.")
@click.option("--hold", "word", flag_value="hold", help="Hide this version until it is decided on.")
@click.option("--restore", "word", flag_value="restore", help="Let nothing be against it.")
@click.option("--label", "labels", multiple=True, help="Tell readers this; may be given several times.")
@click.option("--reason", required=True, help="Why: a few sentences for the author, in a public record.")
@click.option("--rule", help="The rule that was broken.")
@click.option("--category", type=click.Choice(CATEGORIES), help="For statements of reasons.")
@click.option("--illegal", is_flag=True, help="It is against the law, not merely against the rules.")
@click.option("--reverse", is_flag=True, help="Take the place of what others decided.")
@key_option
@level_option
@target_options
@json_option
def decide(
    posts: tuple[Named, ...],
    author: Who | None,
    word: str | None,
    labels: tuple[str, ...],
    reason: str,
    rule: str | None,
    category: str | None,
    illegal: bool,
    reverse: bool,
    key_file: Path | None,
    level: str,
    target: Target,
    output: Output,
) -> int:
    """Decide about posts, as a moderator, an expert or an operator.

    POST is the post as `moderate held` and `feed` show it; profile fields, lists, feed algorithms and labels
    are written ACCOUNT/profile:NAME, ACCOUNT/list:ITEM, ACCOUNT/algorithm:NAME and
    ACCOUNT/label:ITEM:VALUE:LABELLER, and can be removed and restored, too. Of a medium, ACCOUNT/media:HASH,
    --release has it served though it was withheld, --reject and --hold have it withheld. The decision is a
    record that you sign; the author is told of it, with the reason. Of several decisions that of the greater
    role prevails, then the stricter one; what others decided is reversed by --reverse alone.

    Of several posts, and with --author of all that waits of an account (1,000 at once), each is decided by
    itself. Said again after it was broken off, the command goes on where it was; exit code 3 says that
    something could not be decided.
    """
    if not posts and author is None:
        raise click.UsageError("say what to decide about: POST, or --author ACCOUNT")
    if word is None and not labels:
        raise click.UsageError("say what to decide: --release, --remove, --label X, …")
    wish = Wish(ACTIONS[word or "label"], reason, labels, rule, category, illegal, reverse)
    # Imported here so that a command's help need not wait for the client.
    from folkmoot.protocol.client import PutResult

    key = reviewer_key(target, key_file, output)
    if author is not None or len(posts) > 1:
        return _decide_many(key, posts, author, wish, level, target, output)
    [post] = posts
    answer = converse(target, lambda client: make(client, key, post, wish, level, output.note))
    record = answer["decision"]
    result = PutResult(answer["id"], answer["status"], answer["achieved"], None, answer.get("error"))
    released = answer.get("released")
    value = {"post": str(post), "action": wish.action.word, **({"released": released} if released else {})}
    code = report(output, value, record, result, lambda status: f"{status}: {wish.action.word} {post}")
    reached = released is None or released["status"] in ("stored", "duplicate")
    return code if reached else DEGRADED


def _decide_many(
    key: KeyPair,
    posts: Sequence[Named],
    author: Who | None,
    wish: Wish,
    level: str,
    target: Target,
    output: Output,
) -> int:
    """Decide about several, and say what became of them."""

    async def talk(client: Client) -> dict[str, Any]:
        whose = None if author is None else await author.found(client)
        return await decide_all(client, key, posts, whose, wish, level)

    told = converse(target, talk)
    output.result(told, lines_of_all(told))
    return DEGRADED if told["failed"] or told["missing"] or told["more"] else OK


@command.command(epilog=examples("folkmoot moderate show did:key:z6Mk…/0192f0c1a2b37c4d8e5f60718293a4b5"))
@click.argument("post", type=SubjectType())
@key_option
@target_options
@json_option
def show(post: Named, key_file: Path | None, target: Target, output: Output) -> int:
    """Show why something waits or was decided on, by what rule, and who may appeal.

    What waits, and why, is shown to its author and to moderators alone.
    """
    kind, item = post.subject

    async def talk(client: Client) -> dict[str, Any]:
        with contextlib.suppress(OperatorError):
            await client.auth(reviewer_key(target, key_file, output))
        case = await client.call("moderation.show", {"author": post.author, "kind": kind, "item": item})
        cells = await client.get([(post.author, kind, item)]) if kind != MEDIA else []
        records = [each for cell in cells if cell is not None for each in cell.get("records", ())]
        return told_of(post, case, Record.from_wire(records[0]) if records else None, readers_language())

    told = converse(target, talk)
    output.result(told, lines_of(told))
    return OK


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
@click.option("--remedies", is_flag=True, help="Compare what helps against names that count as bad, too.")
@json_option
def evaluate(
    train: Path,
    test: Path,
    seed: int,
    jobs: int | None,
    skip_unknown: bool,
    markdown: Path | None,
    remedies: bool,
    output: Output,
) -> int:
    """Train text models on labelled sets and measure them on others.

    A folder has one file a set, `davidson_tweets.csv.gz` or `.csv` and so on; other names are refused with
    those that are known. Texts that are measured on are never learnt from, in whatever set they stand and
    however they are written; one folder given for both is measured in five folds. HateCheck is only ever
    measured on. --remedies wants one folder for both. All intervals are of 95 %. The same folders and seed
    give the same report, on any machine.

    Exit code 0 says that every set was measured, whether or not targets were reached, and 3 that some could
    not be, because nothing in the training folder says what they ask. 1 says that a folder or file is broken,
    with the file, the line and how to mend it.
    """
    # Imported here: other commands have no use for what this brings along.
    from folkmoot.cli.evaluating.evaluation import evaluate as measure
    from folkmoot.cli.evaluating.page import page
    from folkmoot.cli.evaluating.report import as_lines

    if remedies and train.resolve() != test.resolve():
        raise click.UsageError("--remedies wants one folder, as --train and --test")
    report = measure(
        train,
        test,
        seed=seed,
        processes=jobs or os.cpu_count() or 1,
        skip_unknown=skip_unknown,
        bar=lambda counted: progress_bar(counted, quiet=False),
        remedies=remedies,
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
    and is written to `<hash>.model`; what it learnt from is written beside it, as hashes, to
    `<hash>.taught.json`. The evidence that is printed counts texts by the scores of models that had not seen
    them; `at_precision` in a rule finds its threshold there. It promises something about texts like those of
    the folder, as often bad as they are: where bad ones are rarer, precision is lower. The same folder and
    seed give the same model, on any machine.
    """
    from folkmoot.cli.evaluating import origin as origins
    from folkmoot.cli.evaluating.corpus import prepare
    from folkmoot.cli.evaluating.folders import read_folder
    from folkmoot.cli.evaluating.teaching import teach as taught_by
    from folkmoot.cli.evaluating.teaching import untaught

    def bar(counted: str) -> AbstractContextManager[OnProgress]:
        return progress_bar(counted, quiet=False)

    sets = read_folder(train, skip_unknown=skip_unknown)
    corpus, texts = prepare(sets), origins.texts_hash(sets, question)
    if why := untaught(corpus, question):
        raise OperatorError(f"{train}: {why}", hint="name a folder with sets that do, or another question")
    processes = jobs or os.cpu_count() or 1
    taught = taught_by(corpus, question, texts=texts, seed=seed, processes=processes, bar=bar)
    name = taught.model.hash()
    file, beside = out / f"{name}.model", out / f"{name}{origins.SUFFIX}"
    origin = origins.origin_of(corpus, question, model=name, seed=seed, texts=texts)
    try:
        out.mkdir(parents=True, exist_ok=True)
        file.write_bytes(taught.model.encode())
        origins.write(beside, origin)
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}", hint="name a folder that can be written") from error
    policy = taught.as_policy(language)
    report = {"file": str(file), "taught": str(beside), "hash": name, "texts": taught.texts, "policy": policy}
    output.result(report, f"{file} learnt from {taught.texts} texts; to use it, a policy says\n\n{policy}")
