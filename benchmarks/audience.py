"""What it costs to decide about a page of 50 posts, against reading the posts.

Method. Fifty posts of about 200 bytes by 50 accounts, every third an answer whose first post is known and
every seventh reposted; one viewer who follows 500 accounts and has 50 blocks and 50 mutes, once without muted
words and once with 100 of them, none of which is found. *Read*: `Record` from payload and signature, 50
times, which whoever builds such a page does besides. *Decided*: `Audience.decide`, 50 times, the page's
object made anew. All in this process; the time of one page is the median over repetitions of the mean over
200 pages, and ratios are of medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.feed.audience import Audience, Candidate, PageKind, Show
from folkmoot.protocol.feed.mute import word_item
from folkmoot.protocol.feed.viewer import Viewer, viewer_of
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from benchmarks.harness import Plan, median

PAGES = 200
POSTS = 50
NOW_US = 1_700_000_000_000_000
TARGETS = {"decided_us_at_most": 150, "with_100_words_us_at_most": 1_000}


def run(plan: Plan) -> dict[str, Any]:
    """Measure, as the module says."""
    random = Random(1)
    keys = [KeyPair(random.randbytes(32)) for _ in range(POSTS + 601)]
    candidates = _candidates(keys[:POSTS], keys[POSTS], random)
    frames = [candidate.record.to_wire() for candidate in candidates]
    plain, wordy = (_viewer(keys[POSTS], keys[POSTS + 1 :], words, random) for words in (0, 100))
    times_us: dict[str, list[float]] = {"read": [], "decided": [], "with_100_words": []}
    for _ in range(plan.repetitions):
        times_us["read"].append(_page_us(lambda: [Record(*frame) for frame in frames]))
        times_us["decided"].append(_page_us(lambda: _decide(plain, candidates)))
        times_us["with_100_words"].append(_page_us(lambda: _decide(wordy, candidates)))
    medians = {name: median(values) for name, values in times_us.items()}
    return {
        "page_us": medians,
        "decided_to_read": medians["decided"] / medians["read"],
        "with_100_words_to_read": medians["with_100_words"] / medians["read"],
        "targets": TARGETS,
    }


def _page_us(build: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(PAGES):
        build()
    return (time.perf_counter() - began) / PAGES * 1e6


def _decide(viewer: Viewer, candidates: Sequence[Candidate]) -> None:
    audience = Audience(viewer, PageKind.HOME, NOW_US)
    assert all(isinstance(audience.decide(candidate), Show) for candidate in candidates)


def _word(random: Random, alphabet: str) -> str:
    return "".join(random.choices(alphabet, k=random.randint(3, 9)))


def _candidates(authors: Sequence[KeyPair], first_by: KeyPair, random: Random) -> list[Candidate]:
    first = Record.sign(first_by, kind="post", item=make_uuid7(1, 1), body={"text": "x"}, stamp=1)
    ref = {"author": first.author, "item": first.item}
    made = []
    for number, author in enumerate(authors):
        body: dict[str, Any] = {"text": " ".join(_word(random, "abcdefghijklm") for _ in range(30))}
        answers = number % 3 == 0
        if answers:
            body |= {"reply_to": ref, "root": ref}
        item = make_uuid7(NOW_US // 1000, number)
        record = Record.sign(author, kind="post", item=item, body=body, stamp=NOW_US)
        known = first if answers else None
        reposter = authors[number - 1].account if number % 7 == 0 else None
        made.append(Candidate(record, known, [known] if known else [], reposter=reposter))
    return made


def _viewer(me: KeyPair, others: Sequence[KeyPair], words: int, random: Random) -> Viewer:
    about = {"follow": others[:500], "block": others[500:550], "mute": others[550:]}
    said = [
        Record.sign(me, kind=kind, item=other.account, body={"on": True}, stamp=1)
        for kind, those in about.items()
        for other in those
    ]
    for _ in range(words):
        word = _word(random, "nopqrstuvwxyz")
        said.append(
            Record.sign(me, kind="mute", item=word_item(word), body={"on": True, "word": word}, stamp=1)
        )
    return viewer_of(me.account, said, NOW_US)
