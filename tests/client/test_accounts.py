"""What clients ask about accounts: a chain is kept, told and appended to, and a node that lies is caught."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import trio
from folkmoot.node.accounts.keys import account_map
from folkmoot.protocol.accounts.actions import AddKey, Create, SetHandle
from folkmoot.protocol.accounts.chain import Chain
from folkmoot.protocol.accounts.operation import Operation
from folkmoot.protocol.client import AsyncioClient, BlockingClient, connect
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import (
    BAD_REQUEST,
    BAD_SIGNATURE,
    BUSY,
    CONFLICT,
    NOT_FOUND,
    UNCERTAIN,
    WireError,
)
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.record import Record

from tests.client.stub import StubNode, stub_nodes

ALICE, PHONE, RESCUE = (KeyPair(bytes([number]) * 32) for number in (1, 2, 3))


class Registrar:
    """Answers for a stub node as a cluster does, of one account: its chain is a real one.

    Attributes:
        chain: what it has decided.
        failures: raised by `account.change` instead of its answer, after it has been decided.
    """

    def __init__(self, node: StubNode) -> None:
        self.chain = Chain(ALICE.account)
        self.failures: list[WireError] = []
        node.answers |= {
            "account.get": self.get,
            "account.change": self.change,
            "account.history": self.history,
            "handle.get": self.handle,
        }

    async def get(self, node: StubNode, link: Link, params: Params) -> Any:
        return {**account_map(self.chain.state), "profile": {"name": "Alice"}, "counts": {}}

    async def change(self, node: StubNode, link: Link, params: Params) -> Any:
        operation = Operation.from_wire(params["operation"])
        operation.verify()
        if not self.chain.holds(operation):
            self.chain = self.chain.followed_by(operation, 1_000_000 * (self.chain.number + 1))
        if self.failures:
            raise self.failures.pop()
        return account_map(self.chain.state)

    async def history(self, node: StubNode, link: Link, params: Params) -> Any:
        entries = self.chain.entries[params.get("after", 0) :]
        return {
            "account": self.chain.account,
            "number": self.chain.number,
            "operations": [entry.to_wire() for entry in entries],
        }

    async def handle(self, node: StubNode, link: Link, params: Params) -> Any:
        if params["handle"] != self.chain.state.handle:
            raise WireError(NOT_FOUND, "nobody")
        return {"handle": params["handle"], "account": self.chain.account}


def operations() -> list[Operation]:
    """An account that was created, and has a second device and a handle."""
    made: list[Operation] = []
    for action in (Create(RESCUE.account), AddKey(PHONE.account, "phone"), SetHandle("alice")):
        previous = made[-1] if made else None
        made.append(Operation.sign(ALICE, ALICE.account, action, previous=previous, stamp=len(made)))
    return made


async def test_an_account_is_changed_and_read() -> None:
    node = StubNode()
    registrar = Registrar(node)
    first, second, third = operations()
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        assert (await client.account(ALICE.account)).number == 0
        assert (await client.account_change(first)).recoverable
        told = await client.account_change(second)
        assert told.keys == [ALICE.account, PHONE.account]
        assert [(each.key, each.name, each.added) for each in told.devices] == [
            (ALICE.account, "", 0),
            (PHONE.account, "phone", 2),
        ]
        await client.account_change(third)
        info = await client.account(ALICE.account, current=True)
        assert (info.handle, info.head, info.number) == ("alice", third.hash, 3)
        assert info.profile == {"name": "Alice"}
        assert [params.get("current") for params in node.answered("account.get")] == [None, True]
        chain = (await client.account_history(ALICE.account, current=True)).chain()
        assert chain.hashes == registrar.chain.hashes
        later = await client.account_history(ALICE.account, after=2)
        assert [entry.operation for entry in later.entries] == [third]
        assert (await client.handle("alice")).account == ALICE.account
        with pytest.raises(WireError) as error:
            await client.handle("nobody")
        assert error.value.kind is NOT_FOUND


async def test_a_change_of_which_nobody_knows_is_sent_again_and_made_once() -> None:
    node = StubNode()
    registrar = Registrar(node)
    first, _, _ = operations()
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        registrar.failures = [WireError(BUSY, "full"), WireError(UNCERTAIN, "no answer from the seats")]
        assert (await client.account_change(first)).number == 1
        assert len(node.answered("account.change")) == 3 and registrar.chain.number == 1
        registrar.failures = [WireError(CONFLICT, "somebody was faster")]
        with pytest.raises(WireError, match="faster"):
            await client.account_change(first)
        assert len(node.answered("account.change")) == 4, "a conflict is for whoever asked to solve"


async def test_other_loops_do_the_same() -> None:
    node = StubNode()
    Registrar(node)
    first, second, third = operations()

    def block() -> None:
        with BlockingClient(str(node.address), tls=False) as client:
            client.account_change(first)
            assert client.account(ALICE.account, current=True).number == 1
            assert client.account_history(ALICE.account).chain().number == 1

    async def use_asyncio() -> None:
        async with AsyncioClient(str(node.address), tls=False) as client:
            await client.account_change(second)
            assert (await client.account_change(third)).handle == "alice"
            assert (await client.account(ALICE.account)).number == 3
            assert len((await client.account_history(ALICE.account, after=1)).entries) == 2
            assert (await client.handle("alice")).account == ALICE.account

    def in_asyncio() -> None:
        asyncio.run(use_asyncio())

    def block_for_handle() -> None:
        with BlockingClient(str(node.address), tls=False) as client:
            assert client.handle("alice").account == ALICE.account

    async with stub_nodes(node):
        for use in (block, in_asyncio, block_for_handle):
            await trio.to_thread.run_sync(use)


async def test_a_device_proves_its_account() -> None:
    node = StubNode()
    phone = KeyPair(PHONE.seed, ALICE.account)
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        assert (await client.auth(phone))["account"] == ALICE.account
        assert node.answered("auth")[0]["signer"] == PHONE.account
    post = Record.sign(
        phone, kind="post", item=bytes(6) + b"\x70\0\x80" + bytes(7), body={"text": "x"}, stamp=1
    )
    assert (post.author, post.device) == (ALICE.account, PHONE.account)
    post.verify()


def _without_the_middle(told: dict[str, Any]) -> None:
    del told["operations"][1]


def _without_the_newest(told: dict[str, Any]) -> None:
    told["operations"].pop()


def _without_the_oldest(told: dict[str, Any]) -> None:
    told["operations"].pop(0)


def _with_a_flipped_bit(told: dict[str, Any]) -> None:
    payload, signature, decided_us = told["operations"][1]
    told["operations"][1] = [payload, bytes([signature[0] ^ 1]) + signature[1:], decided_us]


def _of_another(told: dict[str, Any]) -> None:
    told["account"] = PHONE.account


def _of_another_shape(told: dict[str, Any]) -> None:
    told["number"] = "three"


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        (_without_the_middle, CONFLICT),
        (_without_the_newest, BAD_REQUEST),
        (_without_the_oldest, CONFLICT),
        (_with_a_flipped_bit, BAD_SIGNATURE),
        (_of_another, BAD_REQUEST),
        (_of_another_shape, BAD_REQUEST),
    ],
)
async def test_a_node_that_lies_about_a_history_is_caught(lie: Any, kind: Any) -> None:
    node = StubNode()
    registrar = Registrar(node)
    for number, operation in enumerate(operations()):
        registrar.chain = registrar.chain.followed_by(operation, number)

    async def lying(node: StubNode, link: Link, params: Params) -> Any:
        told = await registrar.history(node, link, params)
        lie(told)
        return told

    node.answers["account.history"] = lying
    async with stub_nodes(node), connect(str(node.address), tls=False) as client:
        with pytest.raises(WireError) as error:
            (await client.account_history(ALICE.account)).chain()
        assert error.value.kind is kind
