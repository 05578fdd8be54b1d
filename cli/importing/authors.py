"""The keys of imported authors: derived from one master seed and the author's name in the source.

Nothing but the master seed is kept, so that a million authors cost one key file, and whoever imports the
same file with the same seed makes the same accounts.

    seed of an author = HMAC-SHA256(master seed, "folkmoot-import-author-v1" 0x00 name in UTF-8)

Source: RFC 2104; the Ed25519 seed may be any 32 bytes (RFC 8032, section 5.1.5).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from cachetools import LRUCache
from folkmoot.node.data_directory import read_key, write_key
from folkmoot.protocol.identity import SEED_BYTES, KeyPair

MASTER_FILE: Final = "import-master.key"
AUTHORS_CACHED: Final = 8_192

_PURPOSE: Final = b"folkmoot-import-author-v1\x00"


class Authors:
    """Key pairs by author.

    Args:
        master_seed: 32 secret bytes.
    """

    def __init__(self, master_seed: bytes) -> None:
        self._master_seed = master_seed
        self._cached: LRUCache[str, KeyPair] = LRUCache(AUTHORS_CACHED)

    @property
    def fingerprint(self) -> str:
        """Tells master seeds apart without giving them away (16 hexadecimal digits)."""
        return hashlib.sha256(KeyPair(self._master_seed).account).hexdigest()[:16]

    def key_of(self, name: str) -> KeyPair:
        """The key pair of the author called `name` in the source."""
        pair = self._cached.get(name)
        if pair is None:
            seed = hmac.digest(self._master_seed, _PURPOSE + name.encode(), "sha256")
            pair = self._cached[name] = KeyPair(seed)
        return pair


def open_authors(directory: Path) -> Authors:
    """The authors of the master seed kept in `directory`; one is made (mode 0600) the first time.

    Raises:
        DataDirectoryError: the key file is readable by others, or damaged.
        OSError: it cannot be made.
    """
    file = directory / MASTER_FILE
    if not file.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(file, secrets.token_bytes(SEED_BYTES))
    return Authors(read_key(file).seed)
