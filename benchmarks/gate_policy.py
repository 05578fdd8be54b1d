"""The gate, with a policy as large as a community's: 10,000 keywords, 100 patterns, a model, 100 rules.

Method. Real posts (of `shared/data` beside the checkout; without it those of the demo) are signed and judged
one by one, as requests of one record are, in one thread. Of the rules a third name lists
and patterns, a third are expressions that wait for a hit, and a third are expressions that stand at every
post and ask of links, lengths, languages, floods and the model. Time is the thread's processor time, so that
others on the machine do not count; the quota is included, signatures are not. Every pass is of the same texts
by other authors, who find the texts seen before, as in a flood. Last come the worst
texts: as long as a record may be, of letters that are folded one by one, of words never met, of leet.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import trio
from folkmoot.cli.demo.stage import CONVERSATION
from folkmoot.node.actors.gatekeeper import Gatekeeper
from folkmoot.node.moderation.quota import QuotaRates, Rate
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.moderation.text.features import BUCKETS
from folkmoot.protocol.moderation.text.linear import LinearModel
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.record import Record

from benchmarks.harness import Plan, median, percentile

T = TypeVar("T")

KEYWORDS = 10_000
PATTERNS = 100
RULES = 100
POSTS = 3_000
TARGETS = {"posts_per_s": 1_000.0, "p99_ms": 5.0}
CORPUS = (
    Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "social" / "bluesky_posts.jsonl.gz"
)
PLENTY = QuotaRates(Rate(1e9, 1_000_000_000), Rate(1e9, 1_000_000_000))
HEAD = 'version = 1\nname = "large"\nunicode = "14.0.0"\nappeal = "Ask."\n'


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    texts = list(_texts())
    rates, tails, worst = list[float](), list[float](), list[float]()
    for repetition in range(plan.repetitions + 1):
        with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
            gate = _gate(Path(directory))
            rates.append(_rate(gate, _records(texts, 2 * repetition)))
            tails.append(percentile(_spent_ms(gate, _records(texts, 2 * repetition + 1)), 0.99))
            worst.append(max(_spent_ms(gate, _records([(text, "") for text in _worst_texts()], 99))))
    for values in (rates, tails, worst):
        del values[0]  # the first round warms up
    report = {"posts_per_s": median(rates), "p99_ms": median(tails), "worst_ms": median(worst)}
    return {
        "targets": TARGETS,
        "posts": len(texts),
        **report,
        "each_posts_per_s": rates,
        "each_p99_ms": tails,
        "each_worst_ms": worst,
    }


class _Wall:
    def now_us(self) -> int:
        return time.time_ns() // 1_000


class _Inline:
    async def run(self, work: Callable[[], T]) -> T:
        return work()

    def spent_s(self) -> float:
        return time.thread_time()


def _gate(directory: Path) -> Gatekeeper:
    model = _model()
    (directory / f"{model.hash()}.model").write_bytes(model.encode())
    file = directory / "policy.toml"
    file.write_text(_policy(model.hash()))
    gate = Gatekeeper(file, PLENTY, wall=_Wall(), executor=_Inline(), secret=bytes(16))
    trio.run(gate.open)
    assert not gate.status().warnings, gate.status().warnings
    return gate


def _model() -> TextModel:
    random = Random(1)
    weights = array("i", (random.randrange(-(1 << 20), 1 << 20) for _ in range(BUCKETS)))
    return TextModel(("fine", "toxic"), (LinearModel(weights, 0),), (0,))


def _policy(model: str) -> str:
    """A policy of the sizes above."""
    random = Random(2)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = {"".join(random.choices(letters, k=random.randrange(4, 10))) for _ in range(KEYWORDS)}
    words |= {f"{word} {random.choice(letters)}{number}" for number, word in enumerate(sorted(words))}
    some = sorted(words)[:KEYWORDS]
    assert len(some) == KEYWORDS
    parts = [HEAD]
    for at in range(10):
        own = json.dumps(some[at::10])
        parts.append(f'[[lists]]\nid = "l{at}"\ncategory = "x"\nseverity = 2\nwords = {own}\n')
    for at in range(PATTERNS):
        regex = rf"{letters[at % 26]}{letters[at % 7]}[a-z]{{2,}}\s+(?:{some[at]}|{some[-at]})\b|x{at}://\S+"
        parts.append(f"[[patterns]]\nid = 'p{at}'\ncategory = 'x'\nseverity = 1\nregex = '{regex}'\n")
    parts.append(f'[[models]]\nid = "m"\nhash = "{model}"\nlabels = ["toxic"]\n')
    parts += (_rule(at, json.dumps(_when(at))) for at in range(RULES))
    return "".join(parts)


def _when(at: int) -> Any:
    """What a rule asks for, a third of each sort."""
    if at % 3 == 0:
        return [f"l{at % 10}", f"p{at}"]
    if at % 3 == 1:
        return (
            f"hits.p{at} && (post.links > {at % 4}.0 || scores.toxic > 1.0) || hits.l{at % 10} && hits.p{at}"
        )
    return (
        f"flood.same_text > {at}.0 && post.length > 40.0",
        f"post.links > {3 + at}.0 && post.lang != 'xx'",
        f"scores.toxic > {2 + at / 10} && !post.reply",
        f"flood.author_rate > {100 + at}.0 && (hits.p{at} || post.mentions > 4.0)",
    )[at % 4]


def _rule(at: int, when: str) -> str:
    return (
        f'[[rules]]\nid = "r{at}"\nwhen = {when}\nthen = "hold"\ncategory = "x"\nseverity = 1\n'
        'reason = "So."\n'
    )


def _texts() -> Iterator[tuple[str, str]]:
    """Texts and their languages, of the newest corpus there is."""
    raw = gzip.decompress(CORPUS.read_bytes()) if CORPUS.exists() else CONVERSATION.read_bytes()
    posts = (json.loads(line) for line in raw.splitlines())
    found = ((post["text"], post.get("lang") or "") for post in posts if post.get("text"))
    return islice(found, POSTS)


def _worst_texts() -> list[str]:
    random = Random(3)
    fresh = " ".join("".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(400))
    leet = " ".join("".join(random.choices("a1b3c4d5", k=6)) for _ in range(400))
    return [fresh[:3_000], leet[:3_000], "".join(random.choices("абвгдежз ", k=3_000)), "a1 " * 1_000]


def _records(texts: Sequence[tuple[str, str]], seed: int) -> list[Record]:
    authors = [KeyPair(Random(f"{seed}/{number}").randbytes(32)) for number in range(200)]
    return [
        Record.sign(
            authors[at % len(authors)],
            kind="post",
            item=make_uuid7(1, at),
            body={"text": text} | ({"lang": lang} if lang else {}),
            stamp=at + 1,
        )
        for at, (text, lang) in enumerate(texts)
    ]


def _rate(gate: Gatekeeper, records: Sequence[Record]) -> float:
    """Records a second of processor time."""
    began = time.thread_time()
    for at, record in enumerate(records):
        gate.judge_batch([record], False, "192.0.2.1", at / 1_000)
    return len(records) / (time.thread_time() - began)


def _spent_ms(gate: Gatekeeper, records: Sequence[Record]) -> list[float]:
    """Milliseconds of processor time that each record took at the gate, less what it takes to ask for it."""
    clock = sorted(-time.thread_time_ns() + time.thread_time_ns() for _ in range(1_000))[500]
    spent = []
    for at, record in enumerate(records):
        began = time.thread_time_ns()
        gate.judge_batch([record], False, "192.0.2.1", at / 1_000)
        spent.append((time.thread_time_ns() - began - clock) / 1e6)
    return spent
