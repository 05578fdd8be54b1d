"""`fault.set`, `fault.clear`, `fault.list`: how an operator breaks links of a node made to be broken.

They exist only where the configuration says `faults.enabled = true`, and only operators may call them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.operators import operators_only
from folkmoot.node.transport.faults import LinkFaults
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from msgspec import Meta, Struct

_Milliseconds = Annotated[float, Meta(ge=0, le=60_000)]


class _Link(Struct):
    """The faults of one link from this node; what is left out stays as it is."""

    to: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    cut: bool | None = None
    delay_ms: _Milliseconds | None = None
    jitter_ms: _Milliseconds | None = None
    loss: Annotated[float, Meta(ge=0, le=1)] | None = None
    rate_bytes_s: Annotated[float, Meta(ge=0)] | None = None


class _Set(Struct):
    links: Annotated[list[_Link], Meta(max_length=limits.ROSTER_NODES)]


class _Clear(Struct):
    to: list[Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]] | None = None


class FaultMethods:
    """See the module.

    Args:
        faults: of this node's links.
    """

    def __init__(self, faults: LinkFaults) -> None:
        self._faults = faults

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {"fault.set": self.set, "fault.clear": self.clear, "fault.list": self.list}

    async def set(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Change the faults of some links; the result lists all that are set."""
        operators_only(asker, "faults")
        for link in codec.shaped(params, _Set, "fault.set").links:
            changes = {
                name: getattr(link, name)
                for name in link.__struct_fields__
                if name != "to" and getattr(link, name) is not None
            }
            try:
                self._faults.change(bytes.fromhex(link.to), **changes)
            except ValueError as error:
                raise WireError(BAD_REQUEST, str(error)) from error
        return {"links": self._faults.describe()}

    async def clear(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Heal some links, or all."""
        operators_only(asker, "faults")
        to = codec.shaped(params, _Clear, "fault.clear").to
        if to is None:
            self._faults.clear()
        for node_id in to or ():
            self._faults.clear(bytes.fromhex(node_id))
        return {"links": self._faults.describe()}

    async def list(self, asker: Asker, params: Params) -> dict[str, Any]:
        """The faults that are set."""
        operators_only(asker, "faults")
        return {"links": self._faults.describe()}
