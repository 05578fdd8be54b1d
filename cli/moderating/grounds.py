"""By what something was decided, in a few words: as bodies of records, verdicts and errors say it alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_POLICY_DIGITS: Final = 12  # of its hash, which tell it from others


def grounds_of(said: Mapping[str, Any]) -> list[str]:
    """The rule, the policy, the place in the text and what else the rule looked at, as far as they are said.

    Args:
        said: with `rule`, `policy`, `field`, `span` and `signals`, and `matched` if the words are known.
    """
    grounds = [f"rule {said['rule']}"] if said.get("rule") else []
    grounds += [f"policy {said['policy'][:_POLICY_DIGITS]}"] if said.get("policy") else []
    if said.get("span"):
        first, after = said["span"]
        found = f": “{said['matched']}”" if "matched" in said else ""
        grounds.append(f"characters {first + 1} to {after} of {said.get('field') or 'text'}{found}")
    return [*grounds, *(f"{name} {value}" for name, value in (said.get("signals") or {}).items())]
