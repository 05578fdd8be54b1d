"""What the demo concludes from what nodes say of each other."""

from __future__ import annotations

from typing import Any

from folkmoot.cli.demo.watcher import Watcher

NAMES = ("eu-1", "us-1", "ap-1")
DESCRIBED = {
    "ca": None,
    "nodes": [{"id": name * 2, "name": name, "address": "127.0.0.1:1"} for name in NAMES],
}


def status(**states: str) -> dict[str, Any]:
    """What a node answers that sees the others like this."""
    nodes = [{"id": name.replace("_", "-") * 2, "state": state} for name, state in states.items()]
    return {"nodes": nodes, "node": {"replication": {"queued": 0}, "hints": {}}}


def test_a_node_that_has_just_started_and_heard_nothing_sees_nobody() -> None:
    watcher = Watcher(DESCRIBED)
    watcher._seen("eu-1", status(eu_1="alive", us_1="alive", ap_1="alive"))
    watcher._seen("us-1", status(eu_1="unknown", us_1="alive", ap_1="unknown"))
    assert watcher.views_of("eu-1") == {}
    assert watcher.views_of("ap-1") == {"eu-1": "alive"}
    watcher._seen("us-1", status(eu_1="alive", us_1="alive", ap_1="dead"))
    assert watcher.views_of("ap-1") == {"eu-1": "alive", "us-1": "dead"}
    watcher._seen("us-1", None)
    assert watcher.views_of("ap-1") == {"eu-1": "alive"}
