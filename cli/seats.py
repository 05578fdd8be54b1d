"""What is said of seats: how many there are, where, and how many may fail."""

from __future__ import annotations

from typing import Any


def seats_line(seats: dict[str, Any]) -> str:
    """One line for people, of the `seats` in a cluster's status."""
    if not seats["count"]:
        return "seats: none known yet"
    names = ", ".join(_name(holder) for holder in seats["holders"])
    changing = ", changing" if seats["changing"] else ""
    return f"seats: {seats['count']} ({names}){changing}; {seats['may_fail']} of them may fail"


def seats_reasons(seats: dict[str, Any]) -> list[str]:
    """Why registers cannot be changed, if they cannot."""
    silent = [holder for holder in seats["holders"] if holder["state"] not in ("alive", "suspect")]
    if len(silent) <= seats["may_fail"]:
        return []
    return [f"{len(silent)} of {len(seats['holders'])} seats are silent, and {seats['may_fail']} may be"]


def _name(holder: dict[str, Any]) -> str:
    name = holder["name"] or holder["id"][:8]
    notes = [holder["region"]] if holder["region"] else []
    if holder["state"] != "alive":
        notes.append(holder["state"])
    if holder["coming"]:
        notes.append("coming")
    return f"{name} in {', '.join(notes)}" if notes else name
