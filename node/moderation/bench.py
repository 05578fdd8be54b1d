"""The bench: which of the policies in force judges whom."""

from __future__ import annotations

from dataclasses import dataclass

from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.protocol.community.canary import is_judged_by
from folkmoot.protocol.community.value import ALL_PERCENT


@dataclass(frozen=True, slots=True)
class Bench:
    """What a community has put in force, compiled.

    Args:
        engine: judges `percent` of the accounts; None for the policy of the node's own file.
        percent: of the accounts; 100 but for a canary.
        others: judges the others; None for the policy of the node's own file.
    """

    engine: PolicyEngine | None = None
    percent: int = ALL_PERCENT
    others: PolicyEngine | None = None

    def judge_of(self, account: bytes, own: PolicyEngine) -> PolicyEngine:
        """Who judges what an account (34 bytes) writes.

        Args:
            account: the author.
            own: the policy of the node's own file.
        """
        engine = self.engine
        if self.percent < ALL_PERCENT and engine is not None:
            judged = is_judged_by(bytes.fromhex(engine.document.hash), account, self.percent)
            engine = engine if judged else self.others
        return own if engine is None else engine

    def judges(self, own: PolicyEngine) -> list[PolicyEngine]:
        """All that judge somebody."""
        some = [self.engine] if self.percent == ALL_PERCENT else [self.engine, self.others]
        return [own if each is None else each for each in some]

    def settled(self, own: PolicyEngine) -> PolicyEngine:
        """What judges all but those of a canary."""
        engine = self.engine if self.percent == ALL_PERCENT else self.others
        return own if engine is None else engine


OWN_FILE = Bench()
"""What is in force until a community has activated anything."""
