"""What is broken when: a pure function of a seed, the nodes' names and a few numbers.

There are three lanes of episodes, one of faults on nodes, one of faults on links, and one of what operators
do to a cluster that is whole: ranges and seats move, and backups are made. Within a lane one episode ends
before the next begins; so a killed node, a cut link and a half-moved range do meet, and, besides one that is
given up, never more than a minority of the nodes is gone at once. Each lane deals its faults from a shuffled
deck: every one comes before any comes again.

Real machines are not repeatable, so the same plan does not make the same run. It makes the same trouble.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Final

import msgspec

NODE_FAULTS: Final = ("kill", "restart", "pause", "full")
LINK_FAULTS: Final = ("partition", "oneway", "slow")
REPLACE: Final = "replace"
CHANGES: Final = ("drain", "split", "seats", "backup", REPLACE)
"""No faults, but they happen like them."""
ENDING: Final = ("restart", "split", "seats", "backup", REPLACE)
"""Those that end by themselves."""
FAULTS: Final = (*NODE_FAULTS, *LINK_FAULTS, *CHANGES)

DELAY_MS: Final = (20.0, 300.0)
LOSS_MAX: Final = 0.3
# The faults' mean length, and the mean rest between two episodes of a lane, as shares of the pace.
LASTS: Final = 0.6
RESTS: Final = 0.4
SHORTEST_S: Final = 0.2
# Changes need the nodes that faults keep away, so they take longer than a fault; and ranges move between two.
CHANGES_LAST: Final = 1.5
DRAIN_LASTS: Final = 4.0
REPLACES_AT: Final = 0.7  # of the whole time


class Episode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault, from its beginning to its end.

    Args:
        at_s: when it begins, in seconds since the load began.
        lasts_s: until it ends, if it does not end by itself. A drain ends when something has moved, too.
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
            case "drain":
                return f"{who} is drained"
            case "split":
                return "ranges are split"
            case "seats":
                return "the seats change"
            case "backup":
                return f"a backup of {who} is made"
            case "replace":
                return f"SIGKILL to {who}, which is given up for dead and replaced"
            case _:
                return f"slow links between {who} and {whom}: {self.delay_ms:g} ms, {self.loss:.0%} lost"


def plan_episodes(
    seed: int,
    nodes: Sequence[str],
    seconds: float,
    faults: Sequence[str],
    pace_s: float,
    spared: Sequence[str] = (),
    *,
    own: bool = False,
) -> list[Episode]:
    """The whole plan, in order of beginnings.

    Args:
        seed: decides everything that the other arguments leave open.
        nodes: their names, in the cluster's order.
        seconds: every episode has ended by then.
        faults: which of `FAULTS` there are.
        pace_s: the mean time from one fault's beginning to the next one's in a lane; changes take longer.
        spared: of the nodes, those that could be drained: others of their regions can take their ranges.
        own: whether a node may be given up for good, which happens once and is the last change.
    """
    possible = possible_changes(nodes, spared, own=own)
    lanes: tuple[tuple[str, Sequence[str], float, Callable[..., dict[str, Any]]], ...] = (
        ("nodes", NODE_FAULTS, LASTS, _on_nodes),
        ("links", LINK_FAULTS if len(nodes) > 1 else (), LASTS, _on_links),
        ("changes", possible, CHANGES_LAST, partial(_on_changes, spared)),
    )
    episodes: list[Episode] = []
    for lane, known, lasts, details in lanes:
        chosen = [fault for fault in known if fault in faults]
        random = Random(f"chaos/{seed}/{lane}")  # noqa: S311  # repeatable on purpose
        ends_s = seconds
        if REPLACE in chosen:
            chosen.remove(REPLACE)
            ends_s = seconds * REPLACES_AT
            episodes.append(_replacement(random, spared, ends_s))
        if chosen:
            episodes += _lane(random, nodes, ends_s, chosen, pace_s, lasts, details)
    return sorted(episodes, key=lambda episode: episode.at_s)


def spared_of(regions: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the nodes that are not alone in their regions, of all by name."""
    count = Counter(regions.values())
    return tuple(name for name, region in regions.items() if count[region] > 1)


def possible_changes(nodes: Sequence[str], spared: Sequence[str], *, own: bool) -> tuple[str, ...]:
    """Which of `CHANGES` a cluster has nodes enough for; only a run's own can lose one for good."""
    lacks = {"drain": not spared, "seats": len(nodes) < 2, REPLACE: not (spared and own)}
    return tuple(change for change in CHANGES if not lacks.get(change))


def _replacement(random: Random, spared: Sequence[str], at_s: float) -> Episode:
    """The end of one node, whose region has another."""
    return Episode(at_s=round(at_s, 3), lasts_s=0.0, fault=REPLACE, nodes=(random.choice(spared),))


def _lane(
    random: Random,
    nodes: Sequence[str],
    seconds: float,
    faults: Sequence[str],
    pace_s: float,
    lasts: float,
    details: Callable[[Random, Sequence[str], str], dict[str, Any]],
) -> Iterator[Episode]:
    at_s = 0.0
    deck: list[str] = []
    while True:
        at_s += pace_s * RESTS * random.uniform(0.5, 1.5)
        length = random.uniform(0.5, 1.5)
        deck = deck or random.sample(faults, len(faults))
        fault = deck.pop()
        lasts_s = max(SHORTEST_S, pace_s * length * (DRAIN_LASTS if fault == "drain" else lasts))
        if at_s + lasts_s > seconds:
            return
        lasts_s = 0.0 if fault == "restart" else round(lasts_s, 3)
        yield Episode(
            at_s=round(at_s, 3),
            lasts_s=0.0 if fault in ENDING else lasts_s,
            fault=fault,
            **details(random, nodes, fault),
        )
        at_s += lasts_s


def _on_nodes(random: Random, nodes: Sequence[str], fault: str) -> dict[str, Any]:
    count = random.randint(1, max(1, (len(nodes) - 1) // 2))
    return {"nodes": tuple(random.sample(list(nodes), count))}


def _on_changes(spared: Sequence[str], random: Random, nodes: Sequence[str], fault: str) -> dict[str, Any]:
    match fault:
        case "drain":
            return {"nodes": (random.choice(spared),)}
        case "backup":
            return {"nodes": (random.choice(nodes),)}
        case _:
            return {"nodes": ()}


def _on_links(random: Random, nodes: Sequence[str], fault: str) -> dict[str, Any]:
    """The nodes in two sides."""
    shuffled = random.sample(list(nodes), len(nodes))
    cut = random.randint(1, len(nodes) - 1)
    sides: dict[str, Any] = {"nodes": tuple(shuffled[:cut]), "others": tuple(shuffled[cut:])}
    if fault == "slow":
        sides |= {"delay_ms": round(random.uniform(*DELAY_MS), 1)}
        sides |= {"loss": round(random.uniform(0, LOSS_MAX), 3)}
    return sides
