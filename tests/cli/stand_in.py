"""Stands in for a node where only the supervisor is on trial: listens on real ports and says so.

    python stand_in.py start --json --die-with-parent PID --config FILE [--seed HOST:PORT …]

A file `misbehave` beside the configuration makes it `fail` (exit code 7 after a word on standard error),
`hang` (never listen) or `stubborn` (ignore SIGTERM).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path

from folkmoot.cli.node_parent import die_with_parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("start")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--die-with-parent", type=int)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--seed", action="append", default=[])
    options = parser.parse_args()
    die_with_parent(options.die_with_parent)
    directory = options.config.parent
    mood = (directory / "misbehave").read_text() if (directory / "misbehave").exists() else ""
    print(f"{directory.name} starts, seeds {options.seed}", file=sys.stderr, flush=True)
    if mood == "fail":
        print("the disk is on fire", file=sys.stderr, flush=True)
        sys.exit(7)
    if mood == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    if mood != "hang":
        ready = {
            "id": (directory / "node.id").read_text().strip(),
            "name": directory.name,
            "region": directory.name.rpartition("-")[0],
            "pid": os.getpid(),
            **dict(zip(("address", "peers", "datagrams"), addresses, strict=True)),
        }
        print(json.dumps(ready), flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
