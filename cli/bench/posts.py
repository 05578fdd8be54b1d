"""Posts that are made and signed before the clock starts, so that what is measured is the other side."""

from __future__ import annotations

import time
from random import Random
from typing import Final

from folkmoot.protocol.bodies import make_uuid7
from folkmoot.protocol.identity import SEED_BYTES, KeyPair
from folkmoot.protocol.record import Record

TEXT_BYTES: Final = 75  # makes about 200 bytes of payload
RANDOM_BITS: Final = 74  # of a UUIDv7


def presigned_posts(count: int, authors: int, random: Random) -> list[Record]:
    """Posts of about 200 bytes of payload, dealt out to new accounts in turn.

    Args:
        count: how many.
        authors: how many accounts.
        random: draws keys and items; equal generators make the same accounts.
    """
    keys = [KeyPair(random.randbytes(SEED_BYTES)) for _ in range(authors)]
    first_us = time.time_ns() // 1000 - count
    text = "x" * TEXT_BYTES
    return [
        Record.sign(
            keys[index % authors],
            kind="post",
            item=make_uuid7((first_us + index) // 1000, random.getrandbits(RANDOM_BITS)),
            body={"text": text},
            stamp=first_us + index,
        )
        for index in range(count)
    ]
