"""`seats.set`, `seats.recover`, `register.read` and `register.set`: what operators ask of registers.

Registers of the cluster are only read here: what changes them is whoever knows what they mean. Those called
`probe/0` to `probe/15` hold nothing of the cluster's; with them anyone who doubts that registers work can
find out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Protocol

from folkmoot.node.actors.session import Asker, Method
from folkmoot.node.operators import operators_only
from folkmoot.protocol import codec, limits
from folkmoot.protocol.connection import Params
from folkmoot.protocol.consensus.configuration import SIZES, Configuration, NodeId
from folkmoot.protocol.consensus.messages import Register
from folkmoot.protocol.consensus.value import Make, RequestId, Value, setting
from folkmoot.protocol.errors import BAD_REQUEST, WireError
from msgspec import Meta, Struct

PROBE: Final = "probe/"
PROBE_BYTES: Final = 1024


class _SetSeats(Struct):
    """`seats.set`: the nodes that are to hold the seats."""

    nodes: Annotated[list[NodeId], Meta(min_length=1, max_length=SIZES[-1])]


class _Recover(Struct):
    """`seats.recover`: whether it is understood what may be lost."""

    accept_loss: bool = False


class _Read(Struct):
    """`register.read`."""

    name: Register


class _Set(Struct):
    """`register.set`: the body that follows `version`, 0 for none; any when it is not named."""

    name: Register
    body: Annotated[bytes, Meta(max_length=PROBE_BYTES)]
    request: RequestId
    version: Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)] | None = None


class Registers(Protocol):
    """See `actors.registrar`."""

    async def change(self, name: str, make: Make, request: bytes | None = None) -> Value | None: ...

    async def read(self, name: str) -> Value | None: ...


class Seats(Protocol):
    """See `actors.seat_keeper`."""

    async def set_seats(self, nodes: Iterable[bytes]) -> Configuration: ...

    async def recover(self) -> Configuration: ...


class RegisterMethods:
    """See the module.

    Args:
        registers: reads and changes them.
        seats: changes the seats.
    """

    def __init__(self, registers: Registers, seats: Seats) -> None:
        self._registers = registers
        self._seats = seats

    def table(self) -> Mapping[str, Method]:
        """The methods by their names on the wire."""
        return {
            "seats.set": self.set_seats,
            "seats.recover": self.recover,
            "register.read": self.read,
            "register.set": self.set,
        }

    async def set_seats(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Have other nodes hold the seats."""
        operators_only(asker, "changes of seats")
        asked = codec.shaped(params, _SetSeats, "seats.set")
        return _told(await self._seats.set_seats(asked.nodes))

    async def recover(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Go on with this node's seat alone, after most seats were lost."""
        operators_only(asker, "changes of seats")
        if not codec.shaped(params, _Recover, "seats.recover").accept_loss:
            raise WireError(
                BAD_REQUEST,
                "this gives up what the seats have decided that this node has not: it is for when most seats "
                "are lost for good; say accept_loss to have it done",
            )
        return _told(await self._seats.recover())

    async def read(self, asker: Asker, params: Params) -> dict[str, Any]:
        """What a register holds."""
        operators_only(asker, "registers")
        name = codec.shaped(params, _Read, "register.read").name
        return {"value": _value(await self._registers.read(name))}

    async def set(self, asker: Asker, params: Params) -> dict[str, Any]:
        """Change a register that holds nothing of the cluster's."""
        operators_only(asker, "registers")
        asked = codec.shaped(params, _Set, "register.set")
        if asked.name not in {f"{PROBE}{number}" for number in range(limits.REGISTER_PROBES)}:
            raise WireError(
                BAD_REQUEST, f"only {PROBE}0 to {PROBE}{limits.REGISTER_PROBES - 1} can be set by hand"
            )
        make = setting(asked.version, asked.body)
        return {"value": _value(await self._registers.change(asked.name, make, asked.request))}


def _told(configuration: Configuration) -> dict[str, Any]:
    nodes = [seat.node for seat in configuration.seats]
    return {"configuration": configuration.number, "nodes": nodes, "may_fail": configuration.may_fail}


def _value(value: Value | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"version": value.version, "body": value.body, "terminal": value.terminal}
