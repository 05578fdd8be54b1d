"""The vectors hold for this implementation, and the committed files are what the generator writes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from folkmoot.protocol.accounts.archive import ArchiveReader
from folkmoot.protocol.accounts.attestation import SIGNED_PREFIX as STATEMENT_PREFIX
from folkmoot.protocol.accounts.attestation import Statement
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.claim import Claim
from folkmoot.protocol.accounts.evidence import Evidence, judge
from folkmoot.protocol.accounts.handle import check_handle, read_handle, register_name, skeleton
from folkmoot.protocol.accounts.history import Account, fold
from folkmoot.protocol.accounts.operation import SIGNED_PREFIX as OPERATION_PREFIX
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.connection import Connection, Notification, Rejected, Request, Violation
from folkmoot.protocol.errors import BY_NAME, WireError
from folkmoot.protocol.feed import cursor as cursors
from folkmoot.protocol.feed.cursor import CursorKind
from folkmoot.protocol.feed.places import LogPlace
from folkmoot.protocol.identity import KeyPair, account_from_text, account_to_text, verify
from folkmoot.protocol.record import SIGNED_PREFIX, Record

from tests.vectors.archive_vectors import stops_at
from tests.vectors.generate import FOLDER, text_of, vectors
from tests.vectors.spelling import as_json
from tests.vectors.statement_vectors import error_of
from tests.vectors.wire_vectors import AUTH_PREFIX


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="ascii"))


def named(case: dict[str, Any]) -> str:
    return str(case.get("name", case.get("text")))


RECORDS, IDENTITIES, AUTH, MESSAGES, OPERATIONS, HANDLES, ARCHIVES, CURSORS, STATEMENTS = (
    load(f"{name}.json")
    for name in (
        "records",
        "identities",
        "auth",
        "messages",
        "operations",
        "handles",
        "archives",
        "cursors",
        "statements",
    )
)


@pytest.mark.parametrize("name", vectors())
def test_the_generator_writes_the_committed_file(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="ascii") == text_of(vectors()[name])


@pytest.mark.parametrize("case", RECORDS["valid"], ids=named)
def test_a_valid_record_is_read_as_it_was_meant(case: dict[str, Any]) -> None:
    record = Record(bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"]))
    record.verify()
    assert record.id.hex() == case["id"]
    assert account_to_text(record.author) == case["author"]
    assert account_to_text(record.place) == case["place"]
    assert account_to_text(record.device) == case["device"]
    assert (record.kind, record.item.hex(), record.stamp) == (case["kind"], case["item"], case["stamp"])
    assert {account_to_text(device): stamp for device, stamp in record.seen.items()} == case["seen"]
    assert as_json(record.body) == case["body"]
    assert record.deleted == case["deleted"]
    key = KeyPair(bytes.fromhex(case["seed"]))
    assert key.account == record.device and key.sign(SIGNED_PREFIX + record.payload) == record.signature


@pytest.mark.parametrize("case", RECORDS["invalid"], ids=named)
def test_an_invalid_record_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    with pytest.raises(WireError) as refusal:
        Record.from_wire([bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"])]).verify()
    assert refusal.value.kind.name == case["error"], refusal.value


def test_every_error_in_the_vectors_has_a_row_in_the_table() -> None:
    cases = (*RECORDS["invalid"], *MESSAGES["messages"], *OPERATIONS["invalid"], *OPERATIONS["cannot_follow"])
    errors = {case["error"] for case in cases if "error" in case}
    assert errors <= set(BY_NAME)


@pytest.mark.parametrize("case", IDENTITIES["valid"], ids=named)
def test_an_account_id_has_one_text(case: dict[str, str]) -> None:
    pair = KeyPair(bytes.fromhex(case["seed"]))
    assert (pair.public.hex(), pair.account.hex()) == (case["public"], case["account"])
    assert account_to_text(pair.account) == case["text"]
    assert account_from_text(case["text"]) == pair.account


@pytest.mark.parametrize("case", IDENTITIES["invalid"], ids=named)
def test_other_texts_are_no_account(case: dict[str, str]) -> None:
    with pytest.raises(WireError):
        account_from_text(case["text"])


@pytest.mark.parametrize("case", AUTH["cases"], ids=named)
def test_a_challenge_is_answered_for_one_node_only(case: dict[str, Any]) -> None:
    message = AUTH_PREFIX + bytes.fromhex(AUTH["challenge"]) + AUTH["node"].encode()
    assert verify(bytes.fromhex(AUTH["account"]), bytes.fromhex(case["signature"]), message) == case["valid"]


@pytest.mark.parametrize("size", [1, 3, 2**20], ids=["byte by byte", "in threes", "whole"])
@pytest.mark.parametrize("case", MESSAGES["messages"], ids=named)
def test_a_message_is_what_it_says_it_is(case: dict[str, Any], size: int) -> None:
    data = bytes.fromhex(case["bytes"])
    connection = Connection()
    events = [event for at in range(0, len(data), size) for event in connection.receive(data[at : at + size])]
    assert len(events) == 1
    event = events[0]
    match case["event"]:
        case "request":
            assert event == Request(case["msgid"], case["method"], case["params"])
        case "notification":
            assert event == Notification(case["method"], case["params"])
        case "rejected":
            assert isinstance(event, Rejected)
            assert (event.msgid, event.error.kind.name) == (case["msgid"], case["error"])
        case _:
            assert isinstance(event, Violation)
            assert event.error.kind.name == case["error"]


def operation_of(case: dict[str, Any]) -> Operation:
    return Operation.from_wire([bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"])])


def account_after(steps: int) -> Account:
    chain = [operation_of(case) for case in OPERATIONS["chain"][:steps]]
    return fold(account_from_text(OPERATIONS["account"]), chain)


@pytest.mark.parametrize("case", OPERATIONS["chain"], ids=named)
def test_an_operation_is_read_as_it_was_meant_and_makes_that_of_the_account(case: dict[str, Any]) -> None:
    operation = operation_of(case)
    key = KeyPair(bytes.fromhex(case["seed"]))
    assert key.account == operation.signer == account_from_text(case["signer"])
    assert key.sign(OPERATION_PREFIX + operation.payload) == operation.signature
    assert (operation.number, operation.action.name) == (case["number"], case["action"])
    assert as_json(operation.action.to_body()) == case["body"]
    assert operation.hash.hex() == case["hash"]
    account = account_after(case["number"])
    assert case["makes"] == {
        "keys": [account_to_text(key) for key in account.signing_keys()],
        "recovery": account.recovery and account_to_text(account.recovery),
        "handle": account.handle,
        "suspended": account.suspended,
        "closed": account.closed,
    }


@pytest.mark.parametrize("case", OPERATIONS["cannot_follow"], ids=named)
def test_an_operation_that_cannot_follow_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    operation = operation_of(case)
    operation.verify()
    with pytest.raises(WireError) as refusal:
        account_after(case["after"]).after(operation)
    assert refusal.value.kind.name == case["error"], refusal.value


@pytest.mark.parametrize("case", OPERATIONS["invalid"], ids=named)
def test_an_invalid_operation_is_refused_for_its_reason(case: dict[str, Any]) -> None:
    with pytest.raises(WireError) as refusal:
        operation_of(case).verify()
    assert refusal.value.kind.name == case["error"], refusal.value


@pytest.mark.parametrize("case", HANDLES["valid"], ids=lambda case: ascii(case["text"]))
def test_a_handle_has_its_form_and_its_register(case: dict[str, str]) -> None:
    assert check_handle(case["text"]) == case["handle"] == read_handle(case["handle"])
    assert skeleton(case["handle"]) == case["skeleton"]
    assert register_name(case["handle"]) == case["register"]


@pytest.mark.parametrize("case", HANDLES["invalid"], ids=named)
def test_other_texts_are_no_handle(case: dict[str, str]) -> None:
    with pytest.raises(WireError) as refusal:
        check_handle(case["text"])
    assert refusal.value.kind.name == "bad_request"


@pytest.mark.parametrize("case", HANDLES["claims"], ids=named)
def test_a_claim_is_read_as_it_was_meant(case: dict[str, Any]) -> None:
    claim = Claim.from_bytes(bytes.fromhex(case["bytes"]))
    assert claim._asdict() == {
        **{field: case[field] for field in claim._fields},
        "account": account_from_text(case["account"]),
    }
    assert claim.to_bytes().hex() == case["bytes"]


@pytest.mark.parametrize("case", ARCHIVES["valid"], ids=named)
def test_an_archive_is_read_as_it_was_meant(case: dict[str, Any]) -> None:
    reader = ArchiveReader()
    items = list(reader.feed(bytes.fromhex(case["archive"])))
    assert [item.id.hex() for item in items if isinstance(item, Record)] == case["records"]
    [chain] = [item for item in items if isinstance(item, Chain)]
    assert [hashed.hex() for hashed in chain.hashes] == case["operations"]
    signer = reader.finish().signer
    assert case["account"] == account_to_text(chain.account)
    assert (None if signer is None else account_to_text(signer)) == case["signer"]


@pytest.mark.parametrize("case", ARCHIVES["invalid"], ids=named)
def test_an_invalid_archive_is_refused_at_its_frame(case: dict[str, Any]) -> None:
    assert case["frame"] is not None and stops_at(bytes.fromhex(case["archive"])) == case["frame"]


@pytest.mark.parametrize("case", CURSORS["valid"], ids=named)
def test_a_cursor_names_its_position(case: dict[str, Any]) -> None:
    kind, subject = CursorKind(case["kind"]), bytes.fromhex(case["subject"])
    position = bytes.fromhex(case["position"])
    assert cursors.encode(kind, subject, position).hex() == case["cursor"]
    assert cursors.decode(kind, subject, bytes.fromhex(case["cursor"])) == position
    if "place" in case:
        place = LogPlace.decode(position)._asdict()
        told = {name: value.hex() if isinstance(value, bytes) else value for name, value in place.items()}
        assert told == case["place"]


@pytest.mark.parametrize("case", CURSORS["invalid"], ids=named)
def test_any_other_cursor_is_refused(case: dict[str, Any]) -> None:
    kind, cursor = CursorKind(case["kind"]), bytes.fromhex(case["cursor"])
    with pytest.raises(WireError) as refusal:
        LogPlace.decode(cursors.decode(kind, bytes.fromhex(case["subject"]), cursor))
    assert refusal.value.kind.name == "bad_request"


@pytest.mark.parametrize("case", STATEMENTS["valid"], ids=named)
def test_a_statement_is_read_as_it_was_meant(case: dict[str, Any]) -> None:
    statement = Statement(bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"]))
    statement.verify()
    key = KeyPair(bytes.fromhex(case["seed"]))
    assert key.sign(STATEMENT_PREFIX + statement.payload) == statement.signature
    assert statement.found.service == key.account and statement.found.account.hex() == STATEMENTS["account"]
    for name, value in case["found"].items():
        told = getattr(statement.found, name)
        assert (told.hex() if isinstance(told, bytes) else told) == value
    leaves = [
        int.from_bytes(hashlib.sha256(bytes.fromhex(each["key"] + each["id"])).digest(), "big")
        for each in STATEMENTS["records"]
        if case["found"].get("after", "") < each["key"] <= case["found"].get("through", "g")
    ][: statement.found.gone]
    assert sum(leaves) % 2**256 == int(case["found"]["marks"], 16)


@pytest.mark.parametrize("case", STATEMENTS["invalid"], ids=named)
def test_a_statement_that_is_none_is_refused(case: dict[str, Any]) -> None:
    assert case["error"] is not None
    assert error_of(bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"])) == case["error"]


@pytest.mark.parametrize("case", STATEMENTS["evidence"], ids=named)
def test_evidence_comes_to_what_was_meant(case: dict[str, Any]) -> None:
    evidence = Evidence.decode(bytes.fromhex(case["file"]))
    assert (None if evidence.signer is None else account_to_text(evidence.signer)) == case["signer"]
    assert {each.asked.node.hex(): each.stands for each in judge(evidence)} == case["stands"]


@pytest.mark.parametrize("case", STATEMENTS["refused"], ids=named)
def test_evidence_that_was_not_signed_so_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        Evidence.decode(bytes.fromhex(case["file"]))
