"""How late a post is in home feeds of other regions, at half load.

Method. Three real nodes in three regions keep everything, loopback, TLS off. The saturation rate of the
cluster is measured first, as in `quorum_latency`. Then the node of the first region gets single posts of 20
authors at half that rate, due at exponentially distributed times and sent whether or not earlier ones are
answered, while an account that follows them all follows its home feed (`feed.follow`) at each of the two
other nodes. A latency counts from when a post was due until the event that tells it has come. One client
process does all of this; each turn gives one p99 for each region.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import trio
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import Reply, result_of
from folkmoot.protocol.connection import Notification
from folkmoot.protocol.record import Record

from benchmarks.client import CLIENT, opened, paced_posts, wait_for_the_word
from benchmarks.harness import Plan, local_cluster, median, percentile, presigned_posts, report_of
from benchmarks.home_page import READER, follow, newest_of, put_all, wait_shown
from benchmarks.quorum_latency import saturation

TARGET_MS = 500.0
AUTHORS = 20
SEED = 7
TURN_S = 3.0
CREDIT = 65_536
ALL_SEEN_S = 60.0


class Watch:
    """Somebody who follows their home feed at one node.

    Args:
        account: whose it is.

    Attributes:
        seen_at: when each post came (trio's clock), by its payload.
        said: what the node said besides: gaps, and why the stream ended.
    """

    def __init__(self, account: bytes) -> None:
        self._account = account
        self.seen_at: dict[bytes, float] = {}
        self.said: list[str] = []
        self._more = trio.Event()

    async def wait_seen(self, count: int) -> None:
        """Wait until so many posts have come.

        Raises:
            RuntimeError: they have not within `ALL_SEEN_S`, or the stream said that it left some out.
        """
        with trio.move_on_after(ALL_SEEN_S):
            while len(self.seen_at) < count and not self.said:
                self._more = trio.Event()
                await self._more.wait()
        if len(self.seen_at) < count:
            raise RuntimeError(
                f"{len(self.seen_at)} of {count} posts have come; {self.said or 'nothing was said'}"
            )

    async def begin(self, host: str, port: int, nursery: trio.Nursery) -> None:
        """Follow the feed from now on."""
        link = Link(await trio.open_tcp_stream(host, port), on_notification=self._heard)
        nursery.start_soon(link.run)
        await link.call("hello", CLIENT)
        await link.call("feed.follow", {"what": {"home": self._account}, "credit": CREDIT})

    def _heard(self, link: Link, notification: Notification) -> None:
        now = trio.current_time()
        self.said += [
            f"{what}: {told}" for what in ("gap", "error") if (told := notification.params.get(what))
        ]
        for item in notification.params.get("items", ()):
            self.seen_at.setdefault(item["record"][0], now)
        self._more.set()

    def latencies_ms(self, due: dict[bytes, float]) -> list[float]:
        """How late each post was (milliseconds)."""
        return [1000 * (self.seen_at[payload] - when) for payload, when in due.items()]


def posts_of_turn(rate: float, turn: int) -> Sequence[Record]:
    """What is posted in one turn, by the same authors in each."""
    count = int(rate * TURN_S)
    return presigned_posts(count * (turn + 1), authors=AUTHORS, seed=SEED)[-count:]


async def watch(rate: str, turn: str, *addresses: str) -> dict[str, Any]:
    """One turn: posts to the first node, watched at the others."""
    records = posts_of_turn(float(rate), int(turn))
    due_at: dict[bytes, float] = {}
    (host, port), *others = (address.rsplit(":", 1) for address in addresses)
    watches = [Watch(READER.account) for _ in others]

    async def send(record: Record, due: float) -> None:
        def on_reply(reply: Reply) -> None:
            (result,) = result_of(reply)["results"]
            assert result["status"] == "stored", result

        due_at[record.payload] = due
        await link.wait_room()
        link.submit("record.put", {"records": [record.to_wire()], "level": "quorum"}, on_reply)

    async with trio.open_nursery() as nursery:
        link = await opened(host, int(port), nursery)
        for each, (there, number) in zip(watches, others, strict=True):
            await each.begin(there, int(number), nursery)
        wait_for_the_word()
        await paced_posts(records, float(rate), int(turn), send)
        for each in watches:
            await each.wait_seen(len(due_at))
        nursery.cancel_scope.cancel()
    return {"latencies_ms": [each.latencies_ms(due_at) for each in watches]}


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    tails: list[float] = []
    middles: list[float] = []
    with local_cluster(3) as cluster:
        nodes = list(cluster)
        saturated = saturation(nodes[0])
        first = presigned_posts(AUTHORS, authors=AUTHORS, seed=SEED)
        trio.run(put_all, nodes[0], [*(follow(READER, each.author) for each in first), *first])
        for node in nodes:
            trio.run(wait_shown, node, READER.account, newest_of(first))
        addresses = [node.address for node in nodes]
        for turn in range(1, plan.repetitions + 1):
            told = report_of("visible", f"{saturated / 2:.1f}", str(turn), *addresses)
            tails += [percentile(each, 0.99) for each in told["latencies_ms"]]
            middles += [percentile(each, 0.5) for each in told["latencies_ms"]]
    return {
        "target_p99_ms_at_most": TARGET_MS,
        "p99_ms": median(tails),
        "p50_ms": median(middles),
        "saturation_posts_per_s": saturated,
        "offered_posts_per_s": saturated / 2,
        "p99_ms_all": tails,
    }


if __name__ == "__main__":
    print(json.dumps(trio.run(partial(watch, *sys.argv[1:]))), flush=True)
