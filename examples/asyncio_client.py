"""The same cluster from an asyncio program: post some lines at once, and read the account's newest posts.

    python examples/asyncio_client.py --ca CA HOST:PORT 'Good morning.' 'Is anybody up?'

`AsyncioClient` has the calls of the trio client; a cancelled call is given up.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections.abc import Sequence

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client import AsyncioClient
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record


async def main(address: str, ca: str | None, texts: Sequence[str]) -> None:
    """Post `texts` as a new account, all at the same time, then read that account's feed."""
    key = KeyPair(secrets.token_bytes(SEED_BYTES))
    now_us = time.time_ns() // 1000
    async with AsyncioClient(address, ca=ca, tls=ca is not None) as client:

        async def post(number: int, text: str) -> None:
            item = make_uuid7(now_us // 1000 + number, secrets.randbits(74))
            record = Record.sign(key, kind="post", item=item, body={"text": text}, stamp=now_us + number)
            async with asyncio.timeout(10):
                (result,) = await client.put_records([(record.payload, record.signature)])
            print(f"{result.status}: {text}")

        async with asyncio.TaskGroup() as group:
            for number, text in enumerate(texts):
                group.create_task(post(number, text))
        async for page in client.author_feed(key.account):
            for shown in page.items:
                print(Record.from_wire(shown["record"]).body["text"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("address", metavar="HOST:PORT", help="a clients' port")
    parser.add_argument("text", nargs="+", help="what to post")
    parser.add_argument("--ca", help="the cluster's CA certificate; without it, a node with TLS off")
    options = parser.parse_args()
    asyncio.run(main(options.address, options.ca, options.text))
