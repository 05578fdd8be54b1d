"""What a node keeps in memory: idle, and while 100,000 real posts are imported.

Method. A cluster of three real nodes, loopback, TLS off. *Idle*: the resident set (VmRSS) of each, five
seconds after all of them hold each other alive. *Import*: `folkmoot import` of the corpus's first 100,000
lines at level `quorum` into the same cluster, end to end: parsed, mapped, signed and journalled by one client
process. Growth is the highest `RssAnon` of a node, sampled four times a second until ten seconds after the
end, over what it was before: pages of the memory-mapped store are the kernel's to drop and do not count. The
rate is the importer's own, records settled over the time it took. One repetition: what is measured grows with
the posts, not with luck.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Cluster, Plan, local_cluster, resident_bytes

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "social" / "ubuntu_irc_posts.jsonl.gz"
LINES = 100_000
SETTLE_S = 5.0
AFTER_S = 10.0
SAMPLE_S = 0.25
MIB = 1 << 20
TARGETS = {"idle_mib_at_most": 80, "growth_mib_at_most": 200}


def imported(cluster: Cluster) -> dict[str, Any]:
    """Import the corpus; what the importer reports, and how far each node's anonymous memory rose."""
    before = {node.name: resident_bytes(node.pid, "RssAnon") for node in cluster}
    highest = dict(before)

    def sample_for(seconds: float, process: subprocess.Popen[str] | None = None) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and (process is None or process.poll() is None):
            for node in cluster:
                highest[node.name] = max(highest[node.name], resident_bytes(node.pid, "RssAnon"))
            time.sleep(SAMPLE_S)

    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as directory:
        command = [
            sys.executable,
            "-m",
            "folkmoot.cli",
            "import",
            str(CORPUS),
            "--limit",
            str(LINES),
            "--json",
        ]
        command += ["--keys", f"{directory}/keys", "--state", f"{directory}/state", "--tls", "off"]
        command += ["--operator", str(cluster.operator_key_file)]
        command += [part for node in cluster for part in ("--node", node.address)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            sample_for(float("inf"), process)
            assert process.stdout is not None
            told: dict[str, Any] = json.loads(process.stdout.read())
    if process.returncode != 0:
        raise RuntimeError(f"the import ended with exit code {process.returncode}: {told}")
    sample_for(AFTER_S)
    return {
        "records_per_s": told["rate"],
        "seconds": told["seconds"],
        "stored": told["stored"],
        "skipped": told["skipped"],
        "growth_mib": {name: (highest[name] - before[name]) / MIB for name in before},
        "growth_mib_highest": max(highest[name] - before[name] for name in before) / MIB,
    }


def run(plan: Plan) -> dict[str, Any]:
    """Measure; see the module. The plan changes nothing."""
    with local_cluster(3) as cluster:
        time.sleep(SETTLE_S)
        idle = {node.name: resident_bytes(node.pid) / MIB for node in cluster}
        report: dict[str, Any] = {
            "targets": TARGETS,
            "idle_mib": idle,
            "idle_mib_highest": max(idle.values()),
        }
        if CORPUS.exists():
            report["import"] = imported(cluster)
        else:
            report["import_skipped"] = f"the corpus {CORPUS.name} is not in shared/data beside the checkout"
    return report
