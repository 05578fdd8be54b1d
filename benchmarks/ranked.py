"""Pages of ranked feeds, against pages of the same home feeds.

Method. A node has 1,000 posts of 20 authors, all of whom 48 accounts follow. One client process asks for
first pages of 50, on 16 connections that each wait for a page before they ask for the next: `feed.home`, and
`feed.ranked` by `best`, which ranks 500 posts by five terms. First one account asks again and again, and is
told of what was ranked for it in the last two seconds; then each account asks once, so that each page is of a
ranking of its own. One node, loopback, TLS off.
"""

from __future__ import annotations

from typing import Any

import trio
from folkmoot.protocol.identity import KeyPair

from benchmarks.harness import Plan, local_cluster, median, percentile, presigned_posts, report_of
from benchmarks.home_page import follow, newest_of, put_all, wait_shown

POSTS = 1_000
AUTHORS = 20
READERS = 48
PAGES = 3_200
CONNECTIONS = 16
TARGETS = {"again_rate_ratio": 0.5, "once_rate_ratio": 0.01, "once_p99_ratio": 100.0}
METHODS = {"home": ("feed.home", ""), "ranked": ("feed.ranked", "best")}


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    posts = presigned_posts(POSTS, authors=AUTHORS)
    authors = sorted({record.author for record in posts})
    readers = [KeyPair(b"reader" + number.to_bytes(26, "big")) for number in range(READERS)]
    accounts = [reader.account.hex() for reader in readers]
    asked = {"again": (accounts[:1], PAGES), "once": (accounts, READERS)}
    rates: dict[str, list[float]] = {f"{how}_{name}": [] for how in asked for name in METHODS}
    tails: dict[str, list[float]] = {key: [] for key in rates}
    with local_cluster(1, regions="eu") as (node,):
        trio.run(put_all, node, [follow(reader, author) for reader in readers for author in authors])
        trio.run(put_all, node, posts)
        trio.run(wait_shown, node, readers[-1].account, newest_of(posts))
        for _ in range(plan.repetitions + 1):
            for how, (some, pages) in asked.items():
                for name, (method, algorithm) in METHODS.items():
                    where = (node.host, str(node.port), method, ",".join(some))
                    told = report_of("client", "feeds", *where, str(pages), str(CONNECTIONS), algorithm)
                    rates[f"{how}_{name}"].append(told["pages"] / told["seconds"])
                    tails[f"{how}_{name}"].append(percentile(told["latencies_ms"], 0.99))
    for values in (*rates.values(), *tails.values()):
        del values[0]  # the first round warms up
    report: dict[str, Any] = {"targets": TARGETS}
    for how in asked:
        of_ranked, of_home = f"{how}_ranked", f"{how}_home"
        report[f"{how}_rate_ratio"] = median(rates[of_ranked]) / median(rates[of_home])
        report[f"{how}_p99_ratio"] = median(tails[of_ranked]) / median(tails[of_home])
    report |= {f"{key}_pages_per_s": values for key, values in rates.items()}
    report |= {f"{key}_p99_ms": values for key, values in tails.items()}
    return report
