"""What proposers and seats say to each other, and what a seat keeps, as bytes."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.consensus.configuration import Configuration, SeatId
from folkmoot.protocol.consensus.messages import Answer, Ask, Outdated, Register, State
from msgspec import Meta, Struct

ASK: Final = "register.ask"
NAMES: Final = "register.names"
SEAT: Final = "register.seat"

Sequence = Annotated[int, Meta(ge=0, le=limits.EPOCH_MAX)]


class AskParams(Struct, frozen=True):
    """`register.ask`.

    Args:
        ask: the request.
        seen: the greatest sequence this seat has told the asker; 0 for none. A seat that is behind it has
            lost promises.
    """

    ask: Ask
    seen: Sequence = 0


class AskResult(Struct, frozen=True):
    """The result of `register.ask`: the answer, and the seat's sequence, which grows with all it keeps."""

    answer: Answer
    sequence: Sequence


class NamesParams(Struct, frozen=True):
    """`register.names`: the registers a seat keeps, in order, after `after`."""

    seat: SeatId
    configuration: Configuration
    after: Annotated[str, Meta(max_length=limits.REGISTER_NAME_BYTES)] = ""


class NamesResult(Struct, frozen=True):
    """A page of names; the last has fewer than `limits.REGISTER_NAMES`."""

    names: Annotated[list[Register], Meta(max_length=limits.REGISTER_NAMES)]


class SeatParams(Struct, frozen=True):
    """`register.seat`: who holds which seat here, and what is known of the asker's own.

    Args:
        seat: the asker's; None when it does not want to know.
    """

    seat: SeatId | None = None


class SeatResult(Struct, frozen=True):
    """What a node says of seats.

    Args:
        seat: its own seat's id.
        configuration: the newest it has heard of, if any.
        seen: the greatest sequence that the asker's seat has told it.
    """

    seat: SeatId
    configuration: Configuration | None = None
    seen: Sequence = 0


class SeatRecord(Struct, frozen=True):
    """What a seat keeps of itself.

    Args:
        id: the seat's.
        sequence: grows with every promise and every value it keeps.
        configuration: the newest it has heard of, if any.
    """

    id: SeatId
    sequence: Sequence = 0
    configuration: Configuration | None = None

    @property
    def is_needed(self) -> bool:
        """Whether nothing can be decided without this seat, whoever answers."""
        return self.configuration is not None and not self.configuration.can_do_without({self.id})


def plain(message: Struct) -> dict[str, Any]:
    """A message as a map."""
    value: dict[str, Any] = msgspec.to_builtins(message, builtin_types=(bytes,))
    return value


def read_ask(params: Any) -> AskParams:
    """Take a peer's `register.ask`.

    Raises:
        WireError: `bad_request`.
    """
    asked = codec.shaped(params, AskParams, ASK)
    asked.ask.configuration.check()
    return asked


def read_answer(result: Any) -> AskResult:
    """Take a peer's answer.

    Raises:
        WireError: `bad_request`.
    """
    answered = codec.shaped(result, AskResult, f"the result of {ASK}")
    if isinstance(answered.answer, Outdated):
        answered.answer.configuration.check()
    return answered


def read_names(params: Any) -> NamesParams:
    """Take a peer's `register.names`.

    Raises:
        WireError: `bad_request`.
    """
    asked = codec.shaped(params, NamesParams, NAMES)
    asked.configuration.check()
    return asked


def read_names_result(result: Any) -> NamesResult:
    """Take a peer's page of names.

    Raises:
        WireError: `bad_request`.
    """
    return codec.shaped(result, NamesResult, f"the result of {NAMES}")


def read_seat(result: Any) -> SeatResult:
    """Take a peer's answer to `register.seat`.

    Raises:
        WireError: `bad_request`.
    """
    told = codec.shaped(result, SeatResult, f"the result of {SEAT}")
    if told.configuration is not None:
        told.configuration.check()
    return told


def encode_state(state: State) -> bytes:
    """What a seat keeps of one register, for the disk."""
    return codec.pack(plain(state))


def decode_state(data: bytes | None) -> State:
    """The inverse; of a register that the seat has not heard of, the state it begins with.

    Raises:
        WireError: `bad_request`.
    """
    return State() if data is None else codec.shaped(codec.unpack(data), State, "a register's state")


def encode_record(record: SeatRecord) -> bytes:
    """What a seat keeps of itself, for the disk."""
    return codec.pack(plain(record))


def decode_record(data: bytes) -> SeatRecord:
    """The inverse.

    Raises:
        WireError: `bad_request`.
    """
    return codec.shaped(codec.unpack(data), SeatRecord, "what a seat keeps of itself")
