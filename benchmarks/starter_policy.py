"""The starter policy on real texts: how many of each set it holds and labels, and by which rules.

Method. Each text of the sets beside the checkout (`shared/data`) is judged by `configs/policies/starter.toml`
alone, as a post without anything else. *Ordinary* sets are what people said to each other, so what is held
there is a false alarm, but for the odd threat; intervals are Wilson's, of 95 %. Nothing is learnt from any of
them. Of the accounts of one troll factory ten days are replayed in the order and at the times they were
posted, so that floods are counted, all from one address.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from folkmoot import configs
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.moderation.submissions import Counting, Submission
from folkmoot.protocol.moderation.flood import Flood
from folkmoot.protocol.moderation.statistics.proportions import Share, wilson
from folkmoot.protocol.moderation.verdict import Action

from benchmarks.harness import Plan

POLICY: Final = Path(configs.__file__).parent / "policies" / "starter.toml"
DATA: Final = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
RULES_TOLD: Final = 4
CHAT_EVERY: Final = 4  # lines of a chat that is long


class Text(NamedTuple):
    """A text, and the part of its set that it counts in."""

    part: str
    text: str
    author: str = ""
    time_s: float | None = None


def run(plan: Plan) -> dict[str, Any]:
    """Judge; see the module. Repetitions would say the same."""
    absent = {"skipped": f"its files are not in {DATA}"}
    return {name: _judged(read()) if _is_there(name) else absent for name, read in SETS.items()}


def _is_there(name: str) -> bool:
    return (DATA / FILES[name]).exists()


def _judged(texts: Iterable[Text]) -> dict[str, Any]:
    engine, flood = load_engine(POLICY), Flood(bytes(16))
    counts: Counter[str] = Counter()
    held: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    rules: dict[str, Counter[str]] = {}
    for number, each in enumerate(texts):
        counting = None if each.time_s is None else _counting(flood, number, each, each.time_s)
        verdict = engine.judge_record(Submission((("text", each.text),), None, counting))
        counts[each.part] += 1
        held[each.part] += verdict.action is Action.HOLD
        labelled[each.part] += verdict.action is Action.LABEL
        if verdict.rule is not None:
            rules.setdefault(each.part, Counter())[verdict.rule] += 1
    return {
        part: {
            "n": counts[part],
            "held": _share(held[part], counts[part]),
            "labelled": _share(labelled[part], counts[part]),
            "rules": dict(rules.get(part, Counter()).most_common(RULES_TOLD)),
        }
        for part in sorted(counts)
    }


def _share(found: int, of: int) -> str:
    low, high = wilson(Share(found, of))
    return f"{found} ({100 * found / of:.2f} %, {100 * low:.2f} to {100 * high:.2f})"


def _counting(flood: Flood, number: int, each: Text, now_s: float) -> Counting:
    record = number.to_bytes(8, "big")
    author = hashlib.sha256(each.author.encode()).digest()

    def count(text: str) -> Mapping[str, Any]:
        told = flood.look(record, author, "one", text, now_s)
        flood.settle(record, changed=True)
        return told

    return count


def _posts(name: str, part: Callable[[dict[str, Any]], str | None], *, timed: bool = False) -> Iterator[Text]:
    with gzip.open(DATA / FILES[name], "rt", encoding="utf-8") as stream:
        for line in stream:
            post = json.loads(line)
            of = part(post)
            if of is None or not post.get("text"):
                continue
            time_s = datetime.fromisoformat(post["created_at"]).timestamp() if timed else None
            yield Text(of, post["text"], str(post.get("author")), time_s)


def _rows(name: str, part: Callable[[dict[str, str]], str], text: str) -> Iterator[Text]:
    with gzip.open(DATA / FILES[name], "rt", encoding="utf-8", newline="") as stream:
        yield from (Text(part(row), row[text]) for row in csv.DictReader(stream))


def _chat() -> Iterator[Text]:
    lines = _posts("ubuntu_irc", lambda post: "ordinary")
    return (each for number, each in enumerate(lines) if not number % CHAT_EVERY)


FILES: Final = {
    "bluesky": "social/bluesky_posts.jsonl.gz",
    "pheme": "social/pheme_posts.jsonl.gz",
    "stackexchange": "social/stackexchange_meta_posts.jsonl.gz",
    "ubuntu_irc": "social/ubuntu_irc_posts.jsonl.gz",
    "trolls": "social/ira_posts.jsonl.gz",
    "sms_spam": "moderation/sms_spam.csv.gz",
    "youtube_spam": "moderation/youtube_spam.csv.gz",
    "davidson": "moderation/davidson_tweets.csv.gz",
    "wikipedia": "moderation/wikipedia_toxicity_identity.csv.gz",
    "hatecheck": "moderation/hatecheck_en.csv.gz",
    "hatecheck_multilingual": "moderation/hatecheck_multilingual.csv.gz",
}
SETS: Final[Mapping[str, Callable[[], Iterator[Text]]]] = {
    "bluesky": partial(_posts, "bluesky", lambda post: "ordinary"),
    "pheme": partial(_posts, "pheme", lambda post: None if post.get("repost_of") else "ordinary"),
    "stackexchange": partial(_posts, "stackexchange", lambda post: "ordinary"),
    "ubuntu_irc": _chat,
    "trolls": partial(_posts, "trolls", lambda post: post["lang"], timed=True),
    "sms_spam": partial(_rows, "sms_spam", lambda row: row["label"], "text"),
    "youtube_spam": partial(_rows, "youtube_spam", lambda row: row["label"], "text"),
    "davidson": partial(_rows, "davidson", lambda row: row["class"], "text"),
    "wikipedia": partial(_rows, "wikipedia", lambda row: f"toxic {row['toxic']}", "text"),
    "hatecheck": partial(_rows, "hatecheck", lambda row: row["label_gold"], "test_case"),
    "hatecheck_multilingual": partial(
        _rows, "hatecheck_multilingual", lambda row: f"{row['language']} {row['label_gold']}", "test_case"
    ),
}
