"""What lies in a node's data directory besides its store, and who may read it.

    node.id            the node id, 32 hexadecimal digits; made once, moves with the data
    keys/service.key   the seed of the service account, which signs the node's labels
    keys/gossip.ring   the gossip keys, one a line, the sealing key first; the same on all nodes of a cluster
    store/             the store
    search/            the search index, made of the store
    models/            text models of policies, each called by its hash, where there are any
    media/             pictures, sound and films (see `storage.media.layout`)
    ready.json         written when the node has begun to listen; also how a restart finds its old ports

Directories are 0700 and keys 0600. A file that others can read is refused rather than trusted.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.identity import SEED_BYTES, KeyPair, account_from_text, account_to_text

GOSSIP_KEY_BYTES: Final = 32
NODE_ID_BYTES: Final = 16
_KEY_TAG: Final = "ed25519-seed:"
_OWNER_TAG: Final = "account:"
_RECOVERY_LINE: Final = "use:recovery"
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}")
_COPY_RING: Final = "copy keys/gossip.ring from another node of the cluster"


class DataDirectoryError(FolkmootError):
    """Something in a data directory is missing, unreadable or not what it should be."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself once it listens; the contents of `ready.json`.

    Args:
        address, peers, datagrams: the bound `host:port` of the clients', the peers' and the gossip port.
    """

    id: str
    name: str
    region: str
    pid: int
    address: str
    peers: str
    datagrams: str


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The layout of one node's data directory.

    Args:
        path: where it is.
    """

    path: Path

    @property
    def id_file(self) -> Path:
        return self.path / "node.id"

    @property
    def service_key_file(self) -> Path:
        return self.path / "keys" / "service.key"

    @property
    def gossip_ring_file(self) -> Path:
        return self.path / "keys" / "gossip.ring"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def ready_file(self) -> Path:
        return self.path / "ready.json"

    def create(self, random: Random, gossip_ring: Path | None = None) -> None:
        """Make the directory with a fresh id and fresh keys.

        Args:
            random: where the secrets come from (cryptographic in production).
            gossip_ring: the cluster's ring to copy; None makes a new one.

        Raises:
            DataDirectoryError: it already holds a node, or cannot be written.
        """
        if self.id_file.exists():
            raise DataDirectoryError(f"{self.path} already holds a node; `init` never overwrites one")
        keys = None if gossip_ring is None else read_gossip_ring(gossip_ring)
        made: list[Path] = []
        try:
            for directory in (self.path, self.path / "keys"):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_keys(random, keys, made)
            # The id comes last: with it the directory holds a whole node.
            write_private(self.id_file, random.randbytes(NODE_ID_BYTES).hex() + "\n")
            sync_directory(self.path.parent)
        except (OSError, DataDirectoryError) as error:
            for file in made:
                file.unlink(missing_ok=True)
            if isinstance(error, DataDirectoryError):
                raise
            raise DataDirectoryError(f"{error.filename}: {error.strerror}") from error

    def _make_keys(self, random: Random, ring: tuple[bytes, ...] | None, made: list[Path]) -> None:
        """Make what keys there are not; those that an attempt cut off before its end has left are whole.

        Args:
            made: gets the files that were made.
        """
        if self.service_key_file.exists():
            self.service_key()
        else:
            write_key(self.service_key_file, random.randbytes(SEED_BYTES))
            made.append(self.service_key_file)
        if not self.gossip_ring_file.exists():
            write_gossip_ring(self.gossip_ring_file, ring or (random.randbytes(GOSSIP_KEY_BYTES),))
            made.append(self.gossip_ring_file)
        elif read_gossip_ring(self.gossip_ring_file) != ring and ring is not None:
            raise DataDirectoryError(
                f"{self.gossip_ring_file} has other keys than the ring to copy; take one of the two away"
            )

    def node_id(self) -> str:
        """The node id, 32 hexadecimal digits.

        Raises:
            DataDirectoryError: there is none, or it is damaged.
        """
        text = _read(self.id_file, "run `folkmoot init` to make a node").strip()
        if not re.fullmatch(r"[0-9a-f]{32}", text):
            raise DataDirectoryError(
                f"{self.id_file}: {text[:40]!r} is not a node id (32 hexadecimal digits)"
            )
        return text

    def service_key(self) -> KeyPair:
        """The service account's key pair. Raises DataDirectoryError as `read_key` does."""
        return read_key(self.service_key_file)

    def previous(self) -> Ready | None:
        """What the node said when it last began to listen; None when it never did or that is unreadable."""
        try:
            return msgspec.json.decode(self.ready_file.read_bytes(), type=Ready)
        except (OSError, msgspec.MsgspecError):
            return None

    def write_ready(self, ready: Ready) -> None:
        """Replace `ready.json` in one step.

        Raises:
            DataDirectoryError: it cannot be written; what stood there stands.
        """
        try:
            replace_file(self.ready_file, msgspec.json.format(msgspec.json.encode(ready)) + b"\n")
        except OSError as error:
            raise DataDirectoryError(
                f"{self.ready_file} cannot be written ({error.strerror}); make room, or see who may write"
            ) from error


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a key file says: `ed25519-seed:…`, and on further lines what the key is if not a first key.

    Args:
        pair: the key, with its owner: the account on a line `account:did:key:…`.
        recovers: whether it is its account's recovery key, by a line `use:recovery`.
    """

    pair: KeyPair
    recovers: bool = False

    def text(self) -> str:
        """The file's text; that of an account's first key is one line."""
        lines = [_KEY_TAG + self.pair.seed.hex()]
        if self.pair.owner != self.pair.account:
            lines.append(_OWNER_TAG + account_to_text(self.pair.owner))
        if self.recovers:
            lines.append(_RECOVERY_LINE)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> KeyFile:
        """Read what `text` made; spaces around lines and empty ones do not count, since people retype it.

        Raises:
            DataDirectoryError: saying what is expected; nothing of the text, which may be a secret, is in it.
        """
        match [stripped for line in text.splitlines() if (stripped := line.strip())]:
            case [seed] if (key := _seed_in(seed)) is not None:
                return cls(KeyPair(key))
            case [seed, owner] if (key := _seed_in(seed)) is not None:
                return cls(KeyPair(key, _owner_in(owner)))
            case [seed, owner, last] if (key := _seed_in(seed)) is not None and last == _RECOVERY_LINE:
                return cls(KeyPair(key, _owner_in(owner)), recovers=True)
        raise DataDirectoryError(
            f"expected a line {_KEY_TAG}<64 hexadecimal digits>; for any but an account's first key also "
            f"{_OWNER_TAG}did:key:z6Mk…, and for a recovery key {_RECOVERY_LINE}"
        )


def _seed_in(line: str) -> bytes | None:
    digits = line.removeprefix(_KEY_TAG)
    return bytes.fromhex(digits) if line.startswith(_KEY_TAG) and _HEX_KEY.fullmatch(digits) else None


def _owner_in(line: str) -> bytes:
    try:
        return account_from_text(line.removeprefix(_OWNER_TAG) if line.startswith(_OWNER_TAG) else "")
    except WireError as error:
        raise DataDirectoryError(f"the second line is not {_OWNER_TAG}did:key:z6Mk…") from error


def write_key(file: Path, seed: bytes, *, owner: bytes | None = None, recovers: bool = False) -> None:
    """Write a key file; never overwrites one.

    Args:
        file: which.
        seed: the key's 32 secret bytes.
        owner: the account (34 bytes), unless the key is an account's first.
        recovers: whether it is that account's recovery key.

    Raises:
        FileExistsError: there is one already.
    """
    write_private(file, KeyFile(KeyPair(seed, owner), recovers).text())


def read_key(file: Path) -> KeyPair:
    """The key pair in a file that `write_key` wrote, to sign with.

    Raises:
        DataDirectoryError: it is missing, readable by others, not a key, or a recovery key.
    """
    read = read_key_file(file)
    if read.recovers:
        raise DataDirectoryError(
            f"{file} is the recovery key of {account_to_text(read.pair.owner)}: it signs no posts; it is for "
            "`folkmoot user recover`, `user keys revoke` and `user close`"
        )
    return read.pair


def read_key_file(file: Path) -> KeyFile:
    """All that a key file says.

    Raises:
        DataDirectoryError: it is missing, readable by others, or not a key.
    """
    text = _read_secret(file, "make one with `folkmoot keys new`")
    try:
        return KeyFile.parse(text)
    except DataDirectoryError as error:
        raise DataDirectoryError(f"{file} is not a key file: {error}") from error


def write_gossip_ring(file: Path, keys: tuple[bytes, ...]) -> None:
    """Write a gossip key ring; never overwrites one."""
    write_private(file, "".join(f"{key.hex()}\n" for key in keys))


def read_gossip_ring(file: Path) -> tuple[bytes, ...]:
    """The 32-byte gossip keys in a ring file, the sealing key first. Lines with `#` are comments.

    Raises:
        DataDirectoryError: it is missing, readable by others, empty or damaged.
    """
    text = _read_secret(file, _COPY_RING)
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    for number, line in enumerate(lines, start=1):
        if line and not _HEX_KEY.fullmatch(line):
            raise DataDirectoryError(
                f"{file}:{number}: not a gossip key (64 hexadecimal digits); {_COPY_RING}"
            )
    keys = tuple(bytes.fromhex(line) for line in lines if line)
    if not keys:
        raise DataDirectoryError(f"{file} has no gossip key in it; {_COPY_RING}")
    return keys


def write_private(file: Path, text: str) -> None:
    """Create `file` with mode 0600, whole, and bring it to disk; see `write_new`."""
    write_new(file, text.encode())


def write_new(file: Path, data: bytes, mode: int = 0o600) -> None:
    """Create `file` whole or not at all, and bring it and its name to disk.

    What is written in part has another name: a disk that is full, or power that fails, leaves no half of a
    key that the next attempt would take for one and refuse to overwrite.

    Args:
        mode: from its first byte, less what the umask takes.

    Raises:
        FileExistsError: it exists; it stands as it was.
        OSError: it cannot be written; nothing is left.
    """
    if file.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # of an earlier process with this number
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        give_name(temporary, file)
    except OSError as error:
        error.filename = str(file)  # nobody knows the other name
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(file.parent)


def give_name(temporary: Path, file: Path) -> None:
    """Give a file its name, unless something has it: a rename would replace that, a link does not.

    Raises:
        FileExistsError: something has it; both files stand as they were.
    """
    try:
        file.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links; whoever makes the same file at the same moment there loses it.
        temporary.rename(file)


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to disk.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(file: Path, data: bytes) -> None:
    """Put `data` in the place of `file` in one step: readers see the old or the new, never a part.

    Raises:
        OSError: it cannot be written; what stood there stands, and nothing is left beside it.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _read(file: Path, remedy: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataDirectoryError(f"{file} does not exist; {remedy}") from error
    except OSError as error:
        raise DataDirectoryError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataDirectoryError(f"{file} is damaged: byte {error.start} is not text") from error


def require_private(file: Path) -> None:
    """Refuse a secret that others may have read, or could replace.

    Raises:
        DataDirectoryError: its mode allows others anything.
        OSError: it is not there.
    """
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        raise DataDirectoryError(f"{file} can be read by others (mode {mode:o}); run `chmod 600 {file}`")


def _read_secret(file: Path, remedy: str) -> str:
    text = _read(file, remedy)
    require_private(file)
    return text
