"""Collecting evidence: every node is asked for statements on all that lies under an account."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import trio
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.exit_codes import DEGRADED
from folkmoot.cli.progress import OnProgress
from folkmoot.protocol.accounts.attestation import Statement
from folkmoot.protocol.accounts.evidence import Asked, Evidence, Marks
from folkmoot.protocol.errors import FORBIDDEN, UNAUTHENTICATED, FolkmootError, WireError
from folkmoot.protocol.identity import KeyPair
from folkmoot.protocol.limits import EVIDENCE_STATEMENTS
from folkmoot.protocol.sync.fingerprint import Fingerprint

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

NODES_AT_ONCE: Final = 8
_REASON_CHARACTERS: Final = 400


class Collection:
    """What is collected of one account.

    Args:
        client: of the cluster; it has proved to be the account, or an operator, unless the account is closed.
        account: whose (34 bytes).
        progress: told of nodes.
    """

    def __init__(self, client: Client, account: bytes, progress: OnProgress) -> None:
        self._client = client
        self._account = account
        self._progress = progress
        self._statements: dict[bytes, list[Statement]] = {}
        self._reasons: dict[bytes, str] = {}
        self._refusal: WireError | None = None

    async def collect(self, marks: Fingerprint | None, key: KeyPair | None) -> Evidence:
        """Ask all nodes.

        Args:
            marks: of what the account signed; None when that is not known.
            key: signs the evidence, when it is written.

        Raises:
            OperatorError: nobody knows who has the account's range.
            WireError: the asker may not ask.
        """
        where = await self._client.where(self._account)
        nodes = _members(await self._client.status(), {each["node"] for each in where["replicas"]})
        limiter = trio.CapacityLimiter(NODES_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(self._ask, node, limiter, len(nodes))
        if self._refusal is not None:
            raise self._refusal
        chain = (await self._client.account_history(self._account)).chain()
        asked = [_with_reason(node, self._reasons.get(node.node, "")) for node in nodes]
        return Evidence(
            account=self._account,
            cluster=(await self._client.ready()).cluster,
            range=where["range"],
            epoch=where["epoch"],
            made_us=time.time_ns() // 1000,
            chain=chain,
            nodes=asked,
            statements=[each for node in nodes for each in self._statements.get(node.node, [])],
            marks=None if marks is None else Marks.of(marks),
            signer=None if key is None else key.account,
        )

    async def _ask(self, node: Asked, limiter: trio.CapacityLimiter, total: int) -> None:
        """Have one node make its statements, or remember why it does not."""
        async with limiter:
            statements = self._statements[node.node] = []
            try:
                while True:
                    statements.append(await self._next(node, statements))
                    if statements[-1].found.through is None:
                        break
            except WireError as error:
                self._reasons[node.node] = error.message[:_REASON_CHARACTERS]
                if error.kind in (UNAUTHENTICATED, FORBIDDEN):
                    self._refusal = error
            except FolkmootError as error:
                self._reasons[node.node] = str(error)[:_REASON_CHARACTERS]
            self._progress(len(self._statements), total)

    async def _next(self, node: Asked, before: Sequence[Statement]) -> Statement:
        """The statement on the next slice, checked.

        Raises:
            OperatorError: it is not that.
            WireError: the node makes none, or its signature does not hold.
        """
        after = before[-1].found.through if before else None
        params: dict[str, Any] = {"account": self._account, "node": node.node}
        if after is not None:
            params["after"] = after
        told = await self._client.call("account.attest", params)
        statement = Statement.from_wire(told["statement"])
        statement.verify()
        if statement.found.after != after or (statement.found.node, statement.found.service) != (
            node.node,
            node.service,
        ):
            raise OperatorError("the statement is on another slice, or another node's")
        if sum(map(len, self._statements.values())) >= EVIDENCE_STATEMENTS:
            raise OperatorError(f"more than {EVIDENCE_STATEMENTS} statements would be needed")
        return statement


def _members(status: dict[str, Any], replicas: set[str]) -> list[Asked]:
    """Who is to be asked: all members of the cluster.

    Raises:
        OperatorError: a replica is none of them.
    """
    nodes = [
        Asked(
            name=each["name"],
            node=bytes.fromhex(each["id"]),
            replica=each["id"] in replicas,
            service=each["service"],
        )
        for each in status["nodes"]
        if each["member"] and each.get("service") is not None
    ]
    if replicas - {each.node.hex() for each in nodes}:
        raise OperatorError(
            "the node that was asked does not know yet who its members are",
            hint="the same again, or ask another node",
            exit_code=DEGRADED,
        )
    return nodes


def _with_reason(node: Asked, reason: str) -> Asked:
    return Asked(name=node.name, node=node.node, replica=node.replica, service=node.service, reason=reason)
