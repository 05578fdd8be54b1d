"""What a gate counts of what it does, for metrics: verdicts, the rules that decided, and what was unknown.

Names of rules and signals come from policies, which change; so as many are told apart as have a place, and
the others together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from folkmoot.node.metrics.registry import Family, counters
from folkmoot.protocol.moderation.bounds import FIGURES_TOLD_APART
from folkmoot.protocol.moderation.verdict import Action, Verdict

OTHERS: Final = "(others)"


class Names:
    """Counts by name, of which there may be any number.

    Args:
        most: how many are told apart.
    """

    def __init__(self, most: int = FIGURES_TOLD_APART) -> None:
        self.counts: Counter[str] = Counter()
        self._most = most

    def add(self, names: Iterable[str]) -> None:
        """Each of these once more."""
        for name in names:
            known = name in self.counts or len(self.counts) < self._most
            self.counts[name if known else OTHERS] += 1


class GateFigures:
    """See the module.

    Attributes:
        rules: the rules that decided.
        unknown: the signals that rules asked for, and that were not known.
    """

    def __init__(self) -> None:
        self._actions = dict.fromkeys(Action, 0)
        self.rules = Names()
        self.unknown = Names()

    def count(self, verdict: Verdict) -> None:
        """A record was judged."""
        self._actions[verdict.action] += 1
        if verdict.decisive is not None:
            self.rules.add((verdict.decisive.rule,))

    def families(self) -> Iterator[Family]:
        """All of it, as it is now."""
        actions = {action.word: count for action, count in self._actions.items()}
        yield counters("gate_verdicts", "Records that the gate judged, by its verdict.", "action", actions)
        yield counters("gate_rules", "Verdicts that a rule decided, by the rule.", "rule", self.rules.counts)
        yield counters(
            "gate_unknown_signals",
            "Records of which a rule asked for a signal that was not known.",
            "signal",
            self.unknown.counts,
        )
