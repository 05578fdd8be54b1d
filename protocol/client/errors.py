"""Why a client could not do what it was asked, beyond what a node answered."""

from __future__ import annotations

from folkmoot.protocol.errors import FolkmootError


class ClientError(FolkmootError):
    """The client was asked for something it cannot do; the sentence says what."""


class Unreachable(ClientError):
    """No node answered at any of the addresses before the deadline; the sentence says what each said."""


class UntrustedNode(ClientError):
    """Who answered is not a node of the cluster that the CA file stands for."""
