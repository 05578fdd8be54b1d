"""The archive of one account: all of it in one file that proves itself, to be read and written as a stream.

    magic     8 bytes, `fmarchv1`
    frames    each: length of the body (4 bytes, big-endian), body, CRC-32 (IEEE) of both

A body is canonical MessagePack, a list that begins with what it is:

    ["account", account, cluster, made_us, private]              first, once
    ["record", payload, signature]                               as it was signed
    ["media", hash, size, mime, index, bytes]                    a chunk of a medium, all of them in order
    ["page", key], ["elsewhere", key]                            where an export that breaks off goes on
    ["chain", [[payload, signature, decided_us], …]]             once, after all records
    ["manifest", payload, signature]                             last, once; the signature may be empty

The manifest's payload is a map: the account, how many frames and records there are, how many records each
key signed, the newest operation, and the SHA-256 of all bytes before the manifest's frame. Whoever has the
file checks it alone. A flipped bit is found by the CRC of its frame, and named; what was changed on purpose,
by signatures; what was left out or put in, by the manifest, if a key of the account signed it (over
`"folkmoot-archive-v1" 0x00 payload`). Where it is not signed every record still proves itself, and nobody
vouches that none is missing.

Chunks of one medium follow each other, before the chain, and together have the hash it is named by. Frames of
other names are for later versions: this one counts and hashes them, hands them on, and makes nothing of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.archive_tally import Tally
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair, is_account, verify
from folkmoot.protocol.media.chunks import MediaChunk, MediumReader
from folkmoot.protocol.record import Record

MAGIC: Final = b"fmarchv1"
SIGNED_PREFIX: Final = b"folkmoot-archive-v1\x00"
VERSION: Final = 1
_NAMES: Final = frozenset({"account", "record", "media", "page", "elsewhere", "chain", "manifest"})
_LENGTH: Final = struct.Struct(">I")
_AROUND: Final = 2 * _LENGTH.size


class ArchiveDamaged(FolkmootError):
    """An archive is not what its account, or whoever made it, has put together.

    Args:
        message: what is wrong.
        at: where the frame begins in which it is wrong, in bytes.
        number: of that frame, from 1; 0 for the magic before all frames.
    """

    def __init__(self, message: str, at: int, number: int) -> None:
        super().__init__(f"frame {number} at byte {at}: {message}")
        self.at = at
        self.number = number


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an archive has in it, in its own last frame. The fields stand in canonical order."""

    account: bytes
    devices: dict[str, int]
    frames: int
    hash: bytes
    number: int
    records: int
    version: int
    head: bytes | None = None
    signer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Whose archive it is.

    Args:
        account: 34 bytes.
        cluster: where it was made.
        made_us: when, microseconds since 1970 by the clock of who made it.
        private: whether what only the account itself may read (bookmarks, mutes) is in it.
    """

    account: bytes
    cluster: str
    made_us: int
    private: bool = False


@dataclass(frozen=True, slots=True)
class PageEnd:
    """All records up to a key are there; with `elsewhere`, of those under others' places, after the own."""

    key: bytes
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame of a later version."""

    name: str


@dataclass(frozen=True, slots=True)
class Seal:
    """The manifest, and who signed it (34 bytes; None for nobody)."""

    manifest: Manifest
    signer: bytes | None


Item = Header | Record | MediaChunk | PageEnd | Chain | Unknown | Seal


class ArchiveWriter:
    """Makes an archive: each method returns bytes that are to be appended to the file.

    Args:
        header: whose it is.
    """

    def __init__(self, header: Header) -> None:
        self.header = header
        self._tally = Tally(MAGIC)
        self._chain = Chain(header.account)

    @classmethod
    def resumed(cls, reader: ArchiveReader) -> ArchiveWriter:
        """Go on with an archive that `reader` has read as far as it goes: its frames are whole.

        Args:
            reader: has read the header, and no chain.
        """
        assert reader.header is not None and reader.chain is None, "what is resumed has begun, and not ended"
        writer = cls(reader.header)
        writer._tally = reader.tally
        return writer

    @property
    def records(self) -> int:
        """How many records it has by now."""
        return self._tally.records

    @property
    def devices(self) -> frozenset[bytes]:
        """The keys that signed them."""
        return frozenset(self._tally.devices)

    def begin(self) -> bytes:
        """The magic and the header."""
        header = self.header
        fields = [header.account, header.cluster, header.made_us, header.private]
        return MAGIC + self._frame(["account", *fields])

    def record(self, record: Record) -> bytes:
        """One record, as it was signed."""
        self._tally.count(record)
        return self._frame(["record", record.payload, record.signature])

    def media(self, chunk: MediaChunk) -> bytes:
        """A chunk of a medium; those of one medium follow each other from the first to the last."""
        return self._frame(["media", chunk.hash, chunk.size, chunk.mime, chunk.index, chunk.data])

    def page(self, place: PageEnd) -> bytes:
        """A place where an export that breaks off can go on."""
        return self._frame(["elsewhere" if place.elsewhere else "page", place.key])

    def chain(self, chain: Chain) -> bytes:
        """The account's chain; after all records."""
        self._chain = chain
        return self._frame(["chain", [entry.to_wire() for entry in chain.entries]])

    def manifest(self, key: KeyPair | None) -> bytes:
        """The end.

        Args:
            key: signs it, one that may sign for the account; None to leave it unsigned.
        """
        tally, state = self._tally, self._chain.state
        fields: dict[str, Any] = {
            "account": self.header.account,
            "devices": {device.hex(): count for device, count in tally.devices.items()},
            "frames": tally.frames,
            "hash": tally.hash.digest(),
            "number": state.number,
            "records": tally.records,
            "version": VERSION,
        }
        if state.head is not None:
            fields["head"] = state.head
        if key is not None:
            fields["signer"] = key.account
        payload = codec.encode_canonical(fields)
        signature = b"" if key is None else key.sign(SIGNED_PREFIX + payload)
        return self._frame(["manifest", payload, signature])

    def _frame(self, value: list[Any]) -> bytes:
        body = codec.encode_canonical(value)
        framed = _LENGTH.pack(len(body)) + body
        framed += _LENGTH.pack(zlib.crc32(framed))
        self._tally.hash.update(framed)
        self._tally.frames += 1
        return framed


class ArchiveReader:
    """Reads an archive as its bytes come, and checks all that can be checked of them.

    Every signature is verified, unless `trusting`, about 100 µs each. `finish` says whether it was whole.

    Args:
        trusting: whether the file was read and checked before.

    Attributes:
        tally: of the whole frames that were read.
        end: how many bytes those are.
        header, chain, seal: what was read of these; None before.
    """

    def __init__(self, *, trusting: bool = False) -> None:
        self.tally = Tally(MAGIC)
        self.end = 0
        self.header: Header | None = None
        self.chain: Chain | None = None
        self.seal: Seal | None = None
        self._trusting = trusting
        self._waiting = bytearray()
        self._medium: MediumReader | None = None

    def feed(self, data: bytes) -> Iterator[Item]:
        """Read on; the items that are whole now, to be taken before more is fed.

        Raises:
            ArchiveDamaged: something is wrong, and where; nothing more can be read then.
        """
        self._waiting += data
        if not self.end:
            self._read_magic()
        while self.end and (body := self._next_body()) is not None:
            item = self._read(body)
            framed = bytes(self._waiting[: len(body) + _AROUND])
            self.tally.hash.update(framed)
            self.tally.frames += 1
            self.end += len(framed)
            del self._waiting[: len(framed)]
            yield item

    def finish(self) -> Seal:
        """There are no more bytes.

        Raises:
            ArchiveDamaged: something is missing.
        """
        if self._waiting or not self.end:
            raise self._damaged(
                "the file ends in the middle of it: it was cut off, or is still being written"
            )
        if self.seal is None:
            raise self._damaged(
                "the file ends before its manifest: it was cut off, or is still being written"
            )
        return self.seal

    def _read_magic(self) -> None:
        if len(self._waiting) >= len(MAGIC):
            if self._waiting[: len(MAGIC)] != MAGIC:
                raise ArchiveDamaged("this is no archive of an account, or its first bytes are damaged", 0, 0)
            del self._waiting[: len(MAGIC)]
            self.end = len(MAGIC)

    def _next_body(self) -> bytes | None:
        """The body of the next frame, once all of it is there and its sum is right."""
        if len(self._waiting) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._waiting)
        if length > limits.ARCHIVE_FRAME_BYTES:
            raise self._damaged(f"a length of {length} bytes, which no frame has")
        whole = length + _AROUND
        if len(self._waiting) < whole:
            return None
        framed = bytes(self._waiting[: whole - _LENGTH.size])
        (said,) = _LENGTH.unpack_from(self._waiting, whole - _LENGTH.size)
        if zlib.crc32(framed) != said:
            raise self._damaged("it is damaged: its bytes are not those that its sum was made of")
        return framed[_LENGTH.size :]

    def _read(self, body: bytes) -> Item:
        try:
            value = codec.decode_canonical(body)
        except WireError as error:
            raise self._damaged(error.message) from error
        if self.seal is not None:
            raise self._damaged("something follows the manifest")
        if self._medium is not None and value[:1] != ["media"]:
            raise self._damaged(f"chunks of medium {self._medium.hash.hex()} are missing before it")
        try:
            return self._understood(value)
        except WireError as error:
            raise self._damaged(error.message) from error

    def _understood(self, value: Any) -> Item:
        if self.header is None:
            match value:
                case ["account", bytes(account), str(cluster), int(made_us), bool(private)] if is_account(
                    account
                ):
                    self.header = Header(account, cluster, made_us, private)
                    return self.header
            raise self._damaged("the first frame does not say whose archive it is")
        match value:
            case ["record", bytes(payload), bytes(signature)] if self.chain is None:
                return self._read_record(Record(payload, signature))
            case [str("page" | "elsewhere" as name), bytes(key)] if self.chain is None:
                return PageEnd(key, elsewhere=name == "elsewhere")
            case ["media", bytes(hash_), int(size), str(mime), int(at), bytes(data)] if self.chain is None:
                return self._read_media(MediaChunk(hash_, size, mime, at, data))
            case ["chain", list(entries)] if self.chain is None:
                return self._read_chain(entries)
            case ["manifest", bytes(payload), bytes(signature)] if self.chain is not None:
                return self._read_manifest(payload, signature)
            case [str(name), *_] if name in _NAMES:
                raise self._damaged(f"a frame called {name} that is misshapen, or in the wrong place")
            case [str(name), *_]:
                return Unknown(name[:40])
        raise self._damaged("a frame that does not say what it is")

    def _read_record(self, record: Record) -> Record:
        assert self.header is not None, "the first frame was read"
        if record.author != self.header.account:
            raise self._damaged(f"record {record.id.hex()} is another account's")
        if not self._trusting:
            record.verify()
        self.tally.count(record)
        if len(self.tally.devices) > limits.ACCOUNT_KEYS:
            raise self._damaged("more keys have signed than an account can have")
        return record

    def _read_media(self, chunk: MediaChunk) -> MediaChunk:
        medium = self._medium or MediumReader(chunk)
        medium.add(chunk)
        self._medium = None if chunk.is_last else medium
        return chunk

    def _read_chain(self, values: list[Any]) -> Chain:
        assert self.header is not None, "the first frame was read"
        chain = Chain(self.header.account, [Entry.from_wire(value) for value in values])
        if not self._trusting:
            chain.verify()
        strangers = self.tally.devices.keys() - chain.state.keys.keys()
        if strangers:
            raise self._damaged(f"a key that was never the account's signed records: {min(strangers).hex()}")
        self.chain = chain
        return chain

    def _read_manifest(self, payload: bytes, signature: bytes) -> Seal:
        assert self.header is not None and self.chain is not None, "they come before"
        manifest = codec.shaped(codec.decode_canonical(payload), Manifest, "the manifest")
        tally, state = self.tally, self.chain.state
        counted = (
            ("version", manifest.version, VERSION),
            ("account", manifest.account, self.header.account),
            ("operations", (manifest.number, manifest.head), (state.number, state.head)),
            ("frames", manifest.frames, tally.frames),
            ("records", manifest.records, tally.records),
            ("devices", manifest.devices, {key.hex(): count for key, count in tally.devices.items()}),
            ("hash", manifest.hash, tally.hash.digest()),
        )
        for name, said, found in counted:
            if said != found:
                raise self._damaged(
                    f"the manifest names other {name} than the archive has: something was left out, put in "
                    "or changed before it"
                )
        self.seal = Seal(manifest, self._read_signer(manifest, payload, signature))
        return self.seal

    def _read_signer(self, manifest: Manifest, payload: bytes, signature: bytes) -> bytes | None:
        assert self.chain is not None, "it comes before the manifest"
        signer = manifest.signer
        if signer is None:
            if signature:
                raise self._damaged("a manifest with a signature, and nobody named who made it")
            return None
        if signer not in self.chain.state.signing_keys():
            raise self._damaged("the key that signed the manifest is none of the account's, or was revoked")
        if not verify(signer, signature, SIGNED_PREFIX + payload):
            raise self._damaged("the manifest is not signed by the key it names")
        return signer

    def _damaged(self, message: str) -> ArchiveDamaged:
        return ArchiveDamaged(message, self.end, self.tally.frames + 1)
