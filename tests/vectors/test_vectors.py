"""The vectors hold for this implementation, and the committed files are what the generator writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folkmoot.protocol.connection import Connection, Notification, Rejected, Request, Violation
from folkmoot.protocol.errors import BY_NAME, WireError
from folkmoot.protocol.identity import KeyPair, account_from_text, account_to_text, verify
from folkmoot.protocol.record import SIGNED_PREFIX, Record

from tests.vectors.generate import FOLDER, text_of, vectors
from tests.vectors.record_vectors import as_json
from tests.vectors.wire_vectors import AUTH_PREFIX


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="ascii"))


def named(case: dict[str, Any]) -> str:
    return str(case.get("name", case.get("text")))


RECORDS, IDENTITIES, AUTH, MESSAGES = (
    load(name) for name in ("records.json", "identities.json", "auth.json", "messages.json")
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
    errors = {case["error"] for case in (*RECORDS["invalid"], *MESSAGES["messages"]) if "error" in case}
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
