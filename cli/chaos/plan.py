"""What is broken when: a pure function of a seed, the nodes' names and a few numbers.

There are two lanes of episodes, one of faults on nodes and one of faults on links, and within a lane one
episode ends before the next begins; so a killed node and a cut link do meet, and never more than a minority
of the nodes is gone at once. Each lane deals its faults from a shuffled deck: every one comes before any
comes again.

Real machines are not repeatable, so the same plan does not make the same run. It makes the same trouble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

import msgspec

NODE_FAULTS: Final = ("kill", "restart", "pause", "full")
LINK_FAULTS: Final = ("partition", "oneway", "slow")
FAULTS: Final = (*NODE_FAULTS, *LINK_FAULTS)

DELAY_MS: Final = (20.0, 300.0)
LOSS_MAX: Final = 0.3
# The episodes' mean length, and the mean rest between two of a lane, as shares of the pace.
LASTS: Final = 0.6
RESTS: Final = 0.4
SHORTEST_S: Final = 0.2


class Episode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault, from its beginning to its end.

    Args:
        at_s: when it begins, in seconds since the load began.
        lasts_s: until it ends; 0 for a restart, which ends by itself.
        fault: one of `FAULTS`.
        nodes: who is hit; of a cut or slow link, the senders.
        others: the receivers at a cut or slow link's other end.
        delay_ms, loss: of slow links; loss is the share of datagrams, 0 to 1.
    """

    at_s: float
    lasts_s: float
    fault: str
    nodes: tuple[str, ...]
    others: tuple[str, ...] = ()
    delay_ms: float = 0.0
    loss: float = 0.0

    def sentence(self) -> str:
        """What it does, in words."""
        who, whom = ", ".join(self.nodes), ", ".join(self.others)
        match self.fault:
            case "kill":
                return f"SIGKILL to {who}"
            case "restart":
                return f"{who} restarts in good order"
            case "pause":
                return f"SIGSTOP to {who}"
            case "full":
                return f"the files of {who} may not grow"
            case "partition":
                return f"no link between {who} and {whom}"
            case "oneway":
                return f"nothing from {who} reaches {whom}"
            case _:
                return f"slow links between {who} and {whom}: {self.delay_ms:g} ms, {self.loss:.0%} lost"


def plan_episodes(
    seed: int, nodes: Sequence[str], seconds: float, faults: Sequence[str], pace_s: float
) -> list[Episode]:
    """The whole plan, in order of beginnings.

    Args:
        seed: decides everything that the other arguments leave open.
        nodes: their names, in the cluster's order.
        seconds: every episode has ended by then.
        faults: which of `FAULTS` there are.
        pace_s: the mean time from one beginning to the next in a lane.
    """
    lanes: tuple[tuple[str, Sequence[str], Callable[..., dict[str, Any]]], ...] = (
        ("nodes", NODE_FAULTS, _on_nodes),
        ("links", LINK_FAULTS if len(nodes) > 1 else (), _on_links),
    )
    episodes: list[Episode] = []
    for lane, known, details in lanes:
        chosen = [fault for fault in known if fault in faults]
        if chosen:
            random = Random(f"chaos/{seed}/{lane}")  # noqa: S311  # repeatable on purpose
            episodes += _lane(random, nodes, seconds, chosen, pace_s, details)
    return sorted(episodes, key=lambda episode: episode.at_s)


def _lane(
    random: Random,
    nodes: Sequence[str],
    seconds: float,
    faults: Sequence[str],
    pace_s: float,
    details: Callable[[Random, Sequence[str], str], dict[str, Any]],
) -> Iterator[Episode]:
    at_s = 0.0
    deck: list[str] = []
    while True:
        at_s += pace_s * RESTS * random.uniform(0.5, 1.5)
        lasts_s = max(SHORTEST_S, pace_s * LASTS * random.uniform(0.5, 1.5))
        if at_s + lasts_s > seconds:
            return
        deck = deck or random.sample(faults, len(faults))
        fault = deck.pop()
        lasts_s = 0.0 if fault == "restart" else round(lasts_s, 3)
        yield Episode(at_s=round(at_s, 3), lasts_s=lasts_s, fault=fault, **details(random, nodes, fault))
        at_s += lasts_s


def _on_nodes(random: Random, nodes: Sequence[str], fault: str) -> dict[str, Any]:
    count = random.randint(1, max(1, (len(nodes) - 1) // 2))
    return {"nodes": tuple(random.sample(list(nodes), count))}


def _on_links(random: Random, nodes: Sequence[str], fault: str) -> dict[str, Any]:
    """The nodes in two sides."""
    shuffled = random.sample(list(nodes), len(nodes))
    cut = random.randint(1, len(nodes) - 1)
    sides: dict[str, Any] = {"nodes": tuple(shuffled[:cut]), "others": tuple(shuffled[cut:])}
    if fault == "slow":
        sides |= {"delay_ms": round(random.uniform(*DELAY_MS), 1)}
        sides |= {"loss": round(random.uniform(0, LOSS_MAX), 3)}
    return sides
