"""Post, read it back from another node, edit, like, and page through the feed: the trio client.

    folkmoot cluster up
    python examples/post_and_read.py --ca CA HOST:PORT [HOST:PORT …]

`folkmoot cluster up --json` prints the CA's path and the nodes' addresses. The client fails over among the
addresses, sends again what is safe to send again, and carries its session's token, so that any node shows it
what it has written.
"""

from __future__ import annotations

import argparse
import secrets
import time
from functools import partial

import trio
from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.client import Client, connect
from folkmoot.protocol.identity import SEED_BYTES, KeyPair, account_to_text
from folkmoot.protocol.record import Record


class Device:
    """A key and its clock: stamps are microseconds, and no two are the same."""

    def __init__(self) -> None:
        self.key = KeyPair(secrets.token_bytes(SEED_BYTES))
        self._stamp = 0

    def stamp(self) -> int:
        self._stamp = max(self._stamp + 1, time.time_ns() // 1000)
        return self._stamp

    def post(self, text: str, item: bytes | None = None) -> Record:
        """A new post, or with `item` an edit of one."""
        item = item or make_uuid7(time.time_ns() // 1_000_000, secrets.randbits(74))
        return Record.sign(self.key, kind="post", item=item, body={"text": text}, stamp=self.stamp())

    def like(self, post: Record) -> Record:
        """A like lives with the post it is about; its item ends with who likes."""
        return Record.sign(
            self.key,
            kind="like",
            place=post.author,
            item=post.item + self.key.account,
            body={"on": True},
            stamp=self.stamp(),
        )


async def put(client: Client, *records: Record) -> None:
    """Write records at quorum and say what became of each."""
    results = await client.put_records([(record.payload, record.signature) for record in records])
    for record, result in zip(records, results, strict=True):
        print(f"{record.kind}: {result.status}, achieved {result.achieved}")


async def main(addresses: list[str], ca: str | None) -> None:
    """Play one short scene."""
    ann, bob = Device(), Device()
    async with connect(addresses, ca=ca, tls=ca is not None) as client:
        print(f"connected to {(await client.ready()).node.name}; Ann is {account_to_text(ann.key.account)}")
        first = ann.post("Good moring.")
        await put(client, first, ann.post("Second thoughts."))
        await put(client, ann.post("Good morning.", first.item), bob.like(first))

        (cell,) = await client.get([(first.author, "post", first.item)], level="quorum", history=True)
        assert cell is not None, "what was acknowledged is there"
        versions = [Record.from_wire(record).body["text"] for record in cell["records"]]
        print(f"the edited post and what it was before: {versions}")

        async for page in client.author_feed(ann.key.account, limit=1):
            for item in page.items:
                record = Record.from_wire(item["record"])
                record.verify()  # the node need not be trusted
                print(f"feed: {record.body['text']!r} {item['counts']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("addresses", nargs="+", metavar="HOST:PORT", help="clients' ports")
    parser.add_argument("--ca", help="the cluster's CA certificate; without it, a node with TLS off")
    options = parser.parse_args()
    trio.run(partial(main, options.addresses, options.ca))
