"""The applicant makes a node that a token let in a member, and says how far its ranges are.

A node that runs and is not on the roster asks one member after the other. One that says no ends it: then it
is an operator's to have this node join. All else may pass, and it asks again.
"""

from __future__ import annotations

import logging
from functools import partial
from random import Random
from typing import Final

import trio
from folkmoot.node.contracts import Peers, PeerUnreachable
from folkmoot.node.environment import Executor
from folkmoot.node.joining.admitting import MEMBER
from folkmoot.node.movement.contracts import Holder, Liveness
from folkmoot.protocol import limits
from folkmoot.protocol.errors import FORBIDDEN, FolkmootError, WireError
from folkmoot.protocol.ring.movement import Drop
from folkmoot.protocol.ring.plan import Planner

log = logging.getLogger(__name__)

LOOK_S: Final = 0.25
RETRY_S: Final = 1.0
RETRY_MAX_S: Final = 30.0
TELL_S: Final = 10.0
ASK_S: Final = 2 * limits.REGISTER_TIMEOUT_S + 2.0  # it changes the roster, and notes that it has


class Applicant:
    """See the module.

    Args:
        node_id: this node's.
        topology, liveness: see `movement.contracts`.
        peers: see `contracts`.
        executor: works plans out.
        random: draws whom to ask first.
    """

    def __init__(
        self,
        node_id: bytes,
        topology: Holder,
        liveness: Liveness,
        peers: Peers,
        executor: Executor,
        random: Random,
    ) -> None:
        self._node_id = node_id
        self._topology = topology
        self._liveness = liveness
        self._peers = peers
        self._executor = executor
        self._random = random
        self._asked = False

    async def run(self) -> None:
        """Become a member if a token says so, and watch the ranges come."""
        said, pause_s = "", RETRY_S
        while not self._is_member():
            try:
                if not self._asked and not await self._ask_members():
                    return
                await trio.sleep(LOOK_S)  # until what was decided is heard of here, or somebody is
            except FolkmootError as error:
                if str(error) != said:
                    log.warning("this node is no member yet: %s", error)
                said = str(error)
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)
        if self._asked:
            await self._watch()

    def _is_member(self) -> bool:
        return self._node_id in self._topology.current().roster

    async def _ask_members(self) -> bool:
        """Whether this node is a member now, or may still become one.

        Raises:
            FolkmootError: of the members that are there none could say.
        """
        roster = self._topology.current().roster
        members = [each.node_id for each in roster.nodes if self._liveness.alive(each.node_id)]
        self._random.shuffle(members)
        reason: FolkmootError | None = None
        for member in members:
            try:
                await self._peers.call(member, MEMBER, {}, ASK_S)
            except WireError as error:
                if error.kind is FORBIDDEN:
                    log.info(
                        "no join token makes this node a member; an operator does (folkmoot node join NAME)"
                    )
                    return False
                reason = error
            except PeerUnreachable as error:
                reason = error
            else:
                self._asked = True
                return True
        if reason is not None:
            raise reason
        return True

    async def _watch(self) -> None:
        """Say how many ranges are still on their way, until none is."""
        planner, told, told_at, most = Planner(), -1, -TELL_S, 0
        while self._is_member():
            topology = self._topology.current()
            found = await self._executor.run(partial(planner.plan, topology))
            left = sum(
                not isinstance(change, Drop) and change.recipient == self._node_id
                for changes in found.changes.values()
                for change in changes
            )
            most = max(most, left)
            now = trio.current_time()
            if told < 0:
                log.info("this node is a member now; %d ranges are to come", left)
                told, told_at = left, now
            elif not left:
                log.info("all of them are here")
                return
            elif left != told and (now - told_at >= TELL_S or told - left >= max(1, most // 10)):
                log.info("%d of %d ranges are here", most - left, most)
                told, told_at = left, now
            await trio.sleep(LOOK_S)
