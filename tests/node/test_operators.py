"""Operators come and go with a reload: what a live session may ask follows, over a real connection."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from folkmoot.node.configuration.gate_section import GateSection
from folkmoot.protocol.errors import FORBIDDEN, WireError

from tests.node.harness import Client, Town, founded
from tests.node.nodes import Node
from tests.node.people import OPERATOR, Author

SOMEBODY = Author(1)


async def reload(node: Node, *operators: Author) -> None:
    """Have the node read a configuration with these operators."""
    accounts = tuple(operator.account for operator in operators)
    section = msgspec.structs.replace(node.config.operators, accounts=accounts)
    await node.running.reload(msgspec.structs.replace(node.config, operators=section))


async def may_operate(client: Client) -> bool:
    """Whether what only operators may ask is answered."""
    try:
        await client.call("debug.ranges")
    except WireError as error:
        assert error.kind is FORBIDDEN
        return False
    return True


@pytest.fixture
def quota() -> GateSection:
    """One record an account for the next hour, but for what operators bring."""
    return GateSection(account_rate=1 / 60, account_burst=1)


async def imported(town: Town, client: Client) -> list[str]:
    """What becomes of three posts of somebody who has used up their quota."""
    results, _ = await client.put(*(SOMEBODY.post() for _ in range(3)))
    return [result["status"] for result in results]


async def test_who_is_removed_loses_the_role_on_a_live_session(tmp_path: Path, quota: GateSection) -> None:
    async with (
        founded(tmp_path, nodes=1, gate=quota) as town,
        town.client(town[0]) as removed,
        town.client(town[0]) as stays,
    ):
        await reload(town[0], OPERATOR, SOMEBODY)
        for client, author in ((removed, OPERATOR), (stays, SOMEBODY)):
            assert (await client.auth(author))["roles"] == ["operator"]
            assert await may_operate(client)
        assert await imported(town, removed) == ["stored"] * 3
        await reload(town[0], SOMEBODY)
        assert not await may_operate(removed)
        assert "refused" in await imported(town, removed), "the quota is theirs as well"
        assert await may_operate(stays), "who is still listed keeps it"
        assert (await removed.auth(OPERATOR))["roles"] == []
        assert not await may_operate(removed)


async def test_who_is_removed_is_still_who_they_are(tmp_path: Path) -> None:
    """The role goes, the proof of the account stays."""
    async with founded(tmp_path, nodes=1) as town, town.client(town[0]) as client:
        await client.auth(OPERATOR)
        private = OPERATOR.record("bookmark", SOMEBODY.account + SOMEBODY.item(), {"on": True})
        await client.put_one(private)
        await reload(town[0])
        assert not await may_operate(client)
        assert await client.get(private) is not None


async def test_who_is_added_has_the_role_with_the_next_auth(tmp_path: Path, quota: GateSection) -> None:
    async with founded(tmp_path, nodes=1, gate=quota) as town, town.client(town[0]) as client:
        assert (await client.auth(SOMEBODY))["roles"] == []
        assert not await may_operate(client)
        await reload(town[0], OPERATOR, SOMEBODY)
        assert not await may_operate(client), "a role is part of a proof, and there is no new one"
        assert (await client.auth(SOMEBODY))["roles"] == ["operator"]
        assert await may_operate(client)
        assert await imported(town, client) == ["stored"] * 3
