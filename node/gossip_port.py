"""The gossip port: seals what goes out, opens what comes in, and counts both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from folkmoot.node.transport.errors import TransportError
from folkmoot.node.transport.interface import Address, Datagrams
from folkmoot.protocol.errors import CONFLICT, WireError
from folkmoot.protocol.gossip import events, messages
from folkmoot.protocol.gossip.members import Endpoint
from folkmoot.protocol.gossip.seal import NONCE_BYTES, Opener, Sealer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class GossipTraffic:
    """Datagrams and bytes since the start.

    Args:
        sent_bytes: sealed datagrams and push-pull messages sent.
        datagrams_sent: handed to the network.
        datagrams_unsent: not taken by the network, which is as good as lost.
        datagrams_opened: authentic and new.
        datagrams_refused: not sealed by a key of the ring, or malformed.
        datagrams_repeated: authentic, and seen before.
        datagrams_shed: dropped because the mailbox was full.
    """

    sent_bytes: int = 0
    datagrams_sent: int = 0
    datagrams_unsent: int = 0
    datagrams_opened: int = 0
    datagrams_refused: int = 0
    datagrams_repeated: int = 0
    datagrams_shed: int = 0


class GossipPort:
    """See the module.

    Args:
        datagrams: the bound port.
        sealer: seals what this node sends.
        opener: opens what others send.
        random: draws the nonces.
    """

    def __init__(self, datagrams: Datagrams, sealer: Sealer, opener: Opener, random: Random) -> None:
        self.traffic = GossipTraffic()
        self._datagrams = datagrams
        self._sealer = sealer
        self._opener = opener
        self._random = random

    async def send(self, effect: events.SendDatagram) -> None:
        """Send one datagram, or lose it."""
        sealed = self._sealer.seal(effect.payload, self._random.randbytes(NONCE_BYTES))
        address = Address(*effect.endpoint)
        try:
            await self._datagrams.send(sealed, address, effect.node_id)
        except (OSError, ValueError, TransportError) as error:
            # One peer that cannot be spoken to, whatever it said of itself, is no reason to fall silent.
            self.traffic.datagrams_unsent += 1
            log.debug("a datagram to %s was not sent: %s", address, error)
        else:
            self.traffic.datagrams_sent += 1
            self.traffic.sent_bytes += len(sealed)

    async def receive(self, take: Callable[[events.DatagramReceived], bool]) -> None:
        """Give `take` what comes in, for ever; what does not open is counted and forgotten.

        Args:
            take: says whether there was room for it.
        """
        while True:
            datagram, source = await self._datagrams.receive()
            try:
                opened = self._opener.open(datagram)
                spoken = messages.decode(opened.payload)
            except WireError as error:
                if error.kind is CONFLICT:
                    self.traffic.datagrams_repeated += 1
                else:
                    self._refuse(source, error)
                continue
            self.traffic.datagrams_opened += 1
            if not take(events.DatagramReceived(opened.sender, Endpoint(*source), spoken)):
                self.traffic.datagrams_shed += 1

    def _refuse(self, source: Address, error: WireError) -> None:
        """Count a datagram that is not for us, and say so ever less often: anyone may send rubbish."""
        self.traffic.datagrams_refused = refused = self.traffic.datagrams_refused + 1
        if refused & (refused - 1) == 0:
            log.warning("refused datagram %d, from %s: %s", refused, source, error.message)
