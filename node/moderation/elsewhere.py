"""Previews in other regions: where a policy changes something else, nodes there replay what they judged.

A node keeps what was known of the posts that it judged itself, so what a region's layer does is seen only in
that region. Whoever makes a preview asks one node of each region where something else changes, and another of
the same region when that one cannot be had.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.protocol import codec
from folkmoot.protocol.community.value import Epoch, Hash
from folkmoot.protocol.errors import BAD_REQUEST, BUSY, WireError
from folkmoot.protocol.moderation.bounds import (
    PREVIEW_ELSEWHERE_BYTES,
    PREVIEW_ELSEWHERE_REST_S,
    PREVIEW_ELSEWHERE_S,
    PREVIEW_FINDINGS,
    PREVIEW_POSTS,
)
from folkmoot.protocol.moderation.objections import Objection
from folkmoot.protocol.ring.roster import Slug
from msgspec import Meta, Struct

log = logging.getLogger(__name__)

REPLAY: Final = "policy.replay"

_Found = Annotated[tuple[Objection, ...], Meta(max_length=PREVIEW_FINDINGS)]


class Asked(Struct, omit_defaults=True):
    """`policy.replay`: a document, what it is compared with, and how many posts are replayed."""

    document: Hash
    posts: Annotated[int, Meta(ge=1, le=PREVIEW_POSTS)]
    compared: Hash | None = None


class Replayed(Struct):
    """The answer: how far the replay is, and what came of it.

    Args:
        region: where the node that answers stands.
        done, of: so many posts of how many.
        report: as in a preview, with less of it; None until there is one.
        found: what was found against the document.
        counts: the SHA-256 of all that was counted.
    """

    region: Slug
    done: Epoch
    of: Epoch
    report: dict[str, Any] | None = None
    found: _Found = ()
    counts: Hash | None = None


class _Report(Struct):
    """What has to be in a report."""

    posts: Epoch
    gone: Epoch
    left: Epoch
    from_us: int
    to_us: int
    actions: list[dict[str, Any]]
    queue: dict[str, Any]
    rules: list[dict[str, Any]]
    languages: list[dict[str, Any]]


class Region(NamedTuple):
    """Where something else changes.

    Args:
        names: of the regions, all alike in what changes.
        nodes: of their nodes, those that can be asked.
    """

    names: tuple[str, ...]
    nodes: tuple[bytes, ...]


class Elsewhere:
    """See the module.

    Args:
        peers: see `contracts`.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def ask(
        self, region: Region, asked: Asked, wanted: Callable[[], bool], tell: Callable[[Replayed], None]
    ) -> None:
        """Have one node of a region replay what it judged, and tell how far it is until it is done.

        Args:
            region: where.
            asked: what is tried.
            wanted: whether anybody still wants to know.
            tell: told of each answer, the last of which has a report; of none where no node gives one.
        """
        for node_id in region.nodes:
            while wanted():
                try:
                    said = await self._asked(node_id, region, asked)
                except (WireError, PeerUnreachable) as error:
                    if not isinstance(error, WireError) or error.kind is not BUSY:
                        log.info("node %s replays nothing: %s", node_id.hex()[:8], error)
                        break
                    await trio.sleep((error.retry_after_ms or 1_000) / 1_000)
                    continue
                tell(said)
                if said.report is not None:
                    return
                await trio.sleep(PREVIEW_ELSEWHERE_REST_S)

    async def _asked(self, node_id: bytes, region: Region, asked: Asked) -> Replayed:
        answer = await self._peers.call(node_id, REPLAY, _plain(asked), PREVIEW_ELSEWHERE_S)
        said = codec.shaped(answer, Replayed, f"the answer to {REPLAY}")
        if said.region not in region.names:
            raise WireError(BAD_REQUEST, f"it stands in region {said.region}")
        if said.report is not None:
            codec.shaped(said.report, _Report, f"the report in the answer to {REPLAY}")
            if len(codec.pack(said.report)) > PREVIEW_ELSEWHERE_BYTES:
                raise WireError(BAD_REQUEST, f"its report has more than {PREVIEW_ELSEWHERE_BYTES} bytes")
        return said


def shortened(report: Mapping[str, Any], most: int, rules: int) -> dict[str, Any]:
    """A report with less of it where it is long, so that those of all regions fit into one answer.

    Args:
        report: as a preview makes it.
        most: bytes that it may have.
        rules: that it tells of, those that differ most.
    """
    short = {**report, "rules": report["rules"][:rules]}
    if len(codec.pack(short)) > most:
        none: dict[str, list[Any]] = {"gained": [], "lost": []}
        short["rules"] = [{**each, "samples": none} for each in short["rules"]]
    while len(codec.pack(short)) > most and short["languages"]:
        short["languages"] = short["languages"][: len(short["languages"]) // 2]
    return short


def _plain(asked: Asked) -> dict[str, Any]:
    compared = {} if asked.compared is None else {"compared": asked.compared}
    return {"document": asked.document, "posts": asked.posts, **compared}
