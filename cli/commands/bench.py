"""`folkmoot bench`: load on a cluster, and how it bears it."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.bench.graph import ACCOUNTS_MAX
from folkmoot.cli.connection import Target, target_options
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, INTERRUPTED, OK, UNREACHABLE
from folkmoot.cli.given import refuse
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option
from folkmoot.protocol.limits import INFLIGHT_PER_CONNECTION, RECORDS_PER_PUT
from folkmoot.protocol.ring.levels import LEVELS

if TYPE_CHECKING:
    from folkmoot.cli.bench.load import LoadPlan
    from folkmoot.cli.bench.tally import LoadTally
    from folkmoot.cli.journal import Journal
    from folkmoot.protocol.client import Client
    from folkmoot.protocol.record import Record

AUTHORS: Final = 100
WARM_POSTS: Final = 50 * AUTHORS
POSTS_PER_S: Final = 8_000
MIXES: Final = ("posts", "timeline", "viral", "firehose")
MIX_RATE: Final = 100.0
ONLY_POSTS: Final = ("batch", "window", "read_share", "posts")
ONLY_MIXES: Final = ("graphs", "burst", "accounts", "seed", "settle")
SETTLE_S: Final = 600.0


@click.group()
def command() -> None:
    """Measure what a cluster can do."""


@command.command(
    epilog=examples(
        "folkmoot bench run --cluster local",
        "folkmoot bench run --cluster local --rate 500 --batch 1 --seconds 30",
        "folkmoot bench run --cluster local --mix timeline --rate 200 --seconds 60",
        "folkmoot bench run --mix viral --graph follows.tsv.gz --burst burst.jsonl.gz --accounts 5000",
        "folkmoot bench run --node 10.0.0.7:7400 --ca ca.crt --operator operator.key --read-share 0.9 --json",
    )
)
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What a write waits for."
)
@click.option(
    "--mix",
    type=click.Choice(MIXES),
    default="posts",
    show_default=True,
    help="What people do: post (and read authors' pages); see below for the others.",
)
@click.option(
    "--seconds",
    "--duration",
    type=FiniteFloat(min=0.1),
    default=10.0,
    show_default=True,
    help="How long to measure.",
)
@click.option(
    "--rate",
    type=FiniteFloat(min=0.1),
    help="Posts and pages (or requests, of the other mixes) a second, due whether or not earlier ones are "
    "answered. [default: closed loop; of the other mixes, 100]",
)
@click.option(
    "--batch", type=click.IntRange(1, RECORDS_PER_PUT), default=64, show_default=True, help="Posts a request."
)
@click.option(
    "--connections", type=click.IntRange(1, 256), default=4, show_default=True, help="How many clients."
)
@click.option(
    "--window",
    type=click.IntRange(1, INFLIGHT_PER_CONNECTION),
    default=4,
    show_default=True,
    help="Requests that a connection keeps unanswered in a closed loop.",
)
@click.option(
    "--read-share",
    type=FiniteFloat(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="The share of pages of 50 among posts and pages.",
)
@click.option(
    "--graph",
    "graphs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Who follows whom: two columns with a heading, gzipped or not. May be repeated. [default: made up]",
)
@click.option(
    "--burst",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What people wrote when, whose shape writes take. [default: random times]",
)
@click.option(
    "--accounts",
    type=click.IntRange(2, ACCOUNTS_MAX),
    help="How many people, the most followed. [default: all of --graph; 1,000]",
)
@click.option("--seed", type=click.IntRange(0, 2**63), default=1, show_default=True, help="Makes the people.")
@click.option(
    "--settle",
    type=FiniteFloat(min=0),
    default=SETTLE_S,
    show_default=True,
    help="How many seconds home feeds may take to have all follows before it begins; 0: do not wait.",
)
@click.option("--posts", type=click.IntRange(min=1), help="Posts to sign beforehand. [default: enough]")
@click.option(
    "--journal",
    "journals",
    type=click.Path(path_type=Path, file_okay=False),
    help="The directory for the journal of acknowledgements. [default: with the cluster]",
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An operator's key file: quotas do not slow operators. [default: a local cluster's own]",
)
@target_options
@json_option
def run(
    mix: str,
    level: str,
    seconds: float,
    rate: float | None,
    batch: int,
    connections: int,
    window: int,
    read_share: float,
    graphs: tuple[Path, ...],
    burst: Path | None,
    accounts: int | None,
    seed: int,
    settle: float,
    posts: int | None,
    journals: Path | None,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Put load on a cluster and tell how late it answers.

    Posts are signed beforehand. Without --rate each connection keeps --window requests unanswered, which
    finds how much the cluster takes. With --rate requests are due at random times, and a latency counts
    from when its request was due. Acknowledgements are journalled, so that `folkmoot check` can hold the
    cluster to them.

    The other mixes are open loops of people who follow each other, by --graph or made up. They follow first,
    unless the cluster has it from an earlier run with the same --seed, and nothing is measured before home
    feeds have what comes of it. In timeline nine of ten requests read
    a home feed and one posts; in viral everybody likes, reposts and answers one post and reads its thread; in
    firehose everybody posts and some follow. --burst lays a real burst over them by rank of activity, its
    time compressed.

    Exit code 3 says that posts were refused or not kept as widely as asked, or requests stayed unanswered.
    """
    import trio
    from folkmoot.cli.bench.load import LoadPlan
    from folkmoot.cli.bench.mixed import MixPlan, run_mix

    _check_options(mix)
    if mix != "posts":
        crowd = graphs, burst, accounts, seed, settle
        people = MixPlan(mix, level, seconds, rate or MIX_RATE, connections, *crowd)
        return trio.run(partial(run_mix, people, journals, operator, target, output))
    plan = LoadPlan(level, seconds, rate, batch, window, read_share)
    return trio.run(partial(_run, plan, posts, connections, journals, operator, target, output))


def _check_options(mix: str) -> None:
    """Refuse options that the mix has no use for."""
    refuse(ONLY_MIXES if mix == "posts" else ONLY_POSTS, f"with --mix {mix}")


async def _run(
    plan: LoadPlan,
    posts: int | None,
    connections: int,
    journals: Path | None,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    from folkmoot.cli.bench.load import Load
    from folkmoot.cli.bench.watching import watched
    from folkmoot.cli.clients import journals_of, open_client, operator_of
    from folkmoot.cli.journal import SUFFIX, Journal

    random = Random(secrets.randbits(64))  # noqa: S311  # draws load and the keys of accounts made for it
    signed = _signed(posts or _enough(plan, connections), random, output)
    key = operator_of(target, operator)
    async with AsyncExitStack() as stack:
        clients: list[Client] = []
        for index in range(connections):
            # Each connection prefers another node, and all of them know every node to fail over to.
            turn = index % len(target.addresses)
            turned = replace(target, addresses=target.addresses[turn:] + target.addresses[:turn])
            clients.append(await stack.enter_async_context(open_client(turned, key)))
        cluster = (await clients[0].ready()).cluster
        file = (journals or journals_of(target, cluster)) / f"bench-{time.time_ns() // 10**6}{SUFFIX}"
        with ExitStack() as files:
            journal: Journal = files.enter_context(Journal(file, cluster))
            load = Load(clients, plan, signed, random, journal)
            if plan.read_share:
                await load.warm(min(WARM_POSTS, len(signed) // 2))
            seconds_taken, stopped = await watched(load, output, _figures(load.tally))
        value = {
            "cluster": cluster,
            "level": plan.level,
            "rate": plan.rate,
            "batch": plan.batch,
            "connections": connections,
            **load.tally.summary(seconds_taken),
            "used_up": load.used_up,
            "stopped": stopped,
            "journal": str(file),
        }
    output.result(value, _text(value))
    if stopped:
        return INTERRUPTED
    if load.tally.failed["unreachable"]:
        return UNREACHABLE
    return OK if load.tally.clean else DEGRADED


def _enough(plan: LoadPlan, connections: int) -> int:
    """More posts than a run can use: what is due by chance varies, and a closed loop takes what it gets."""
    warm = 2 * WARM_POSTS if plan.read_share else 0
    if plan.rate is None:
        return warm + math.ceil(POSTS_PER_S * plan.seconds)
    due = plan.rate * plan.seconds * (1 - plan.read_share)
    return warm + math.ceil(due + (6 * math.sqrt(due / plan.batch) + connections) * plan.batch)


def _signed(count: int, random: Random, output: Output) -> list[Record]:
    from folkmoot.cli.bench.posts import presigned_posts

    output.note(f"signing {count:,} posts")
    return presigned_posts(count, AUTHORS, random)


def _figures(tally: LoadTally) -> Callable[[float], str]:
    """A line about each second of a run."""
    from folkmoot.cli.bench.tally import spread_ms

    posts = puts = pages = 0

    def figures(seconds: float) -> str:
        nonlocal posts, puts, pages
        late = spread_ms(tally.put_s[puts:] or tally.page_s[pages:])
        told = [
            f"{seconds:5.0f} s",
            f"{tally.acknowledged - posts:7,} posts",
            f"{len(tally.page_s) - pages:7,} pages",
            *(f"{name} {late[name]:8.2f} ms" for name in ("p50", "p99") if late),
            f"{tally.failed.total()} failed",
        ]
        posts, puts, pages = tally.acknowledged, len(tally.put_s), len(tally.page_s)
        return "  ".join(told)

    return figures


def _text(value: dict[str, Any]) -> list[str]:
    lines = [
        f"{value['acknowledged']:,} posts acknowledged at level {value['level']} in {value['seconds']:.1f} s:"
        f" {value['posts_per_s']:,.0f}/s"
    ]
    if value["pages"]:
        lines.append(f"{value['pages']:,} pages: {value['pages_per_s']:,.0f}/s")
    for what, name in (("puts", "put_ms"), ("pages", "page_ms")):
        if value[name]:
            told = ", ".join(f"{share} {late:.2f}" for share, late in value[name].items())
            lines.append(f"latency of {what} in ms: {told}")
    lines += [
        f"{count:,} posts {status}"
        for status, count in value["statuses"].items()
        if status in ("refused", "uncertain")
    ]
    lines += [f"{count:,} requests failed: {name}" for name, count in value["failed"].items()]
    if value["unanswered"]:
        lines.append(f"{value['unanswered']:,} requests were due and stayed unanswered")
    if value["used_up"]:
        lines.append("the signed posts were used up before the end; sign more with --posts")
    lines.append(f"acknowledgements are in {value['journal']}")
    return lines
