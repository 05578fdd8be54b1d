"""The same cluster from a program without trio: post a line, and read the account's newest posts.

    python examples/blocking.py --ca CA HOST:PORT 'Good morning.'

`BlockingClient` keeps an event loop in a thread of its own; any number of threads may call it.
"""

from __future__ import annotations

import argparse
import secrets
import time

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client import BlockingClient
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record


def main(address: str, ca: str | None, text: str) -> None:
    """Post `text` as a new account, then read that account's feed."""
    key = KeyPair(secrets.token_bytes(SEED_BYTES))
    now_us = time.time_ns() // 1000
    item = make_uuid7(now_us // 1000, secrets.randbits(74))
    record = Record.sign(key, kind="post", item=item, body={"text": text}, stamp=now_us)
    with BlockingClient(address, ca=ca, tls=ca is not None) as client:
        (result,) = client.put_records([(record.payload, record.signature)], level="quorum")
        print(f"{result.status}: {result.id.hex()}")
        for page in client.author_feed(key.account):
            for shown in page.items:
                print(Record.from_wire(shown["record"]).body["text"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("address", metavar="HOST:PORT", help="a clients' port")
    parser.add_argument("text", help="what to post")
    parser.add_argument("--ca", help="the cluster's CA certificate; without it, a node with TLS off")
    options = parser.parse_args()
    main(options.address, options.ca, options.text)
