"""A replica's word, signed, on what is left with it of what an account took back.

A node looks through a slice of what it keeps under an account and says what it found: how much is *gone*
(cells of which only the records are left that took them back), and how much is *left*. Whatever is damaged,
or does not know whether it is, says nothing at all. A slice begins after a key and goes through another one,
or to the account's end, so that a statement costs a bounded amount of work; those of one node that follow
each other cover the account.

What is gone is told as a fingerprint: of each record that took something back the SHA-256 of key and id,
how many there are and their sum mod 2^256. Whoever has those records, which the account signed, can tell
that they are the ones. Sums can be added, so it does not matter where slices end.

`proven` counts those of which no byte is left in any file of the store either: they are older than its last
compaction, which wrote rows and nothing else (see `storage.compaction`). For the others nobody can say what
free pages and the spaces between rows still hold. Media are files, of which none may lie on the node,
whatever the slice is about.

The payload is canonical MessagePack, signed by the node's service account over `"folkmoot-statement-v1" 0x00
payload`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Self

from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, TOO_LARGE, WireError
from folkmoot.protocol.identity import KeyPair, is_account, verify
from folkmoot.protocol.key import ITEM_AT, place_prefix
from folkmoot.protocol.record import Record
from folkmoot.protocol.sync.fingerprint import LEAF_BYTES, Fingerprint, leaf_hash
from msgspec import Meta, Struct

VERSION: Final = 2
SIGNED_PREFIX: Final = b"folkmoot-statement-v1\x00"

Count = Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
Key = Annotated[bytes, Meta(max_length=ITEM_AT + limits.ITEM_BYTES + 1)]
NodeId = Annotated[bytes, Meta(min_length=limits.NODE_ID_BYTES, max_length=limits.NODE_ID_BYTES)]


class Found(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a node says of a slice: the payload's map, its keys in canonical order.

    Args:
        account: whose place was looked through.
        boot, change: the node's boot, and the latest change its store had made.
        cluster: the cluster's id.
        epoch, range: by which this node knows the account's range.
        gone: how many records say that something was taken back, and are alone with it.
        left: how many cells could have been taken back and were not, versions that wait for review included.
        marks: the sum of what stands for `gone` (32 bytes).
        media: how many files of the account's media lie on the node: kept, begun, or copies for its readers.
        moved: whether cells of this part of the key space were erased since the last compaction, because
            their range moved away: what they were may be in free pages.
        node: which (16 bytes).
        others: how many cells are other accounts'.
        pointers: how many hints there are, which say that another node was not given one of the cells.
        proven: of `gone`, how many are older than the last compaction.
        replica: whether the node has a slot of the range.
        service: the node's service account, which signs.
        staying: how many cells hold statements that cannot be taken back.
        time: microseconds since 1970 by the node's clock.
        version: 2.
        after: the slice begins after this key; None at the account's first.
        compacted: up to which change the store was compacted; None for never.
        through: the last key of the slice; None at the account's end.
    """

    account: Annotated[bytes, Meta(max_length=limits.ACCOUNT_BYTES)]
    boot: Count
    change: Count
    cluster: Annotated[str, Meta(max_length=limits.SLUG_CHARACTERS)]
    epoch: Count
    gone: Count
    left: Count
    marks: Annotated[bytes, Meta(min_length=LEAF_BYTES, max_length=LEAF_BYTES)]
    media: Count
    moved: bool
    node: NodeId
    others: Count
    pointers: Count
    proven: Count
    range: Count
    replica: bool
    service: Annotated[bytes, Meta(max_length=limits.ACCOUNT_BYTES)]
    staying: Count
    time: Count
    version: int
    after: Key | None = None
    compacted: Count | None = None
    through: Key | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """Of what is gone."""
        return Fingerprint(self.gone, int.from_bytes(self.marks, "big"))


class Statement:
    """A statement, read and checked for form.

    Attributes:
        payload: the signed bytes, as received.
        signature: 64 bytes; not yet verified by reading.
        found: what it says.
    """

    __slots__ = ("found", "payload", "signature")

    def __init__(self, payload: bytes, signature: bytes) -> None:
        if len(payload) > limits.STATEMENT_BYTES:
            raise WireError(
                TOO_LARGE, f"a statement of {len(payload)} bytes; the limit is {limits.STATEMENT_BYTES}"
            )
        if len(signature) != limits.SIGNATURE_BYTES:
            raise WireError(
                BAD_REQUEST, f"a signature of {len(signature)} bytes instead of {limits.SIGNATURE_BYTES}"
            )
        self.payload = payload
        self.signature = signature
        self.found = codec.shaped(codec.decode_canonical(payload), Found, "a replica's statement")
        _check(self.found)

    @classmethod
    def sign(cls, key: KeyPair, found: Found) -> Self:
        """Make a statement.

        Args:
            key: of the service account that it names.
            found: what it says.

        Raises:
            WireError: when the result would not be a valid statement.
        """
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        payload = codec.encode_canonical({name: value for name, value in fields.items() if value is not None})
        return cls(payload, key.sign(SIGNED_PREFIX + payload))

    @classmethod
    def from_wire(cls, value: object) -> Self:
        """Read `[payload, signature]`.

        Raises:
            WireError: saying which rule is broken.
        """
        match value:
            case [bytes(payload), bytes(signature)]:
                return cls(payload, signature)
        raise WireError(BAD_REQUEST, "a statement is [payload, signature], both binary")

    def to_wire(self) -> list[bytes]:
        """`[payload, signature]`."""
        return [self.payload, self.signature]

    def verify(self) -> None:
        """Check the signature.

        Raises:
            WireError: `bad_signature`.
        """
        if not verify(self.found.service, self.signature, SIGNED_PREFIX + self.payload):
            raise WireError(BAD_SIGNATURE, "a statement is not signed by the service account it names")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Statement) and self.to_wire() == other.to_wire()

    def __hash__(self) -> int:
        return hash(self.payload)

    def __repr__(self) -> str:
        return f"Statement({self.found.node.hex()[:8]} gone={self.found.gone} left={self.found.left})"


def marks_of(records: Iterable[Record]) -> Fingerprint:
    """The fingerprint of records that took something back, each at its own key."""
    return Fingerprint.of(leaf_hash(record.key, record.id) for record in records)


def marks_bytes(marks: Fingerprint) -> bytes:
    """The sum of a fingerprint, as it is told."""
    return marks.total.to_bytes(LEAF_BYTES, "big")


def _check(found: Found) -> None:
    if found.version != VERSION:
        raise WireError(BAD_REQUEST, f"a statement of version {found.version}; this program knows {VERSION}")
    if not is_account(found.account) or not is_account(found.service):
        raise WireError(BAD_REQUEST, "account and service are ids of 34 bytes")
    prefix = place_prefix(found.account)
    if not all(key is None or key.startswith(prefix) for key in (found.after, found.through)):
        raise WireError(BAD_REQUEST, "a slice of another account")
    if found.through is not None and found.through <= (found.after or b""):
        raise WireError(BAD_REQUEST, "a slice that ends before it begins")
    if found.proven > found.gone or (found.compacted is None and found.proven):
        raise WireError(BAD_REQUEST, "more is proven than can be")
    if not found.gone and any(found.marks):
        raise WireError(BAD_REQUEST, "the sum of nothing is not nought")
