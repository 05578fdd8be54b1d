"""Notifications as people read them: the commands, against a process that is killed, started and rebuilt."""

from __future__ import annotations

from typing import Any

import pytest
from folkmoot.cli import exit_codes

from tests.integration.processes import node
from tests.integration.test_timelines import SEEN_S, Town, town
from tests.waiting import until_blocking

__all__ = ["town"]

pytestmark = pytest.mark.cluster


def is_told(town: Town, key: str, expected: list[tuple[str, str]], *words: str) -> dict[str, Any]:
    """Wait until somebody's notifications are these: sorts, and the texts of posts."""
    told: dict[str, Any] = {}

    def so() -> bool:
        told.update(town.says("notifications", "show", "--key", key, *words))
        seen = [
            (each["sort"], each.get("post", {}).get("body", {}).get("text", "")) for each in told["items"]
        ]
        return sorted(seen) == sorted(expected)

    until_blocking(so, what=f"notifications to be {expected}", within_s=SEEN_S)
    return told


def test_people_are_told_what_others_did(town: Town) -> None:
    ann, ben, cleo = town.key("ann"), town.key("ben"), town.key("cleo")
    root = town.says("post", "Tea?", "--key", ann)["post"]
    town.says("follow", ben, "--key", ann)
    town.says("follow", ann, "--key", ben)
    town.says("post", "Yes!", "--reply-to", root, "--key", ben)
    town.says("post", "You, too?", "--mention", ann, "--key", cleo)
    told = is_told(town, ann, [("follow", ""), ("reply", "Yes!")])
    assert told["unread"] == 2 and told["cursor"] is None
    is_told(town, ann, [("mention", "You, too?")], "--requests")
    assert town.says("timeline", "home", ann, "--as", ann)["unread"] == 2
    for kind in ("like", "repost"):
        assert town.says(kind, root, "--key", ben)["changed"]
    assert not town.says("like", root, "--key", ben)["changed"]
    is_told(town, ann, [("follow", ""), ("reply", "Yes!"), ("like", ""), ("repost", "")])
    for kind in ("like", "repost"):
        assert town.says(kind, root, "--remove", "--key", ben)["changed"]
    gone = f"{root[:-4]}ffff"
    code, refused = town.ends("like", gone, "--key", ben)
    assert code == exit_codes.FAILED and "there is no post" in refused["error"]["message"]
    is_told(town, ann, [("follow", ""), ("reply", "Yes!")])
    assert town.says("notifications", "mark-read", "--key", ann)["changed"] is True
    assert town.says("notifications", "mark-read", "--key", ann)["changed"] is False
    assert is_told(town, ann, [("follow", ""), ("reply", "Yes!")])["unread"] == 0
    changed = town.says(
        "notifications", "policy", "--mention", "everyone", "--follow", "nobody", "--key", ann
    )
    assert changed["changed"] and changed["policy"]["mention"] == "everyone"
    is_told(town, ann, [("mention", "You, too?"), ("reply", "Yes!")])
    kept = town.says("notifications", "policy", "--key", ann)
    assert (kept["policy"]["mention"], kept["policy"]["like"]) == ("everyone", "everyone")

    live = town.says("notifications", "follow", "--since", "1h", "--limit", "1", "--key", ann)
    assert live["post"]["body"]["text"] == "Yes!" and live["cursor"]

    assert town.running is not None
    town.running.kill()
    with node(town.laid.config_file("eu-1")) as again:
        town.running = again
        is_told(town, ann, [("mention", "You, too?"), ("reply", "Yes!")])
        operator = ("--operator", str(town.laid.operator_key_file))
        assert town.says("projection", "rebuild", "notifications", *operator)["done"]
        is_told(town, ann, [("mention", "You, too?"), ("reply", "Yes!")])
        cursor = town.says("notifications", "show", "--limit", "1", "--key", ann)["cursor"]
        code, refused = town.ends("notifications", "show", "--requests", "--cursor", cursor, "--key", ann)
        assert code == exit_codes.FAILED and refused["error"]["name"] == "bad_request"
