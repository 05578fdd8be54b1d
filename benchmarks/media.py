"""How fast a medium is uploaded, and how fast it is read back, beside what the machine does without us.

Method. A local cluster of three real nodes, loopback, TLS off, three copies; a client of this process.
*Upload*: a file of 16 MiB (64 with --full) that no node has, begun, sent and finished at a level. It is
hashed, crosses the loopback twice more for two further replicas, and is on three disks at `all`, two at
`quorum`. *Copy*: the same bytes written to a file beside the nodes' data and fsynced, hashed once. *Fetch*:
the file read from a replica, every chunk checked; and read a first time from a node of a second cluster with
one copy that has to fetch it from another (*fetch_elsewhere*). *Loopback*: the same bytes through a socket
pair of this process, in chunks, hashed on the other side. Everything alternates with its yardstick within
one run.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import trio
from folkmoot.protocol.client import Client, ClientSettings, connect, media
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.media.manifest import CHUNK_BYTES, Manifest, manifest_of

from benchmarks.harness import Cluster, Plan, local_cluster, median

MIB = 1 << 20
SMALL_MIB, FULL_MIB = 16, 64
SETTINGS = (f"media.max_bytes={FULL_MIB * MIB}", f"media.quota={1 << 40}")


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    size = (FULL_MIB if plan.full else SMALL_MIB) * MIB
    report: dict[str, Any] = {"mib": size // MIB}
    with local_cluster(3, settings=SETTINGS) as cluster:
        report |= trio.run(_replicated, cluster, size, plan.repetitions)
    with local_cluster(3, settings=(*SETTINGS, "cluster.replicas=1")) as cluster:
        report |= trio.run(_elsewhere, cluster, size, plan.repetitions)
    return report


async def _replicated(cluster: Cluster, size: int, repetitions: int) -> dict[str, Any]:
    took: dict[str, list[float]] = {name: [] for name in ("quorum", "all", "copy", "fetch", "loopback")}
    async with _client(cluster, 0) as client:
        await _ready(client)
        for repetition in range(repetitions):
            for level in ("quorum", "all"):
                data = _file(size, 2 * repetition + (level == "all"))
                manifest = manifest_of([data], "image/png")
                began = time.perf_counter()
                await _upload(client, data, manifest, level)
                took[level].append(time.perf_counter() - began)
            took["copy"].append(_copy(data, cluster.nodes[0].data / "copy"))
            began = time.perf_counter()
            await media.fetch(client, KEY.account, manifest, lambda piece: None)
            took["fetch"].append(time.perf_counter() - began)
            took["loopback"].append(_loopback(data))
    return {
        "upload_quorum_mib_s": size / MIB / median(took["quorum"]),
        "upload_all_mib_s": size / MIB / median(took["all"]),
        "copy_mib_s": size / MIB / median(took["copy"]),
        "upload_quorum_over_copy": median(took["quorum"]) / median(took["copy"]),
        "upload_all_over_copy": median(took["all"]) / median(took["copy"]),
        "fetch_mib_s": size / MIB / median(took["fetch"]),
        "loopback_mib_s": size / MIB / median(took["loopback"]),
        "fetch_over_loopback": median(took["fetch"]) / median(took["loopback"]),
    }


async def _elsewhere(cluster: Cluster, size: int, repetitions: int) -> dict[str, Any]:
    """The first read at a node that does not keep the account."""
    took: list[float] = []
    async with _client(cluster, 0) as client:
        await _ready(client)
        where = (await client.where(KEY.account))["replicas"][0]["node"]
        far = next(number for number, node in enumerate(cluster) if node.id != where)
        async with _client(cluster, far) as reading:
            for repetition in range(repetitions):
                data = _file(size, 1000 + repetition)
                manifest = manifest_of([data], "image/png")
                await _upload(client, data, manifest, "all")
                began = time.perf_counter()
                await media.fetch(reading, KEY.account, manifest, lambda piece: None)
                took.append(time.perf_counter() - began)
    return {"fetch_elsewhere_mib_s": size / MIB / median(took)}


KEY = KeyPair(bytes(31) + b"\x07")


def _client(cluster: Cluster, number: int) -> Any:
    settings = ClientSettings(deadline_s=60.0)
    return connect(cluster.nodes[number].address, tls=False, settings=settings)


async def _ready(client: Client) -> None:
    await client.auth(KEY)
    data = _file(1000, 999_999)
    await _upload(client, data, manifest_of([data], "image/png"), "all")


async def _upload(client: Client, data: bytes, manifest: Manifest, level: str) -> None:
    def read(index: int) -> bytes:
        return data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]

    await media.upload(client, manifest, read, level=level)


def _file(size: int, seed: int) -> bytes:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480)
    return head + Random(seed).randbytes(size - len(head))


def _copy(data: bytes, file: Path) -> float:
    began = time.perf_counter()
    hashlib.sha256(data).digest()
    with file.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    took = time.perf_counter() - began
    file.unlink()
    return took


def _loopback(data: bytes) -> float:
    sending, receiving = socket.socketpair()
    whole = hashlib.sha256()

    def receive() -> None:
        while piece := receiving.recv(CHUNK_BYTES):
            whole.update(piece)

    thread = threading.Thread(target=receive)
    began = time.perf_counter()
    thread.start()
    for at in range(0, len(data), CHUNK_BYTES):
        sending.sendall(data[at : at + CHUNK_BYTES])
    sending.close()
    thread.join()
    took = time.perf_counter() - began
    receiving.close()
    return took
