"""Two replicas in memory, and the conversations they have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping

from folkmoot.protocol.key import block_of, block_start
from folkmoot.protocol.limits import STORE_BLOCK_PLAIN_CELLS, SYNC_FRAME_BYTES, SYNC_PAGE_ITEMS
from folkmoot.protocol.sync.fingerprint import Fingerprint, Leaf, leaf_hash
from folkmoot.protocol.sync.reconcile import Differences, Initiator, Query, respond
from folkmoot.protocol.sync.runs import Runs
from folkmoot.protocol.sync.view import BlockView, balanced_bounds


class Replica:
    """A set of cells, read with or without block sums.

    Args:
        cells: key → cell bytes.

    Attributes:
        leaves_scanned: how many leaves were read, not counting those read to cut a block into runs.
    """

    def __init__(self, cells: Mapping[bytes, bytes]) -> None:
        self.cells = dict(cells)
        self.leaves_scanned = 0

    def plain(self) -> PlainView:
        """The current state, read leaf by leaf."""
        return PlainView(self.cells)

    def blocked(self, plain_cells: int = STORE_BLOCK_PLAIN_CELLS) -> BlockView:
        """The current state, with block sums, and runs of the blocks with more than `plain_cells` cells."""
        leaves = sorted((key, leaf_hash(key, cell)) for key, cell in self.cells.items())
        keys = [key for key, _ in leaves]
        sums: dict[int, Fingerprint] = {}
        for key, leaf in leaves:
            sums[block_of(key)] = sums.get(block_of(key), Fingerprint()).add(leaf)

        def between(start: bytes, end: bytes) -> list[Leaf]:
            return leaves[bisect_left(keys, start) : len(keys) if end == b"" else bisect_left(keys, end)]

        def scan(start: bytes, end: bytes) -> Iterator[Leaf]:
            for leaf in between(start, end):
                self.leaves_scanned += 1
                yield leaf

        known: dict[int, Runs] = {}

        def runs(block: int) -> Runs | None:
            if sums.get(block, Fingerprint()).count <= plain_cells:
                return None
            if block not in known:
                known[block] = Runs.of(block_start(block), block_start(block + 1), between)
            return known[block]

        def blocks(first: int, last: int) -> list[tuple[int, Fingerprint]]:
            return [(block, total) for block, total in sums.items() if first <= block < last]

        return BlockView(blocks, scan, runs)


class PlainView:
    """The slow obvious view."""

    def __init__(self, cells: Mapping[bytes, bytes]) -> None:
        self._leaves = sorted((key, leaf_hash(key, cell)) for key, cell in cells.items())
        self._keys = [key for key, _ in self._leaves]

    def _slice(self, start: bytes, end: bytes) -> list[Leaf]:
        stop = len(self._keys) if end == b"" else bisect_left(self._keys, end)
        return self._leaves[bisect_left(self._keys, start) : stop]

    def fingerprint(self, start: bytes, end: bytes) -> Fingerprint:
        return Fingerprint.of(leaf for _, leaf in self._slice(start, end))

    def split(self, start: bytes, end: bytes, parts: int) -> list[bytes]:
        return balanced_bounds([(key, 1) for key, _ in self._slice(start, end)], parts)

    def leaves(self, start: bytes, end: bytes, limit: int) -> list[Leaf]:
        return self._slice(start, end)[:limit]


View = PlainView | BlockView
Read = Callable[[Replica], View]


def differing(one: Replica, other: Replica) -> tuple[set[bytes], set[bytes]]:
    """What `one` should come to need of `other`, and push to it."""
    needs = {key for key, cell in other.cells.items() if one.cells.get(key) != cell}
    pushes = {key for key, cell in one.cells.items() if other.cells.get(key) != cell}
    return needs, pushes


def exchange(
    initiator: Initiator, query: Query, mine: View, theirs: View, start: bytes = b"", end: bytes = b""
) -> Differences:
    """One query and its reply, with the bounds every frame keeps."""
    assert len(query.frame) <= SYNC_FRAME_BYTES
    reply = respond(theirs, start, end, query.frame)
    assert len(reply) <= SYNC_FRAME_BYTES
    found = initiator.receive(mine, query, reply)
    assert len(found.pushes) <= SYNC_PAGE_ITEMS
    return found


def reconcile(
    one: Replica, other: Replica, read: Read = Replica.blocked, start: bytes = b"", end: bytes = b""
) -> tuple[list[bytes], list[bytes], int]:
    """A whole reconciliation of two quiet replicas: needs, pushes, and rounds."""
    mine, theirs = read(one), read(other)
    initiator = Initiator(mine, start, end)
    needs: list[bytes] = []
    pushes: list[bytes] = []
    while (query := initiator.next_query()) is not None:
        found = exchange(initiator, query, mine, theirs, start, end)
        needs += found.needs
        pushes += found.pushes
    assert initiator.done
    return needs, pushes, initiator.statistics().frames
