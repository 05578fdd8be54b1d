"""The methods that may be asked again without asking what became of the first time."""

from __future__ import annotations

from typing import Final

IDEMPOTENT: Final = frozenset(
    {
        *("ping", "record.put", "record.get", "cluster.status", "cluster.where"),
        *("account.get", "account.history", "account.records", "handle.get"),
        *("account.attest", "account.reactions"),
        "account.change",  # an operation is appended once, however often it comes
        *("feed.author", "feed.home", "feed.thread", "notice.list"),
        *("media.begin", "media.put", "media.finish", "media.get", "media.stat", "media.list"),
        *("join.authority", "join.admit"),  # which knows who asks by the key of the request
    }
)
