"""How long the preview of a policy takes, and what keeping signals for it costs the gate.

Method. Real posts (of `shared/data` beside the checkout, again and again; without it those of the demo) by
1,000 accounts are signed and put into an LMDB store of this process, with what a gate knew of each. They are
replayed in this thread as a node replays them: under `default.toml` beside `strict.toml`, and under
`default.toml` beside a policy with 10,000 keywords, 100 patterns, 100 rules and a model that every post is
shown (see `gate_policy`): one that the gate never asked, and one whose scores it kept. Time is the thread's
processor time, so that others on the machine do not count; on a node it is shared with what the node does
meanwhile.

The gate's cost is the processor time of judging and settling posts by `default.toml`, with and without
somebody who wants to know what was known of them, turn by turn; then the time in which that is written.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.replaying import Replay
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record
from folkmoot.storage import judged
from folkmoot.storage.judged import Judged
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.transaction import Admission

from benchmarks import gate_policy
from benchmarks.harness import Plan, median

POSTS: Final = 10_000
POSTS_OF_TARGET: Final = 100_000
TARGET_S: Final = 60.0
AUTHORS: Final = 1_000
BATCH: Final = 256
BEGAN_US: Final = 1_790_000_000_000_000
APART_US: Final = 250_000
POLICIES: Final = Path(__file__).resolve().parent.parent / "configs" / "policies"


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    posts = POSTS_OF_TARGET if plan.full else POSTS
    texts = list(gate_policy._texts())
    report: dict[str, Any] = {"posts": posts, "target_s_per_100000_at_most": TARGET_S}
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        home = Path(directory)
        default, strict = (load_engine(POLICIES / f"{name}.toml") for name in ("default", "strict"))
        large = gate_policy._gate(home).engine
        replayed = partial(replayed_s, before=default, posts=posts, repetitions=plan.repetitions)
        store = opened(home / "never-asked")
        report["written_us_a_post"] = fill(store, texts, posts, {})
        report["strict_s_per_100000"] = replayed(store, after=strict)
        report["large_s_per_100000"] = replayed(store, after=large)
        store.close()
        store = opened(home / "asked")
        fill(store, texts, posts, {model.hash: [0.1] for model in large.document.models})
        report["large_with_a_known_model_s_per_100000"] = replayed(store, after=large)
        store.close()
    without, within = gate_us(texts, plan.repetitions)
    return {**report, "gate_us_a_post_without": without, "gate_us_a_post_with": within}


def opened(directory: Path) -> Store:
    """An empty store."""
    engine = LmdbEngine(directory, cap_bytes=1 << 30)
    return Store(engine, owner=Owner(bytes(16), "benchmark"), fresh_log_id=bytes(16))


def fill(
    store: Store, texts: Sequence[tuple[str, str]], posts: int, scores: Mapping[str, list[float]]
) -> float:
    """Have posts in a store, with what was known of them; microseconds a post that the latter took.

    Args:
        store: empty.
        texts: with their languages; used again and again.
        posts: how many.
        scores: what models are to have said of each.
    """
    authors = [KeyPair(Random(number).randbytes(32)) for number in range(AUTHORS)]
    spent = 0.0
    for start in range(0, posts, BATCH):
        numbers = range(start, min(posts, start + BATCH))
        records = [record_of(authors[at % AUTHORS], texts[at % len(texts)], at) for at in numbers]
        some = [
            known_of(record, at)._replace(scores=scores) for record, at in zip(records, numbers, strict=True)
        ]
        with store.write() as writing:
            writing.admit(Admission.CLIENT_PUT)
            for record in records:
                writing.put_record(record)
            writing.commit()
        began = time.thread_time()
        with store.write() as writing:
            writing.admit(Admission.CLIENT_PUT)
            judged.keep(writing, some, POSTS_OF_TARGET)
            writing.commit()
        spent += time.thread_time() - began
    return 1e6 * spent / posts


def record_of(author: KeyPair, text: tuple[str, str], at: int) -> Record:
    """A post."""
    said, lang = text
    body = {"text": said} | ({"lang": lang} if lang else {})
    stamp = BEGAN_US + at * APART_US
    item = make_uuid7(stamp // 1_000, at)
    return Record.sign(author, kind="post", item=item, body=body, stamp=stamp)


def known_of(record: Record, at: int) -> Judged:
    """What a gate knew of a post."""
    signals = {"flood.author_rate": float(at % 3), "flood.address_rate": float(at % 7)}
    return Judged(record.key, record.id, record.stamp, signals)


def replayed_s(
    store: Store, *, before: PolicyEngine, after: PolicyEngine, posts: int, repetitions: int
) -> float:
    """Seconds of processor time that replaying takes, for as many posts as the target speaks of."""
    taken = []
    for _ in range(repetitions):
        replay = Replay(store.engine, before, after, posts, BEGAN_US, time.thread_time)
        began = time.thread_time()
        while not replay.ended:
            replay.step()
        taken.append(time.thread_time() - began)
        assert replay.comparison.posts == posts, replay.comparison.gone
    return median(taken) * POSTS_OF_TARGET / posts


def gate_us(texts: Sequence[tuple[str, str]], repetitions: int) -> tuple[float, float]:
    """Microseconds of processor time a post at the gate, without and with what is kept of posts."""
    authors = [KeyPair(Random(number).randbytes(32)) for number in range(AUTHORS)]
    records = [record_of(authors[at % AUTHORS], text, at) for at, text in enumerate(texts)]
    gates = [gate(), gate()]
    gates[1].noting.follow(lambda note: None)
    spent: list[list[float]] = [[], []]
    for repetition in range(repetitions + 1):
        for each, taken in zip(gates, spent, strict=True):
            taken.append(1e6 * passed_s(each, records, repetition) / len(records))
    return median(spent[0][1:]), median(spent[1][1:])  # the first round warms up


def gate() -> Gatekeeper:
    """A gate that judges by the policy that folkmoot comes with."""
    file = POLICIES / "default.toml"
    made = Gatekeeper(
        file, gate_policy.PLENTY, wall=gate_policy._Wall(), executor=gate_policy._Inline(), secret=bytes(16)
    )
    trio.run(made.open)
    return made


def passed_s(gate: Gatekeeper, records: Sequence[Record], turn: int) -> float:
    """Seconds of processor time in which posts pass a gate, a batch at a time."""
    began = time.thread_time()
    for start in range(0, len(records), BATCH):
        some, now = records[start : start + BATCH], 1_000.0 * turn + start / 1_000
        gate.judge_batch(some, False, "192.0.2.1", now)
        gate.settle_batch(some, [True] * len(some), [False] * len(some), False, "192.0.2.1", now)
    return time.thread_time() - began
