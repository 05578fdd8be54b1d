"""Which connections a listener holds: bounds that no single address can exhaust for the others.

A connection is *unproven* until its handshake is done and *proven* from then on; the two are bounded apart,
so that those who connect and say nothing take no room from those who speak. An unproven connection is never
a reason to refuse another: the oldest makes room, for whoever means it is through in milliseconds while
whoever is silent grows old. A proven connection is somebody at work; above the bound, newcomers are refused.

Of either kind one origin, which is an IPv4 address or an IPv6 network of 64 bits, has at most half.

Source: J. Lemon, "Resisting SYN flood DoS attacks with a SYN cache" (BSDCon 2002), whose full buckets drop
their oldest entry too; RFC 6177 for the networks that one subscriber of IPv6 has.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import trio
from folkmoot.node.transport.errors import TooManyConnections


class Visit:
    """One connection on its way through a listener.

    Args:
        origin: what its bounds are shared by.
        admission: where it counts.

    Attributes:
        scope: what its handshake runs in; cancelled when the visit has to make room.
        turned_out: whether it had to.
    """

    def __init__(self, origin: str, admission: Admission) -> None:
        self.origin = origin
        self.scope = trio.CancelScope()
        self.turned_out = False
        self._admission = admission

    def prove(self) -> None:
        """The handshake is done.

        Raises:
            TooManyConnections: there is no room for another proven connection.
        """
        self._admission.prove(self)

    def turn_out(self) -> None:
        """The handshake is to end."""
        self.turned_out = True
        self.scope.cancel()

    def end(self) -> None:
        """The connection is gone."""
        self._admission.end(self)


class Admission:
    """The connections of one listener.

    Args:
        unproven_max: connections whose handshake is not done.
        proven_max: connections whose handshake is done.
    """

    def __init__(self, *, unproven_max: int, proven_max: int) -> None:
        self._unproven = _Room(unproven_max)
        self._proven = _Room(proven_max)

    def begin(self, host: str) -> Visit:
        """A connection came; one that has been silent for longer may have to make room for it.

        Args:
            host: the other end's numeric address.
        """
        visit = Visit(origin_of(host), self)
        crowded = self._unproven.crowded_by(visit.origin)
        if crowded is not None:
            oldest = self._unproven.oldest_of(crowded)
            self._unproven.remove(oldest)
            oldest.turn_out()
        self._unproven.add(visit)
        return visit

    def prove(self, visit: Visit) -> None:
        """See `Visit.prove`."""
        crowded = self._proven.crowded_by(visit.origin)
        if crowded == visit.origin:
            raise TooManyConnections(f"{visit.origin} has {self._proven.share} connections here already")
        if crowded is not None:
            raise TooManyConnections(f"there are {self._proven.count} connections here already")
        self._unproven.remove(visit)
        self._proven.add(visit)

    def end(self, visit: Visit) -> None:
        """See `Visit.end`."""
        self._unproven.remove(visit)
        self._proven.remove(visit)


class _Room:
    """Visits by origin, each origin's in the order they came."""

    def __init__(self, size: int) -> None:
        self.share = max(1, size // 2)
        self.count = 0
        self._size = size
        self._visits: dict[str, dict[Visit, None]] = {}

    def crowded_by(self, origin: str) -> str | None:
        """Which origin leaves no room for another visit of `origin`; None when there is room."""
        if len(self._visits.get(origin, ())) >= self.share:
            return origin
        if self.count >= self._size:
            return max(self._visits, key=lambda each: len(self._visits[each]))
        return None

    def oldest_of(self, origin: str) -> Visit:
        return next(iter(self._visits[origin]))

    def add(self, visit: Visit) -> None:
        self._visits.setdefault(visit.origin, {})[visit] = None
        self.count += 1

    def remove(self, visit: Visit) -> None:
        """Forget a visit, if it is here."""
        visits = self._visits.get(visit.origin, {})
        if visit in visits:
            del visits[visit]
            self.count -= 1
            if not visits:
                del self._visits[visit.origin]


def origin_of(host: str) -> str:
    """What shares its bounds with `host`: a subscriber owns a whole IPv6 network, and uses it as it likes."""
    try:
        address = ip_address(host)
    except ValueError:  # a host of the simulation
        return host
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
