"""What is said of policies: by which all are judged, which nodes do, and what was changed."""

from __future__ import annotations

from typing import Any

from folkmoot.cli.community.asking import short
from folkmoot.cli.output import table, utc_text

COLUMNS = ("name", "region", "state", "epoch", "judging", "why")


def policy_line(policy: dict[str, Any]) -> str:
    """By what accounts are judged, in one line."""
    if policy["epoch"] == 0:
        return "no policy was ever activated: each node judges by its own file"
    line = f"epoch {policy['epoch']}: {short(policy['hash'])} judges"
    if policy["percent"] == 100:
        if policy["previous"] == policy["hash"]:
            return f"{line} all accounts; another was rolled back"
        return f"{line} all accounts; before it was {short(policy['previous'])}"
    return f"{line} {policy['percent']} % of the accounts, {short(policy['previous'])} the others"


def proposal_lines(proposal: dict[str, Any] | None) -> list[str]:
    """What waits for a second person."""
    if proposal is None:
        return []
    share = "" if proposal["percent"] == 100 else f" for {proposal['percent']} % of the accounts"
    because = f", because of {', '.join(proposal['rules'])}" if proposal["rules"] else ""
    return [
        f"proposed{share}: {short(proposal['hash'])}, by {proposal['by']}{because}{_after(proposal)}",
        f"another operator or a moderator: folkmoot policy confirm {short(proposal['hash'])}, "
        f"until {utc_text(proposal['expires_ms'] * 1000)}",
    ]


def node_lines(status: dict[str, Any]) -> list[str]:
    """Which nodes judge by it."""
    rows = [
        {**node, "judging": node["judging"] and node["judging"][:12], "why": node["why"] or None}
        for node in status["nodes"]
    ]
    return [f"acknowledged by {counted(status)} nodes", *table(rows, COLUMNS)]


def counted(status: dict[str, Any]) -> str:
    """How many nodes of how many."""
    return f"{status['acknowledged']}/{len(status['nodes'])}"


def log_line(change: dict[str, Any]) -> str:
    """One change, in one line."""
    if "role" in change:
        preposition = "to" if change["what"] == "granted" else "from"
        what = f"{change['what']} {change['role']} {preposition} {change['account']}"
    else:
        share = f" for {change['percent']} %" if change.get("percent", 100) != 100 else ""
        done = "rolled back to" if change["what"] == "rolled back" else change["what"]
        what = f"{done} {short(change.get('hash'))}{share} (epoch {change.get('epoch', 0)})"
    if "proposer" in change:
        what += f", proposed by {change['proposer']}"
    what += _after(change)
    reason = f": {change['reason']}" if change.get("reason") else ""
    return f"{utc_text(change['at_ms'] * 1000)}  {change['by']} {what}{reason}"


def _after(decided: dict[str, Any]) -> str:
    """The preview that something was decided after."""
    return f", after preview {short(decided['preview'])}" if decided.get("preview") else ""
