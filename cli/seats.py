"""What is said of seats: how many there are, where, and how many may fail."""

from __future__ import annotations

from typing import Any, Final

from folkmoot.protocol.consensus.seating import MAY_HOLD, evening


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


def damage_reasons(status: dict[str, Any]) -> list[str]:
    """What the asked node says of damage to what its seat keeps, where no other seat makes up for it."""
    seat = status["node"].get("seat", {"damaged": 0})
    if not seat["damaged"] or not seat["needed"]:
        return []
    return [lost_registers(seat["damaged"])]


def lost_registers(count: int) -> str:
    """What it means that so many registers are damaged at a seat without which nothing is decided."""
    them = "1 register is" if count == 1 else f"{count:,} registers are"
    return f"{them} damaged at the only seat, and nothing about what they hold can be read there or changed"


WAY_OUT_OF_LOST: Final = (
    "folkmoot seats recover --accept-loss at its node: what they held is given up for what the node knows"
)


def seats_warnings(status: dict[str, Any]) -> list[str]:
    """What could be better about where the seats are, of a cluster's status."""
    seats = status["seats"]
    holders = {holder["id"]: holder for holder in seats["holders"]}
    if seats["changing"] or not all(holder["region"] for holder in holders.values()):
        return []
    held = {bytes.fromhex(each["id"]): each["region"] for each in holders.values()}
    free = {
        bytes.fromhex(node["id"]): node["region"]
        for node in status["nodes"]
        if node["id"] not in holders
        and node["member"]
        and node["state"] == "alive"
        and node.get("roster", MAY_HOLD[0]) in MAY_HOLD
    }
    move = evening(held, free)
    if move is None:
        return []
    crowded, other = held[move[0]], free[move[1]]
    there = sum(region == crowded for region in held.values())
    lost = " and nothing can be changed while that region is lost;" if there > seats["may_fail"] else ""
    return [
        f"{there} of {len(held)} seats are in {crowded},{lost} one could be in {other}: it moves there by"
        " itself in a while, or have it done with `folkmoot seats set`"
    ]


def _name(holder: dict[str, Any]) -> str:
    name = holder["name"] or holder["id"][:8]
    notes = [holder["region"]] if holder["region"] else []
    if holder["state"] != "alive":
        notes.append(holder["state"])
    if holder["coming"]:
        notes.append("coming")
    return f"{name} in {', '.join(notes)}" if notes else name
