"""How far a node trusts its own judgement of others (Lifeguard's local health).

Two signs say that the trouble is here: our probes go unanswered while those we asked for help stay silent
too, or are refuted (the *score*, moved step by step), and our own event loop runs late (the *lag*, measured).
The worse of the two stretches every timeout. Lag decays by half with each measurement, so that one pause of
the garbage collector does not blind the node for long.

Source: Lifeguard, section IV.A; memberlist awareness.go; the lag term is ours.
"""

from __future__ import annotations


def lag_level(lag_s: float, probe_timeout_s: float) -> int:
    """How many steps of health a loop that runs `lag_s` late costs: one per half probe timeout."""
    return int(2 * lag_s / probe_timeout_s)


def probe_failure_delta(relays_asked: int, nacks: int) -> int:
    """What a failed probe costs: each relay that did not even say "no answer" is a sign that we are deaf."""
    return relays_asked - nacks if relays_asked else 1


class Health:
    """The factor on this node's timeouts, from 1 (healthy) to `awareness_max`.

    Args:
        awareness_max: the greatest factor.
        probe_timeout_s: the unit in which lag is judged.
    """

    def __init__(self, awareness_max: int, probe_timeout_s: float) -> None:
        self._ceiling = awareness_max - 1
        self._probe_timeout_s = probe_timeout_s
        self._score = 0
        self._lag_s = 0.0

    @property
    def factor(self) -> int:
        """What every timeout is multiplied by."""
        return 1 + min(self._ceiling, max(self._score, lag_level(self._lag_s, self._probe_timeout_s)))

    @property
    def lag_s(self) -> float:
        """The decaying peak of the event loop's lag, in seconds."""
        return self._lag_s

    def shift(self, delta: int) -> None:
        """Move the score: positive for signs of illness, -1 for an answered probe."""
        self._score = min(self._ceiling, max(0, self._score + delta))

    def observe_lag(self, lag_s: float) -> None:
        """Take one measurement of how late the event loop ran, in seconds."""
        self._lag_s = max(lag_s, self._lag_s / 2)
