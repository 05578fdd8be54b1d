"""Declared sets of words by which texts are put into groups: a stand-in for how people write.

They are declared as a policy's lists and patterns are, in the same form, and found as those are; the category
of a list names the set that it is a sign of. A text is in a set as soon as any sign of it is found. That says
something of the text and nothing of who wrote it: people of one dialect write without its signs, and others
quote them. Whoever brings a document may make one that takes long to look for, so a node gives each text no
more time than its gate would.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from folkmoot.node.moderation.budget import ENDLESS, Budget, OverBudget
from folkmoot.node.moderation.matchers import Matchers
from folkmoot.node.moderation.pattern_sets import MatchError
from folkmoot.node.moderation.policy_layers import parse_whole
from folkmoot.protocol.moderation.bounds import DIALECTS_BYTES, DIALECTS_SETS
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.protocol.record import Record

_CALLED: Final = "dialects"


class Dialects:
    """See the module.

    Args:
        document: as a policy's, in TOML.
        called: how problems name it.

    Attributes:
        sets: their names, in the order in which they were declared.

    Raises:
        PolicyError: with every problem found.
    """

    def __init__(self, document: bytes, called: Path = Path(_CALLED)) -> None:
        if len(document) > DIALECTS_BYTES:
            raise PolicyError([f"{called}: larger than {DIALECTS_BYTES} bytes"])
        declared = parse_whole(called, document)
        if not declared.finders:
            raise PolicyError([f"{called}: declares no set; write [[lists]] or [[patterns]]"])
        self._categories = [finder.category for finder in declared.finders]
        self._matchers = Matchers(declared)
        self.sets = list(dict.fromkeys(self._categories))
        if len(self.sets) > DIALECTS_SETS:
            raise PolicyError([f"{called}: {len(self.sets)} sets; at most {DIALECTS_SETS} are told apart"])

    def sets_in(self, text: str, budget: Budget = ENDLESS) -> Collection[str]:
        """The sets that a text is in."""
        try:
            return {self._categories[finder] for finder in self._matchers.find(text, budget)}
        except (MatchError, OverBudget):  # then it cannot be told, and it counts among everybody
            return ()

    def sets_of(self, record: Record, budget: Budget) -> Collection[str]:
        """The sets that the text of a post is in."""
        text = record.body.get("text")
        return self.sets_in(text, budget) if isinstance(text, str) else ()
