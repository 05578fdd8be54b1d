"""What a node has for moderation by people, put together: the wiring that concerns it."""

from __future__ import annotations

from folkmoot.node.moderation.deciders import Deciders
from folkmoot.node.wired import Wired


class ModerationParts:
    """See the module.

    Attributes:
        operators: accounts (34 bytes) with the operator role; a reload changes the set.
        deciders: who may decide.

    Args:
        wired: the node's.
    """

    def __init__(self, wired: Wired) -> None:
        self.operators = set[bytes](wired.config.operators.accounts)
        self.deciders = Deciders(self.operators, wired.topology.service_accounts)
