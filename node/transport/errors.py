"""Why a transport failed."""

from __future__ import annotations

from folkmoot.protocol.errors import FolkmootError


class TransportError(FolkmootError):
    """The network did not do what was asked; the sentence says which address and why."""


class ConnectionRefused(TransportError):
    """The other machine answered that nobody listens on that port: strong evidence that the process is gone."""
