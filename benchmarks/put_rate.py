"""Durable posts a second on one node, against a bare loop on one core.

Method. *Bare*: one process, one thread: decode frame and payload (msgpack), verify Ed25519 (PyNaCl, the
fastest well-kept library), put the same bytes into LMDB, 256 posts a transaction with fsync. *Node*: one real
node process, loopback, TLS off, level `one`; one client process sends presigned posts, 256 a message, with 8
messages unanswered, and every answer means fsynced. The two are measured in turn; the ratio is of medians.
The stages below are each timed alone, in one thread, by the production functions: what the node's two cores
share between them.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import nacl.bindings
from folkmoot.node.moderation.engine import PolicyEngine
from folkmoot.protocol.connection import Connection
from folkmoot.protocol.moderation.policy import EMPTY
from folkmoot.protocol.record import SIGNED_PREFIX, Record, signature_holds
from folkmoot.storage.group import Job, commit_group
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.store import Owner, Store
from folkmoot.storage.transaction import Admission, WriteTransaction

from benchmarks.harness import Plan, child, hear, local_cluster, median, presigned_posts, say

POSTS = 20_480
BATCH = 256
WINDOW = 8
TARGET = 0.5


def bare(frames: list[bytes]) -> float:
    """Posts a second of the loop that does only what physics demands."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        environment = lmdb.open(directory, map_size=1 << 30)
        began = time.perf_counter()
        for start in range(0, len(frames), BATCH):
            with environment.begin(write=True) as transaction:
                for frame in frames[start : start + BATCH]:
                    payload, signature = msgpack.unpackb(frame)
                    fields = msgpack.unpackb(payload)
                    nacl.bindings.crypto_sign_open(signature + SIGNED_PREFIX + payload, fields["author"][2:])
                    transaction.put(fields["author"] + fields["item"], frame)
        seconds = time.perf_counter() - began
        environment.close()
    return len(frames) / seconds


def node(seed: int) -> float:
    """Posts a second that a node acknowledges."""
    with local_cluster(1, regions="eu") as (measured,):
        arguments = ("puts", measured.host, str(measured.port), "one", str(POSTS), str(BATCH), str(WINDOW))
        with child("client", *arguments, str(seed)) as client:
            hear(client)
            say(client, "go")
            told = json.loads(hear(client))
    return float(told["posts"] / told["seconds"])


def stages() -> dict[str, float]:
    """Microseconds a post of each stage, alone in one thread."""
    records = presigned_posts(16 * BATCH, seed=random.randrange(2**30))
    wires = [record.to_wire() for record in records]
    batches = [wires[start : start + BATCH] for start in range(0, len(wires), BATCH)]
    messages = [
        Connection().request("record.put", {"records": batch, "level": "one"})[1] for batch in batches
    ]
    timed = {}

    def time_it(name: str, work: Any) -> None:
        began = time.perf_counter()
        work()
        timed[name] = (time.perf_counter() - began) / len(records) * 1e6

    time_it("frame and decode", lambda: [Connection().receive(message) for message in messages])
    time_it("read the record", lambda: [Record.from_wire(wire) for wire in wires])
    time_it("verify", lambda: [signature_holds(r.device, r.signature, r.payload) for r in records])
    engine = PolicyEngine(EMPTY)
    time_it("gate", lambda: [engine.judge(record.body["text"]) for record in records])
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        store = Store(
            LmdbEngine(Path(directory), cap_bytes=1 << 30),
            owner=Owner(bytes(16), "bench"),
            fresh_log_id=bytes(16),
        )
        time_it("join, index, commit", lambda: _commit(store, records))
        store.close()
    result = {"id": bytes(32), "status": "stored", "achieved": {"level": "all", "acks": 1, "slots": 1}}
    answer = {"results": [result] * BATCH, "token": b""}
    connection = Connection()
    time_it("answer", lambda: [connection.response(0, answer) for _ in batches])
    return timed


def _commit(store: Store, records: list[Record]) -> None:
    def job(transaction: WriteTransaction, batch: list[Record]) -> None:
        for record in batch:
            transaction.put_record(record)

    for start in range(0, len(records), BATCH):
        batch = partial(job, batch=records[start : start + BATCH])
        commit_group(store, [Job(batch, Admission.CLIENT_PUT, lambda result, error: None, BATCH)])


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module."""
    frames = [msgpack.packb(record.to_wire()) for record in presigned_posts(POSTS, seed=0)]
    bares, nodes = [], []
    for repetition in range(plan.repetitions):
        bares.append(bare(frames))
        nodes.append(node(repetition + 1))
    return {
        "target_ratio": TARGET,
        "ratio": median(nodes) / median(bares),
        "node_posts_per_s": median(nodes),
        "bare_posts_per_s": median(bares),
        "node_all": nodes,
        "bare_all": bares,
        "stage_us_per_post": stages(),
    }
