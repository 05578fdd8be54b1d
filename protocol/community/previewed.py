"""Previews as activations need them: what was tried against what, and what was found against it.

A preview's hash covers all of this and what was counted, so that it names one preview and nobody can change
what was found. The node that made a preview keeps it for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from folkmoot.protocol import codec
from folkmoot.protocol.community import bounds
from folkmoot.protocol.community.value import Epoch, Hash, Milliseconds
from folkmoot.protocol.errors import BAD_REQUEST, PREVIEW_NEEDED, WireError
from folkmoot.protocol.limits import NODE_ID_BYTES
from folkmoot.protocol.moderation.bounds import PREVIEW_FINDINGS, PREVIEW_LASTS_MS
from folkmoot.protocol.moderation.objections import Objection
from msgspec import Meta, Struct

COMMAND: Final = "folkmoot policy preview FILE"


class Preview(Struct, frozen=True):
    """One preview.

    Args:
        document: what was tried, by its hash.
        compared: what it was compared with; None for each node's own file.
        node: that made it (16 bytes).
        at_ms: when.
        posts: how many were replayed.
        counts: the SHA-256 of all that was counted.
        found: what was found against it.
    """

    document: Hash
    compared: Hash | None
    node: Annotated[bytes, Meta(min_length=NODE_ID_BYTES, max_length=NODE_ID_BYTES)]
    at_ms: Milliseconds
    posts: Epoch
    counts: Hash
    found: Annotated[tuple[Objection, ...], Meta(max_length=PREVIEW_FINDINGS)] = ()

    @property
    def hash(self) -> bytes:
        """What names it."""
        return hashlib.sha256(codec.pack(self.to_wire())).digest()

    def to_wire(self) -> dict[str, Any]:
        """As a map."""
        plain: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return plain

    @property
    def blocking(self) -> list[str]:
        """The names of what keeps it from being activated without a reason, each once, in order."""
        return sorted({each.name for each in self.found if each.blocks})


def counts_hash(counts: object) -> bytes:
    """The hash of what was counted (plain values)."""
    return hashlib.sha256(codec.pack(counts)).digest()


def check_preview(
    preview: Preview | None,
    hash: bytes,
    settled: bytes | None,
    now_ms: int,
    acknowledged: Mapping[str, str],
) -> None:
    """See that a document may be activated after a preview.

    Args:
        preview: the one that is named; None where no node has it, or none is named.
        hash: of the document.
        settled: what is in force now for most accounts; see `Policy.settled`.
        now_ms: milliseconds since 1970.
        acknowledged: reasons for what was found, by its name.

    Raises:
        WireError: `preview_needed`, with `why` among the details, and what was found.
    """
    if preview is None:
        raise _needed("missing", "a policy is activated after a preview of it, which no node has", hash)
    if preview.document != hash:
        raise _needed("another_document", "that is the preview of another document", hash)
    if preview.compared != settled:
        raise _needed("older", "another policy has come into force since that preview", hash)
    if now_ms >= preview.at_ms + PREVIEW_LASTS_MS:
        raise _needed("expired", "that preview is more than a day old", hash)
    if open := [name for name in preview.blocking if not acknowledged.get(name, "").strip()]:
        found = [each for each in preview.found if each.blocks and each.name in open]
        raise WireError(
            PREVIEW_NEEDED,
            f"the preview speaks against it: {found[0].what}. Mend it, or say why it is meant, with "
            + " ".join(f"--acknowledge {name}=REASON" for name in open),
            details={
                "why": "found",
                "document": hash,
                "found": [msgspec.to_builtins(each) for each in found],
            },
        )


def reason_with(reason: str, acknowledged: Mapping[str, str]) -> str:
    """The reason for the log, with why what a preview found is meant.

    Raises:
        WireError: `bad_request`: together they are longer than the log takes.
    """
    whole = " ".join([reason, *(f"[{name}: {why}]" for name, why in sorted(acknowledged.items()))]).strip()
    if len(whole) > bounds.COMMUNITY_REASON_CODE_POINTS:
        raise WireError(
            BAD_REQUEST,
            f"the reason and what is acknowledged have {len(whole)} characters together; the log takes "
            f"{bounds.COMMUNITY_REASON_CODE_POINTS}",
        )
    return whole


def _needed(why: str, sentence: str, hash: bytes) -> WireError:
    return WireError(
        PREVIEW_NEEDED,
        f"{sentence}: {COMMAND} says what it would change, and the hash for --preview",
        details={"why": why, "document": hash, "found": []},
    )
