"""Previews in tests of whole nodes."""

from __future__ import annotations

from typing import Any

from tests.node.harness import Client


async def previewed(client: Client, document: bytes, posts: int = 1_000) -> dict[str, Any]:
    """The report of a preview of a document (its hash) at a node."""
    while True:
        told = await client.call("policy.preview", hash=document, posts=posts)
        if (report := told["report"]) is not None:
            assert isinstance(report, dict)
            return report
