"""One run of a mix: the people meet, what they will do is drawn and signed, and then the clock starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from folkmoot.cli.bench.burst import read_burst
from folkmoot.cli.bench.graph import FollowGraph, made_up_graph, read_graph
from folkmoot.cli.bench.mixes import DEEDS_MAX, MIXES, WRITES, Action, Deed, Scale
from folkmoot.cli.bench.people import People, put_all
from folkmoot.cli.bench.readers import Readers
from folkmoot.cli.bench.replay import Due, Replay
from folkmoot.cli.bench.settling import settled
from folkmoot.cli.bench.tally import spread_ms
from folkmoot.cli.bench.watching import watched
from folkmoot.cli.clients import journals_of, open_client, operator_of
from folkmoot.cli.connection import Target
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.exit_codes import DEGRADED, INTERRUPTED, OK, UNREACHABLE
from folkmoot.cli.journal import SUFFIX, Journal
from folkmoot.cli.output import Output
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.client import Client, ClientSettings
from folkmoot.protocol.errors import UNKNOWN_METHOD, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

HOME_ITEMS: Final = 50
FOLLOWED: Final = 16  # authors, by the readers of a firehose
NAME: Final = "folkmoot-cli/1"


@dataclass(frozen=True, slots=True)
class MixPlan:
    """What to ask for.

    Args:
        mix: `timeline`, `viral` or `firehose`.
        level: what a write waits for.
        seconds, rate: how long, and how many requests a second.
        connections: how many clients.
        graphs: files that say who follows whom; none for a graph made up.
        burst: a file that writes go by; None for random times.
        accounts: how many people; None for all of the graph's.
        seed: makes the people, the graph if it is made up, and what they do.
        settle_s: how long home feeds may take to have all follows; 0 for not to wait for them.
    """

    mix: str
    level: str
    seconds: float
    rate: float
    connections: int
    graphs: tuple[Path, ...]
    burst: Path | None
    accounts: int | None
    seed: int
    settle_s: float


async def run_mix(
    plan: MixPlan, journals: Path | None, operator: Path | None, target: Target, output: Output
) -> int:
    """Run a mix and tell how late the cluster answered.

    Raises:
        Usage: it would be too much for this machine's memory.
        OperatorError: a file cannot be used, a node does not have what the mix needs, or home feeds do not
            have all follows in time.
    """
    if plan.rate * plan.seconds > DEEDS_MAX:
        raise Usage(f"--rate times --seconds is over {DEEDS_MAX:,} requests, which are all made beforehand")
    random = Random(plan.seed)  # noqa: S311  # draws load and the keys of accounts made for it
    people = People(plan.seed, _graph(plan, random))
    scale = Scale(
        plan.rate, plan.seconds, people.graph.accounts, read_burst(plan.burst) if plan.burst else None
    )
    deeds = MIXES[plan.mix](scale, random)
    key = operator_of(target, operator)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(open_client(_turned(target, index), key))
            for index in range(plan.connections)
        ]
        cluster = (await clients[0].ready()).cluster
        missing = await _missing(clients[0], plan.mix, people.key(0).account)
        output.note(f"{people.graph.accounts:,} accounts with {len(people.graph):,} follows")
        with progress_bar("follows", quiet=output.as_json) as progress:
            written, there = await people.meet(clients, plan.level, progress)
        settled_s = await settled(target, plan.settle_s, output)
        readers = await _readers(stack, plan, people, _turned(target, 1), key, missing, output)
        requests = await _requests(clients[0], plan, people, deeds, missing, random, output)
        file = (journals or journals_of(target, cluster)) / f"bench-{time.time_ns() // 10**6}{SUFFIX}"
        with ExitStack() as files:
            replay = Replay(clients, requests, plan.level, files.enter_context(Journal(file, cluster)))
            if readers is not None:
                readers.begin()
            seconds, stopped = await watched(replay, output, _figures(replay))
    value = {
        **_told(plan, cluster, people.graph, (written, there)),
        "settled_s": settled_s,
        **replay.tally.summary(seconds),
        "readers": None if readers is None else readers.summary(),
        "left_out": sorted(missing),
        "stopped": stopped,
        "journal": str(file),
    }
    output.result(value, list(_text(value)))
    return INTERRUPTED if stopped else _code(replay)


def _code(replay: Replay) -> int:
    """How a run that was not stopped ended."""
    if replay.tally.failed["unreachable"]:
        return UNREACHABLE
    return OK if replay.tally.clean else DEGRADED


def _told(plan: MixPlan, cluster: str, graph: FollowGraph, follows: tuple[int, int]) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "mix": plan.mix,
        "level": plan.level,
        "seed": plan.seed,
        "rate": plan.rate,
        "connections": plan.connections,
        "accounts": graph.accounts,
        "follows": dict(zip(("written", "there"), follows, strict=True)),
    }


def _graph(plan: MixPlan, random: Random) -> FollowGraph:
    if plan.graphs:
        return read_graph(plan.graphs, plan.accounts)
    return made_up_graph(random, plan.accounts)


def _turned(target: Target, index: int) -> Target:
    """Each connection prefers another node, and all of them know every node to fail over to."""
    turn = index % len(target.addresses)
    return replace(target, addresses=target.addresses[turn:] + target.addresses[:turn])


async def _missing(client: Client, mix: str, account: bytes) -> set[str]:
    """Methods of the mix that the node does not have and that can be left out.

    Raises:
        OperatorError: one that cannot.
    """
    probes: dict[str, tuple[str, dict[str, Any]]] = {
        "timeline": ("feed.home", {"account": account, "limit": 1}),
        "viral": ("feed.thread", {"author": account, "item": bytes(16)}),
    }
    method, asked = probes.get(mix, ("ping", {}))
    try:
        await client.call(method, asked)
    except WireError as error:
        if error.kind is not UNKNOWN_METHOD:
            return set()  # it has it, and has nothing to say of what was asked
        if mix == "timeline":
            raise OperatorError(
                "this node does not know feed.home, which nine of ten requests of the mix ask for",
                hint="nodes of a newer edition; or --mix firehose, or --mix posts --read-share 0.9",
            ) from error
        return {method}
    return set()


async def _readers(
    stack: AsyncExitStack,
    plan: MixPlan,
    people: People,
    target: Target,
    key: KeyPair | None,
    missing: set[str],
    output: Output,
) -> Readers | None:
    """Readers of a firehose, on a connection of their own; None where there are none."""
    if plan.mix != "firehose":
        return None
    readers = Readers()
    settings = ClientSettings(name=NAME, carry_token=False)
    client = await stack.enter_async_context(open_client(target, key, settings, readers.heard))
    authors = [people.key(rank).account for rank in range(min(FOLLOWED, people.graph.accounts))]
    if await readers.follow(client, authors):
        return readers
    missing.add("feed.follow")
    output.note("this node does not know feed.follow: the run is without readers")
    return None


async def _requests(
    client: Client,
    plan: MixPlan,
    people: People,
    deeds: Sequence[Deed],
    missing: set[str],
    random: Random,
    output: Output,
) -> list[Due]:
    """What is sent, signed; of a viral mix, the post that it is about is there by then."""
    if "feed.thread" in missing:
        output.note("this node does not know feed.thread: nobody reads the thread")
        deeds = [deed for deed in deeds if deed.action is not Action.THREAD]
    about = None
    if plan.mix == "viral":
        about = people.post(0, time.time_ns() // 1000, random)
        await put_all([client], [about], plan.level)
    writes = sum(deed.action in WRITES for deed in deeds)
    output.note(f"signing {writes:,} records")
    return list(_signed(plan, people, deeds, about, random))


def _signed(
    plan: MixPlan, people: People, deeds: Iterable[Deed], about: Record | None, random: Random
) -> Iterator[Due]:
    began_us = time.time_ns() // 1000
    for deed in deeds:
        due_s, action, actor = deed
        if action is Action.HOME:
            asked: dict[str, Any] = {"account": people.key(actor).account, "limit": HOME_ITEMS}
            yield Due(due_s, action, "feed.home", asked)
        elif action is Action.THREAD:
            assert about is not None, "a thread has a first post"
            yield Due(due_s, action, "feed.thread", {"author": about.author, "item": about.item})
        else:
            record = people.written(deed, began_us, random, about)
            params = {"records": [record.to_wire()], "level": plan.level}
            yield Due(due_s, action, "record.put", params, record)


def _figures(replay: Replay) -> Callable[[float], str]:
    """A line about each second: how many of each action, and how late they were."""
    seen: dict[Action, int] = {}

    def figures(seconds: float) -> str:
        tally, told = replay.tally, [f"{seconds:5.0f} s"]
        late_s: list[float] = []
        for action, all_s in sorted(tally.late_s.items()):
            new_s = all_s[seen.get(action, 0) :]
            seen[action] = len(all_s)
            late_s += new_s
            told.append(f"{len(new_s):6,} {action}")
        late = spread_ms(late_s)
        told += [f"{name} {late[name]:8.2f} ms" for name in ("p50", "p99") if late]
        return "  ".join([*told, f"{tally.failed.total()} failed"])

    return figures


def _text(value: dict[str, Any]) -> Iterator[str]:
    follows, readers = value["follows"], value["readers"]
    yield f"{value['mix']}: {value['accounts']:,} accounts"
    yield f"{follows['written']:,} follows were written, {follows['there']:,} were there already"
    if value["settled_s"] is not None:
        yield f"home feeds had all follows after {value['settled_s']:.1f} s"
    for name, figures in value["actions"].items():
        yield f"{figures['count']:,} × {name}, {figures['per_s']:,.1f}/s; ms: {_spread(figures['ms'])}"
    if readers is not None:
        late = _spread(readers["ms"])
        yield f"{readers['items']:,} posts reached readers, {readers['gaps']} gaps; ms: {late}"
    if value["lag_ms"]:
        yield f"home feeds said to be behind by, ms: {_spread(value['lag_ms'])}"
    yield from (
        f"{count:,} records {status}"
        for status, count in value["statuses"].items()
        if status in ("refused", "uncertain")
    )
    yield from (f"{count:,} requests failed: {name}" for name, count in value["failed"].items())
    yield from (f"left out, for the node does not know it: {name}" for name in value["left_out"])
    if value["unanswered"]:
        yield f"{value['unanswered']:,} requests were due and stayed unanswered"
    yield f"requests were sent at most {value['behind_ms']:.1f} ms after they were due"
    yield f"acknowledgements are in {value['journal']}"


def _spread(values: Mapping[str, float]) -> str:
    return ", ".join(f"{share} {value:.2f}" for share, value in values.items())
