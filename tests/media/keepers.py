"""What tests of media ask of whole nodes, all of which have a place for media."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from folkmoot.node.media.keeping import Keeping
from folkmoot.node.media.screening import Screening
from folkmoot.node.media.sealing import Sealing
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.layout import Area, Name

from tests.node.nodes import Node
from tests.node.people import Author
from tests.waiting import until


def keeping_of(node: Node) -> Keeping:
    keeping = node.parts.media._keeping
    assert keeping is not None, f"{node.name} keeps no media"
    return keeping


def blobs_of(node: Node) -> Blobs:
    """Its files, behind its back."""
    return keeping_of(node).blobs


def screening_of(node: Node) -> Screening:
    screening = node.parts.media.screening
    assert screening is not None, f"{node.name} looks at no media"
    return screening


def sealing_of(node: Node) -> Sealing:
    sealing = node.parts.media.sealing
    assert sealing is not None, f"{node.name} keeps no media"
    return sealing


def status_of(node: Node, *, for_operator: bool = True) -> dict[str, Any]:
    """What it tells of its media."""
    status = node.parts.media.status(for_operator=for_operator)
    assert status is not None, f"{node.name} keeps no media"
    return status


def kept(node: Node, author: Author, digest: bytes) -> Area | None:
    """Where it has a medium."""
    return blobs_of(node).find(Name(author.account, digest))


async def kept_by(nodes: Sequence[Node], author: Author, digest: bytes) -> None:
    """Wait until all of these keep a medium."""
    await until(
        lambda: all(kept(node, author, digest) is Area.KEPT for node in nodes),
        what="the medium to be on all replicas",
        within_s=30,
    )
