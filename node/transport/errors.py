"""Why a transport failed."""

from __future__ import annotations

from folkmoot.protocol.errors import FolkmootError


class TransportError(FolkmootError):
    """The network did not do what was asked; the sentence says which address and why."""


class ConnectionRefused(TransportError):
    """The other machine answered that nobody listens there: strong evidence that the process is gone."""


class AddressInUse(TransportError):
    """Another process has the port."""


class InsecureBind(TransportError):
    """A port that others can reach must not be opened without certificates."""


class Untrusted(TransportError):
    """One end's certificate was not accepted by the other."""


class WrongCluster(TransportError):
    """The node at the other end belongs to another cluster."""


class WrongNode(TransportError):
    """The other end is not the node that was asked for."""


class TooManyConnections(TransportError):
    """The other end holds as many connections as it will, or as it will from one address."""


class HandshakeFailed(TransportError):
    """The other end does not speak as a peer should, or not in time."""
