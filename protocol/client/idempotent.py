"""What may be asked again without asking what became of it: some methods, and all that were refused so."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.errors import BUSY, RATE_LIMITED, SHUTTING_DOWN, STALE_TOPOLOGY

IDEMPOTENT: Final = frozenset(
    {
        *("ping", "record.put", "record.get", "cluster.status", "cluster.where"),
        *("account.get", "account.history", "account.records", "handle.get"),
        *("account.attest", "account.reactions"),
        "account.change",  # an operation is appended once, however often it comes
        *("feed.author", "feed.home", "feed.thread", "feed.ranked", "feed.trends"),
        *("notice.list", "search.posts"),
        *("moderation.held", "moderation.show", "moderation.decide", "moderation.statements"),
        *("moderation.audit", "moderation.samples", "moderation.texts", "label.definitions"),
        *("media.begin", "media.put", "media.finish", "media.get", "media.stat", "media.list"),
        *("join.authority", "join.admit"),  # which knows who asks by the key of the request
    }
)

NOT_DONE: Final = frozenset({BUSY, RATE_LIMITED, SHUTTING_DOWN, STALE_TOPOLOGY})
"""Refusals that say the request was not carried out at all."""
