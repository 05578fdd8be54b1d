"""Evidence: the statements of all nodes on what is left of an account, in one file that is judged offline.

    magic     8 bytes, `fmevidv1`
    body      canonical MessagePack, [payload, signature]; both binary, the signature may be empty

The payload is a map: whose account, in which cluster, by which epoch of its range, which nodes there were,
with their service accounts and whether they had a slot, every node's statements or why there are none, and
what the account itself had signed to take everything back, as the same kind of fingerprint. A key of the
account signs it over `"folkmoot-evidence-v1" 0x00 payload`.

What each proves: a statement, that its node said so. The account's signature, that these were the nodes and
these the marks when it asked; the account's chain is in the payload, so that the key can be judged. Without
one (the account is closed) the file says so, and whoever collected it vouches for the nodes. That a node
told the truth no file can prove: it was asked what its own store has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from folkmoot.protocol import codec, limits
from folkmoot.protocol.accounts.attestation import Count, Found, NodeId, Statement, marks_bytes
from folkmoot.protocol.accounts.chain import Chain, Entry
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, TOO_LARGE, WireError
from folkmoot.protocol.identity import KeyPair, is_account, verify
from folkmoot.protocol.sync.fingerprint import LEAF_BYTES, Fingerprint
from msgspec import Meta, Struct

MAGIC: Final = b"fmevidv1"
SIGNED_PREFIX: Final = b"folkmoot-evidence-v1\x00"
VERSION: Final = 1

_Account = Annotated[bytes, Meta(min_length=limits.ACCOUNT_BYTES, max_length=limits.ACCOUNT_BYTES)]


class Asked(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A node that was asked.

    Args:
        name: for people.
        node: which (16 bytes).
        replica: whether it had a slot of the account's range.
        service: its service account by the roster.
        reason: why it has made no statement, or not on all of the account; empty when it has.
    """

    name: Annotated[str, Meta(max_length=limits.SLUG_CHARACTERS)]
    node: NodeId
    replica: bool
    service: _Account
    reason: Annotated[str, Meta(max_length=512)] = ""


class Marks(Struct, frozen=True, forbid_unknown_fields=True):
    """What the account signed: how many records that took something back, and their sum."""

    count: Count
    total: Annotated[bytes, Meta(min_length=LEAF_BYTES, max_length=LEAF_BYTES)]

    @classmethod
    def of(cls, marks: Fingerprint) -> Self:
        return cls(marks.count, marks_bytes(marks))


class _Payload(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The payload's map, its keys in canonical order."""

    account: _Account
    chain: Annotated[list[Any], Meta(max_length=limits.ACCOUNT_OPERATIONS)]
    cluster: Annotated[str, Meta(max_length=limits.SLUG_CHARACTERS)]
    epoch: Count
    made: Count
    nodes: Annotated[list[Asked], Meta(max_length=limits.ROSTER_NODES)]
    range: Count
    statements: Annotated[list[tuple[bytes, bytes]], Meta(max_length=limits.EVIDENCE_STATEMENTS)]
    version: int
    marks: Marks | None = None
    signer: _Account | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """See the module.

    Args:
        account: whose (34 bytes).
        cluster: where.
        range, epoch: of the account's range, when the nodes were asked.
        made_us: when, microseconds since 1970 by the clock of who asked.
        chain: the account's.
        nodes: who was asked.
        statements: what they said; of one node in the order of their slices.
        marks: what the account signed; None when it could not be listed.
        signer: who signed the whole; None for nobody.
    """

    account: bytes
    cluster: str
    range: int
    epoch: int
    made_us: int
    chain: Chain
    nodes: Sequence[Asked]
    statements: Sequence[Statement]
    marks: Marks | None = None
    signer: bytes | None = None

    def encode(self, key: KeyPair | None) -> bytes:
        """The file's bytes.

        Args:
            key: one that may sign for the account; None to leave it unsigned.
        """
        fields: dict[str, Any] = {
            "account": self.account,
            "chain": [entry.to_wire() for entry in self.chain.entries],
            "cluster": self.cluster,
            "epoch": self.epoch,
            "made": self.made_us,
            "nodes": [_fields(each) for each in self.nodes],
            "range": self.range,
            "statements": [each.to_wire() for each in self.statements],
            "version": VERSION,
        }
        if self.marks is not None:
            fields["marks"] = _fields(self.marks)
        if key is not None:
            fields["signer"] = key.account
        payload = codec.encode_canonical(fields)
        signature = b"" if key is None else key.sign(SIGNED_PREFIX + payload)
        return MAGIC + codec.encode_canonical([payload, signature])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a file and check every signature in it, about 100 µs each.

        Raises:
            WireError: it is none, or not what its account and its nodes have signed.
        """
        if len(data) > limits.EVIDENCE_BYTES:
            raise WireError(TOO_LARGE, f"a file of {len(data)} bytes; the limit is {limits.EVIDENCE_BYTES}")
        if not data.startswith(MAGIC):
            raise WireError(BAD_REQUEST, "this is no evidence on an account, or its first bytes are damaged")
        match codec.decode_canonical(data[len(MAGIC) :]):
            case [bytes(payload), bytes(signature)]:
                fields = codec.shaped(codec.decode_canonical(payload), _Payload, "evidence on an account")
                return cls._read(fields, payload, signature)
        raise WireError(BAD_REQUEST, "evidence is [payload, signature], both binary")

    @classmethod
    def _read(cls, fields: _Payload, payload: bytes, signature: bytes) -> Self:
        if fields.version != VERSION:
            known = f"this program knows {VERSION}"
            raise WireError(BAD_REQUEST, f"evidence of version {fields.version}; {known}")
        if not all(is_account(each) for each in (fields.account, *(node.service for node in fields.nodes))):
            raise WireError(BAD_REQUEST, "accounts are ids of 34 bytes")
        if len({node.node for node in fields.nodes}) != len(fields.nodes):
            raise WireError(BAD_REQUEST, "a node was asked twice")
        chain = Chain(fields.account, [Entry.from_wire(value) for value in fields.chain])
        chain.verify()
        _check_signer(fields.signer, chain, payload, signature)
        statements = [Statement(*each) for each in fields.statements]
        for statement in statements:
            statement.verify()
        return cls(
            account=fields.account,
            cluster=fields.cluster,
            range=fields.range,
            epoch=fields.epoch,
            made_us=fields.made,
            chain=chain,
            nodes=fields.nodes,
            statements=statements,
            marks=fields.marks,
            signer=fields.signer,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """What a node's statements come to.

    Args:
        asked: the node.
        complaints: why it does not attest that all is gone; none when it does.
        gone: how many records it has that took something back.
        left: how many cells it has that were not taken back.
        media: how many files of the account's media.
        proven: whether no byte of what is gone can be left in its files, by its own word.
        mark: its boot, and the latest change when it began; None without a statement.
    """

    asked: Asked
    complaints: tuple[str, ...]
    gone: int = 0
    left: int = 0
    media: int = 0
    proven: bool = False
    mark: tuple[int, int] | None = None

    @property
    def stands(self) -> bool:
        """Whether nothing speaks against the account being gone from this node.

        A node without a slot that cannot be asked is no replica, and nothing is known against it.
        """
        return not self.complaints or (not self.asked.replica and self.mark is None)


def judge(evidence: Evidence) -> list[Judged]:
    """What each node's statements come to, those that had a slot first.

    A replica has to have the marks that the account signed; where these are not known, all have to have the
    same. Any other node has to have nothing that was not taken back.
    """
    expected = None if evidence.marks is None else (evidence.marks.count, evidence.marks.total)
    judged = []
    for asked in sorted(evidence.nodes, key=lambda each: (not each.replica, each.name)):
        slices = [each.found for each in evidence.statements if each.found.node == asked.node]
        if not slices:
            judged.append(Judged(asked, (asked.reason or "it has made no statement",)))
            continue
        sums = _sums(slices)
        expected = expected or ((sums.count, marks_bytes(sums)) if asked.replica else None)
        complaints = [*_misfits(evidence, asked, slices)]
        if asked.reason:
            complaints.append(asked.reason)
        if asked.replica and (sums.count, marks_bytes(sums)) != expected:
            complaints.append("what it knows to be taken back is not what was signed, or what others know")
        left, media = sum(each.left for each in slices), max(each.media for each in slices)
        if left:
            complaints.append(f"it holds {left:,} that were not taken back")
        if media:
            complaints.append(f"it holds {media:,} files of pictures, sound or films")
        proven = all(each.proven == each.gone and not each.moved for each in slices)
        mark = slices[0].boot, slices[0].change
        judged.append(Judged(asked, tuple(complaints), sums.count, left, media, proven, mark))
    return judged


def _sums(slices: Sequence[Found]) -> Fingerprint:
    count = sum(each.gone for each in slices)
    total = sum(each.fingerprint.total for each in slices)
    return Fingerprint(count, total % (1 << (8 * LEAF_BYTES)))


def _misfits(evidence: Evidence, asked: Asked, slices: Sequence[Found]) -> list[str]:
    """Why statements are not on all of the account, or not by this node."""
    complaints = []
    if any(each.account != evidence.account or each.cluster != evidence.cluster for each in slices):
        complaints.append("a statement is on another account, or of another cluster")
    if any(each.service != asked.service for each in slices):
        complaints.append("a statement is signed by another service account than the roster names")
    ends: list[bytes | None] = [None, *(each.through for each in slices[:-1])]
    if [each.after for each in slices] != ends or None in ends[1:] or slices[-1].through is not None:
        complaints.append("its statements are not on all of the account")
    if any((each.boot, each.change) < (slices[0].boot, slices[0].change) for each in slices):
        complaints.append("its disk went back while it was asked")
    owned = {(each.range, each.epoch) for each in slices} == {(evidence.range, evidence.epoch)}
    if {each.replica for each in slices} != {asked.replica} or (asked.replica and not owned):
        complaints.append("the account's range was moving or split meanwhile")
    return complaints


def _check_signer(signer: bytes | None, chain: Chain, payload: bytes, signature: bytes) -> None:
    if signer is None:
        if signature:
            raise WireError(BAD_REQUEST, "a signature, and nobody named who made it")
        return
    if signer not in chain.state.signing_keys():
        raise WireError(BAD_SIGNATURE, "the key that signed is none of the account's, or was revoked")
    if not verify(signer, signature, SIGNED_PREFIX + payload):
        raise WireError(BAD_SIGNATURE, "the evidence is not signed by the key it names")


def _fields(value: Asked | Marks) -> dict[str, Any]:
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: each for name, each in fields.items() if each != ""}
