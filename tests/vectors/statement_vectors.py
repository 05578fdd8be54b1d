"""Statements of replicas, and evidence: what every implementation must read, and what it must refuse."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol import codec
from folkmoot.protocol.accounts.attestation import SIGNED_PREFIX, VERSION, Statement
from folkmoot.protocol.accounts.evidence import Evidence, judge
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import account_to_text

from tests.accounts.archives import ADA
from tests.accounts.testimony import KEYS, SERVICES, TAKEN, evidence, said, slices, whole

ABOUT = (
    "Statements of replicas and evidence, section 17 of the contract; all bytes are hex. records are "
    "what the account signed to take things back, each with its key and its id: gone and marks of the "
    "statements come to some of them. valid statements must be accepted, with this found; seed is that "
    "of the service account. invalid ones must be refused with this error. evidence: the whole file, "
    "with who signed it (null for nobody) and, by node, whether it stands as an attestation. refused: "
    "files that are not what was signed."
)


def statement_vectors() -> dict[str, Any]:
    """The contents of `statements.json`."""
    valid = {
        "on all of an account": (0, said(0)),
        "on its first slice": (1, slices(1)[0]),
        "on a slice in the middle": (1, slices(1)[1]),
        "after a compaction": (2, said(2, proven=6, compacted=700)),
        "by a node without a slot": (3, said(3, ())),
        "with something left": (0, said(0, TAKEN[:5], left=1)),
    }
    spoiled = bytearray(whole().encode(ADA))
    spoiled[-1] ^= 1
    files = {
        "signed by the account": whole().encode(ADA),
        "signed by nobody": whole().encode(None),
        "a replica said nothing": evidence(said(0), said(1)).encode(ADA),
        "a replica has something left": evidence(said(0), said(1), said(2, TAKEN[:5], left=1)).encode(ADA),
        "a slice is missing": evidence(said(0), slices(1)[0], slices(1)[2], said(2)).encode(ADA),
    }
    refused = {
        "signed by a stranger": whole().encode(SERVICES[0]),
        "with a flipped bit": bytes(spoiled),
        "cut off": whole().encode(ADA)[:-1],
    }
    return {
        "about": ABOUT,
        "account": ADA.account.hex(),
        "records": [{"key": key.hex(), "id": made.id.hex()} for key, made in zip(KEYS, TAKEN, strict=True)],
        "valid": [{"name": name, **_statement(*each)} for name, each in valid.items()],
        "invalid": [
            {
                "name": name,
                "payload": payload.hex(),
                "signature": signature.hex(),
                "error": error_of(payload, signature),
            }
            for name, (payload, signature) in _invalid().items()
        ],
        "evidence": [{"name": name, **_evidence(data)} for name, data in files.items()],
        "refused": [{"name": name, "file": data.hex()} for name, data in refused.items()],
    }


def _statement(number: int, statement: Statement) -> dict[str, Any]:
    fields = codec.decode_canonical(statement.payload)
    return {
        "seed": SERVICES[number].seed.hex(),
        "payload": statement.payload.hex(),
        "signature": statement.signature.hex(),
        "found": {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()},
    }


def _invalid() -> dict[str, tuple[bytes, bytes]]:
    fields = codec.decode_canonical(said(0).payload)
    changed = {
        "a version to come": {"version": VERSION + 1},
        "a key that this version does not know": {"unless": "it rains"},
        "more proven than gone": {"proven": 7, "compacted": 700},
        "proven without a compaction": {"proven": 1},
        "a sum of nothing": {"gone": 0},
        "a slice of another account": {"after": bytes(60)},
        "a slice that ends where it begins": {"after": KEYS[1], "through": KEYS[1]},
        "a node id of 15 bytes": {"node": bytes(15)},
        "a negative count": {"left": -1},
    }
    made = {name: codec.encode_canonical(fields | more) for name, more in changed.items()}
    made["without its node"] = codec.encode_canonical({key: fields[key] for key in fields if key != "node"})
    made["with a byte after the end"] = said(0).payload + b"\x00"
    signed = {name: (payload, SERVICES[0].sign(SIGNED_PREFIX + payload)) for name, payload in made.items()}
    return signed | {
        "signed by another node": (said(0).payload, SERVICES[1].sign(SIGNED_PREFIX + said(0).payload)),
        "signed without the prefix": (said(0).payload, SERVICES[0].sign(said(0).payload)),
        "a signature of 63 bytes": (said(0).payload, said(0).signature[:-1]),
    }


def error_of(payload: bytes, signature: bytes) -> str | None:
    """The name of the error with which a statement is refused; None if it is not."""
    try:
        Statement(payload, signature).verify()
    except WireError as error:
        return error.kind.name
    return None


def _evidence(data: bytes) -> dict[str, Any]:
    read = Evidence.decode(data)
    return {
        "file": data.hex(),
        "signer": None if read.signer is None else account_to_text(read.signer),
        "stands": {each.asked.node.hex(): each.stands for each in judge(read)},
    }
