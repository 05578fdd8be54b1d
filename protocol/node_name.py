"""What a node's certificate says: one DNS name that all nodes share, and one URI that says which node.

Clients verify the DNS name whatever address they dialled, and the URI against what `hello` says.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

NODE_DNS_NAME: Final = "node.folkmoot"

_URI: Final = re.compile(r"folkmoot:([a-z0-9-]{1,63})/([0-9a-f]{32})?")


class NodeName(NamedTuple):
    """Who a node is.

    Args:
        cluster: the cluster's id.
        node_id: 16 bytes; None on the CA's own certificate.
    """

    cluster: str
    node_id: bytes | None

    def __str__(self) -> str:
        return f"folkmoot:{self.cluster}/{self.node_id.hex() if self.node_id else ''}"

    @classmethod
    def parse(cls, uri: str) -> NodeName | None:
        """Read a URI; None when it is not one of ours."""
        found = _URI.fullmatch(uri)
        return None if found is None else cls(found[1], bytes.fromhex(found[2]) if found[2] else None)

    @classmethod
    def of(cls, uris: list[str]) -> NodeName | None:
        """The one of ours among a certificate's URIs; None when there is none, or more than one."""
        ours = [name for uri in uris if (name := cls.parse(uri)) is not None]
        return ours[0] if len(ours) == 1 else None
