"""What a node tells of its gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GatekeeperStatus:
    """What the gate is doing.

    Args:
        policy, name: hash and name of the policy in force.
        file: where it came from; None when the node was given no policy.
        loaded_at_us: when it came into force, microseconds since 1970.
        errors: why what is in the file now is not in force; empty when it is.
        unjudged: records held because judging failed, since this policy came into force.
        warnings: what of the policy is not in force: models that are not there, rules that have expired.
    """

    policy: str
    name: str
    file: str | None
    loaded_at_us: int
    errors: tuple[str, ...]
    unjudged: int
    warnings: tuple[str, ...] = ()

    def to_wire(self, *, for_operator: bool) -> dict[str, Any]:
        """As a map, with what is absent left out.

        Args:
            for_operator: whether to tell where the file is and what is wrong with it: paths, and lines of a
                policy that is not in force, are nobody else's business.
        """
        wire: dict[str, Any] = {
            "policy": self.policy,
            "name": self.name,
            "loaded_at_us": self.loaded_at_us,
            "outdated": bool(self.errors),
            "unjudged": self.unjudged,
        }
        if for_operator:
            wire["errors"] = list(self.errors)
            wire["warnings"] = list(self.warnings)
            if self.file is not None:
                wire["file"] = self.file
        return wire
