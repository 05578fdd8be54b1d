"""Notifications as commands show them, once the signatures of what caused them were checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.feeds import caution_words, check_signers, described_post, post_lines
from folkmoot.cli.moderating.grounds import grounds_of
from folkmoot.cli.post_names import post_name
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.projections.bounds import NOTICES_UNREAD
from folkmoot.protocol.record import Record

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

_DEEDS: Final = {
    "reply": "answered you",
    "mention": "mentioned you",
    "quote": "quoted you",
    "thread": "answered in your thread",
    "follow": "follows you",
    "like": "liked your post",
    "repost": "reposted your post",
    "label": "put a label on your post",
    "held": "Your post waits for review",
    "decision": "decided about your post",
}
_NAMED: Final = 3


async def checked(client: Client, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Notifications, as JSON tells them.

    Raises:
        OperatorError: the node says of somebody what they did not sign.
        WireError: a signature does not hold.
    """
    by_author: dict[bytes, list[Record]] = {}
    for item in items:
        if "gap" in item:
            continue
        record = Record.from_wire(item["record"])
        if item["notice"]["by"][:1] not in ([], [record.author]):
            raise OperatorError("the node shows what somebody else did than it says")
        by_author.setdefault(record.author, []).append(record)
    for author, records in by_author.items():
        await check_signers(client, author, records)
    return [_described(item) for item in items]


def _described(item: dict[str, Any]) -> dict[str, Any]:
    if "gap" in item:
        gap = item["gap"]
        return {"gap": {"post": post_name(gap["author"], gap["item"]), "reason": gap["reason"]}}
    notice, record = item["notice"], Record.from_wire(item["record"])
    told: dict[str, Any] = {
        "sort": notice["sort"],
        "time": _time(notice["time"]),
        "by": [account_to_text(account) for account in notice["by"]],
        "unread": notice["unread"],
    }
    if "count" in notice:
        told["count"] = notice["count"]
    if "post" in notice:
        told["about"] = post_name(notice["post"]["author"], notice["post"]["item"])
    if "subject" in item:
        told["text"] = Record.from_wire(item["subject"]).body.get("text", "")
    if record.kind == "post":
        told["post"] = described_post(item)
    else:
        told["record"] = {"kind": record.kind, "id": record.id.hex(), "body": record.body}
    if "cautions" in item:
        told["cautions"] = [{**each, "by": account_to_text(each["by"])} for each in item["cautions"]]
    return told


def lines(told: dict[str, Any]) -> list[str]:
    """What `checked` gives of one, as lines of text."""
    if "gap" in told:
        return [f"[a notification that cannot be reached just now: {told['gap']['post']}]", ""]
    sign = "*" if told["unread"] else " "
    shown = [f"{sign} {told['time']}  {_sentence(told)}"]
    if "cautions" in told:
        shown.append("  [" + ", ".join(map(caution_words, told["cautions"])) + "]")
    if told["sort"] == "held":
        shown.append(_whom_to_ask(told))
    if "post" in told:
        return [*shown, *(f"  {line}" if line else line for line in post_lines(told["post"]))]
    if told["sort"] == "label":
        body = told["record"]["body"]
        shown.append(f"  {body['value']}: {body['reason'] or 'no reason given'}{_grounds(body)}")
    if told["sort"] == "decision":
        body = told["record"]["body"]
        shown.append(f"  {body['action']}: {body['reason']}{_grounds(body)}")
    if told["sort"] == "decision" or _is_of_a_policy(told):
        shown.append(_whom_to_ask(told))
    if "text" in told:
        shown += [f"  > {line}" for line in told["text"].removesuffix("\n").split("\n")]
    return [*shown, ""]


def unread_line(unread: int | None, requests: bool = False) -> list[str]:
    """How many notifications, or requests, are unread, if any are."""
    if not unread:
        return []
    number = f"{NOTICES_UNREAD - 1}+" if unread >= NOTICES_UNREAD else str(unread)
    show = "folkmoot notifications show" + (" --requests" if requests else "")
    return [f"{number} unread; `{show}`, `folkmoot notifications mark-read`"]


def _whom_to_ask(told: dict[str, Any]) -> str:
    return f"  why, and how to appeal: folkmoot moderate show {told['about']}"


def _is_of_a_policy(told: dict[str, Any]) -> bool:
    return told["sort"] == "label" and "policy" in told["record"]["body"]


def _grounds(body: dict[str, Any]) -> str:
    """By what it was done: a policy by itself, or people, and on which grounds."""
    by_itself = "policy" in body and body.get("role", "automatic") == "automatic"
    grounds = [*(["by a policy, without a person"] if by_itself else []), *grounds_of(body)]
    return f" ({', '.join(grounds)})" if grounds else ""


def _sentence(told: dict[str, Any]) -> str:
    """Who did what."""
    deed: str = _DEEDS.get(told["sort"], told["sort"])
    names: list[str] = told["by"][:_NAMED]
    if not names:
        return deed
    others = told.get("count", len(told["by"])) - len(names)
    who = " and ".join([", ".join(names), *([f"{others} more"] if others > 0 else [])])
    return f"{who} {deed}"


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds")
