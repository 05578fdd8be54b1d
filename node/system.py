"""The environment of a real node: this machine's clock, generator, sockets, disk, threads and key files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from typing import TypeVar

import trio
from folkmoot.node.commits import ThreadCommits
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.data_directory import DataDirectory, read_gossip_ring
from folkmoot.node.environment import Environment, MediaHome, PictureJudges
from folkmoot.node.moderation.media.decoders import Decoders
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.node.transport.tcp import TcpNetwork
from folkmoot.node.transport.tls import TlsFiles
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.node_name import NodeName
from folkmoot.protocol.search.bounds import SEARCH_READERS
from folkmoot.storage.backup.restore import check_finished
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.media.blobs import Blobs
from folkmoot.storage.media.files import OsFiles
from folkmoot.storage.search.files import FileIndexes
from folkmoot.storage.store import LOG_ID_BYTES, Owner, Store

T = TypeVar("T")

VERIFY_THREADS = 2
MEDIA_THREADS = 2


class SystemWallClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000


class ThreadExecutor:
    """Runs work on a few threads of its own, so that nothing else in the process can starve it.

    Args:
        threads: at most so many at once; more work waits, and who came first goes first.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._limiter: trio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], T]) -> T:
        if self._limiter is None:
            self._limiter = trio.CapacityLimiter(self._threads)
        return await trio.to_thread.run_sync(work, limiter=self._limiter)

    def spent_s(self) -> float:
        """See `environment.Executor`."""
        return time.thread_time()


class LmdbDisk:
    """Stores in LMDB.

    Args:
        cap_bytes: the disk cap.
        random: draws the log id of a new store.
    """

    def __init__(self, cap_bytes: int, random: SystemRandom) -> None:
        self._cap_bytes = cap_bytes
        self._random = random

    def open(self, directory: Path, owner: Owner) -> ThreadCommits:
        check_finished(directory)
        engine = LmdbEngine(directory, cap_bytes=self._cap_bytes)
        try:
            store = Store(engine, owner=owner, fresh_log_id=self._random.randbytes(LOG_ID_BYTES))
        except BaseException:
            engine.close()
            raise
        return ThreadCommits(store)


class FileSecrets:
    """The keys in a node's data directory.

    Args:
        config: names the directory, and the gossip ring when it lies elsewhere.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._directory = DataDirectory(config.node.data)
        self._ring = config.gossip.keys_file or self._directory.gossip_ring_file

    def service(self) -> KeyPair:
        return self._directory.service_key()

    def gossip_ring(self) -> tuple[bytes, ...]:
        return read_gossip_ring(self._ring)


def _pictures(config: NodeConfig) -> PictureJudges | None:
    """What looks at pictures on this machine, if anything is to."""
    screening = config.screening
    if not screening.enabled:
        return None
    pixels = int(config.media.max_megapixels * 1_000_000)
    return Decoders(pixels, with_model=screening.nsfw > 0, count=screening.processes)


def machine_environment(config: NodeConfig) -> Environment:
    """The environment of a node on this machine.

    Args:
        config: with the node id filled in.

    Raises:
        FolkmootError: certificates or keys are missing or wrong.
    """
    assert config.node.id is not None, "the node id is read before the environment is made"
    random = SystemRandom()
    tls = config.tls
    files = None if tls.mode == "off" else TlsFiles(tls.ca, tls.certificate, tls.key)
    faults = LinkFaults(random)
    name = NodeName(config.cluster.id, bytes.fromhex(config.node.id))

    def open_media(directory: Path) -> Blobs:
        return Blobs(OsFiles(), directory / "media", config.media.disk_cap, config.media.cache)

    return Environment(
        wall=SystemWallClock(),
        random=random,
        network=TcpNetwork(name, files, faults),
        disk=LmdbDisk(config.store.disk_cap, random),
        indexes=FileIndexes(config.node.data),
        searches=ThreadExecutor(SEARCH_READERS),
        executor=ThreadExecutor(VERIFY_THREADS),
        secrets=FileSecrets(config),
        faults=faults,
        process_id=os.getpid(),
        media=MediaHome(open_media, ThreadExecutor(MEDIA_THREADS), _pictures(config)),
    )
