"""Nodes and what they say of Ada's account, which she has taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from folkmoot.protocol.accounts.attestation import VERSION, Found, Statement, marks_bytes, marks_of
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.evidence import Asked, Evidence, Marks
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.key import cell_key
from folkmoot.protocol.record import Record

from tests.accounts.archives import ADA, post

SERVICES = [KeyPair(bytes([50 + number]) * 32) for number in range(4)]
NODES = [bytes([number]) * 16 for number in range(4)]
TAKEN = [
    Record.sign(
        ADA, author=ADA.account, kind="post", item=post(number).item, body={"deleted": True}, stamp=9 + number
    )
    for number in range(1, 7)
]
KEYS = [cell_key(ADA.account, "post", record.item) for record in TAKEN]


def found(number: int, records: Sequence[Record] = TAKEN, **more: Any) -> Found:
    """What node `number` finds."""
    marks = marks_of(records)
    return msgspec.structs.replace(
        Found(
            account=ADA.account,
            boot=3,
            change=700,
            cluster="town",
            epoch=5,
            gone=marks.count,
            left=0,
            marks=marks_bytes(marks),
            media=0,
            moved=False,
            node=NODES[number],
            others=2,
            pointers=0,
            proven=0,
            range=17,
            replica=number < 3,
            service=SERVICES[number].account,
            staying=1,
            time=1_790_000_000_000_000,
            version=VERSION,
        ),
        **more,
    )


def said(number: int, records: Sequence[Record] = TAKEN, **more: Any) -> Statement:
    """What it signs."""
    return Statement.sign(SERVICES[number], found(number, records, **more))


def slices(number: int, **more: Any) -> list[Statement]:
    """The same in three slices."""
    return [
        said(number, TAKEN[:2], through=KEYS[1], **more),
        said(number, TAKEN[2:4], after=KEYS[1], through=KEYS[3], **more),
        said(number, TAKEN[4:], after=KEYS[3], **more),
    ]


def asked(number: int, reason: str = "") -> Asked:
    return Asked(
        name=f"node-{number}",
        node=NODES[number],
        replica=number < 3,
        service=SERVICES[number].account,
        reason=reason,
    )


def evidence(*statements: Statement, **more: Any) -> Evidence:
    """All four nodes were asked, and those statements came; what Ada signed is known."""
    known = {"marks": Marks.of(marks_of(TAKEN)), "chain": Chain(ADA.account)}
    return Evidence(
        **{
            "account": ADA.account,
            "cluster": "town",
            "range": 17,
            "epoch": 5,
            "made_us": 1_790_000_000_000_001,
            "nodes": [asked(number) for number in range(4)],
            "statements": statements,
            **known,
            **more,
        }
    )


def whole() -> Evidence:
    """What attests that all is gone: three replicas, one of them in slices, and a node that has nothing."""
    return evidence(said(0), *slices(1), said(2, proven=6, compacted=700), said(3, ()), signer=ADA.account)
