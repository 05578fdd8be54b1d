"""Archives of an account that every implementation must read, and those every one must refuse."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.accounts.archive import ArchiveDamaged, ArchiveReader
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.record import Record

from tests.accounts.archives import ADA, FORGERIES, post, written

ABOUT = (
    "archive: the whole file. valid: what is in it; signer is null where nobody signed the manifest. "
    "invalid: frame is the number of the frame (from 1; 0 is the magic) at which a reader stops."
)


def archive_vectors() -> dict[str, Any]:
    """The contents of `archives.json`."""
    whole = {
        "signed by the first key": written(),
        "signed by nobody": written(key=None),
        "of an account without operations": written([post(1)], of=Chain(ADA.account)),
        "without records": written([]),
    }
    flipped = bytearray(b"".join(written()))
    flipped[150] ^= 1
    broken = {
        "with a flipped bit": bytes(flipped),
        "cut off": b"".join(written())[:-1],
        "cut off before its manifest": b"".join(written()[:-1]),
    }
    broken |= {made.__name__.strip("_").replace("_", " "): b"".join(made()) for made, _ in FORGERIES}
    return {
        "about": ABOUT,
        "valid": [{"name": name, **_read(b"".join(pieces))} for name, pieces in whole.items()],
        "invalid": [
            {"name": name, "archive": data.hex(), "frame": stops_at(data)} for name, data in broken.items()
        ],
    }


def _read(data: bytes) -> dict[str, Any]:
    reader = ArchiveReader()
    records = [item.id.hex() for item in reader.feed(data) if isinstance(item, Record)]
    seal = reader.finish()
    assert reader.chain is not None, "a whole archive has it"
    return {
        "archive": data.hex(),
        "account": account_to_text(seal.manifest.account),
        "records": records,
        "operations": [hashed.hex() for hashed in reader.chain.hashes],
        "signer": None if seal.signer is None else account_to_text(seal.signer),
    }


def stops_at(data: bytes) -> int | None:
    """The number of the frame at which a reader stops; None if it reads all of it."""
    reader = ArchiveReader()
    try:
        for _ in reader.feed(data):
            pass
        reader.finish()
    except ArchiveDamaged as error:
        return error.number
    return None
