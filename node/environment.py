"""Everything a node takes from the outside world: time, randomness, network, disk, threads.

Node code never imports `time`, `random`, `os.urandom`, `uuid`, `socket` or `threading`; it is handed an
`Environment`. In production that is the machine; in the simulator every part is seeded and virtual, and
the same code runs. Monotonic time inside trio code is `trio.current_time()`, which the simulator's clock
drives; only wall-clock time, which may jump, is asked of the environment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar

from folkmoot.node.moderation.media.judged import Judged, Question
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.interface import Network
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.messages import VERSIONS
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.search.files import Indexes
from folkmoot.storage.store import Owner

if TYPE_CHECKING:
    from folkmoot.node.commits import Commits

T = TypeVar("T")


class WallClock(Protocol):
    """The clock on the wall: may jump, may drift, is never used to decide what survives."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
        ...


class Executor(Protocol):
    """Where work goes that would hold up the event loop."""

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` off the loop (inline under simulation) and return its result."""
        ...

    def spent_s(self) -> float:
        """The processor time that the calling thread has spent, seconds; under simulation it stands still."""
        ...


class Disk(Protocol):
    """Where a node's store lives."""

    def open(self, directory: Path, owner: Owner) -> Commits:
        """Open (or create) the store in `directory`.

        Args:
            directory: made when it does not exist.
            owner: the node and cluster whose store it must be.

        Raises:
            StorageError: locked by another daemon, corrupt, read-only, or of a newer schema.
        """
        ...


class Secrets(Protocol):
    """The keys a node is given."""

    def service(self) -> KeyPair:
        """The service account's key pair, which signs this node's labels."""
        ...

    def gossip_ring(self) -> tuple[bytes, ...]:
        """The 32-byte gossip keys, the sealing one first; read anew on a reload."""
        ...


class PictureJudges(Protocol):
    """What looks at pictures, outside of the node's process."""

    async def run(self) -> None:
        """Look at what is given until cancelled."""
        ...

    async def judge(self, question: Question, chunks: int, read: Callable[[int], Awaitable[bytes]]) -> Judged:
        """Look at a file, given in pieces; what is wrong with it is told, not raised.

        Raises:
            WireError: `busy`, when too many are waiting.
        """
        ...


@dataclass(frozen=True, slots=True)
class MediaHome:
    """Where a node's media lie.

    Args:
        open: takes the data directory, and opens (or makes) what is in it; blocks.
        executor: where files are read and written, so that they hold up nothing but each other.
        pictures: what looks at pictures; None where nothing can.
    """

    open: Callable[[Path], Blobs]
    executor: Executor
    pictures: PictureJudges | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """One node's outside world.

    Args:
        wall: the wall clock.
        random: a generator of the node's own (cryptographic in production, seeded in simulation).
        network: see `transport.interface`.
        disk: see `Disk`.
        indexes: where the search indexes of the node are kept.
        searches: where the search indexes are read, so that a search waits for nothing but other searches.
        executor: for signature batches and other pure, slow work.
        secrets: the node's keys.
        faults: planted on links to peers by operators, when the configuration allows it.
        process_id: by which the machine knows this node.
        versions: of the contract on the wire, the lowest and the highest that this node speaks.
        media: where media lie; None on a node that keeps none and takes none.
    """

    wall: WallClock
    random: Random
    network: Network
    disk: Disk
    indexes: Indexes
    searches: Executor
    executor: Executor
    secrets: Secrets
    faults: LinkFaults
    process_id: int
    versions: tuple[int, int] = VERSIONS
    media: MediaHome | None = None
