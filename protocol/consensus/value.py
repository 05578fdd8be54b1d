"""What a register holds, and the changes that can be made to it.

A value carries the ids of the requests that made it and the ones before it. So whoever does not know what
became of a change can ask again with the same id: what was done is not done twice, and what was overwritten
since is still known to have been done. The ids of the last `limits.REGISTER_REQUESTS` changes are there;
whoever asks after more than so many is told so (`uncertain`) and no guess is made, because a change knows
which version it proposed to make. Registers are not deleted: one that has served its time gets a *terminal*
value, which nothing can follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import CONFLICT, UNCERTAIN, WireError
from msgspec import Meta, Struct

RequestId = Annotated[bytes, Meta(min_length=limits.REQUEST_ID_BYTES, max_length=limits.REQUEST_ID_BYTES)]


class Value(Struct, frozen=True):
    """One version of a register.

    Args:
        version: from 1; each change adds one.
        body: what the register is for, up to `limits.REGISTER_BYTES`.
        requests: ids of the requests that made this version and those before it, newest first.
        terminal: whether this is the last version.
    """

    version: Annotated[int, Meta(ge=1, le=limits.EPOCH_MAX)]
    body: Annotated[bytes, Meta(max_length=limits.REGISTER_BYTES)]
    requests: Annotated[list[RequestId], Meta(min_length=1, max_length=limits.REGISTER_REQUESTS)]
    terminal: bool = False

    @classmethod
    def from_wire(cls, value: Any) -> Value:
        """Check and take what a peer or the store gave.

        Raises:
            WireError: `bad_request`.
        """
        return codec.shaped(value, Value, "the value of a register")

    def to_wire(self) -> dict[str, Any]:
        """As a map for messages and the store."""
        plain: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        return plain

    def made_by(self, request: bytes) -> bool:
        """Whether a request is known to have been carried out."""
        return request in self.requests


Change = Callable[[Value | None], Value | None]
"""Makes the next value from the present one (None before the first); what equals it changes nothing.

Raises:
    WireError: `conflict`, when the present value is not one this change may be made to.
"""


def keep(value: Value | None) -> Value | None:
    """The change that changes nothing: a read, or a rewrite under another configuration."""
    return value


Make = Callable[[Value | None], bytes | None]
"""Makes the next body from the present value; None when there is nothing to change.

Raises:
    WireError: when the present value is not one this change may be made to.
"""


class Changing:
    """A `Change` under a request's id: tried as often as need be, and made once.

    Attributes:
        request: the id.

    Args:
        make: makes the next body.
        request: names this change (16 bytes).
        terminal: whether nothing may follow.
    """

    def __init__(self, make: Make, request: bytes, *, terminal: bool = False) -> None:
        self._make = make
        self.request = request
        self._terminal = terminal
        self._proposed: int | None = None

    @property
    def proposed(self) -> bool:
        """Whether it may be decided, or was, whatever became of the attempts at it."""
        return self._proposed is not None

    def __call__(self, value: Value | None) -> Value | None:
        """See `Change`; `uncertain` when it was proposed so many changes ago that nobody remembers."""
        found = 0 if value is None else value.version
        if value is not None and value.made_by(self.request):
            self._proposed = found if self._proposed is None else self._proposed
            return value
        if self._proposed is not None and found - self._proposed >= limits.REGISTER_REQUESTS:
            raise WireError(
                UNCERTAIN,
                f"the change may have been version {self._proposed}, and the register is at {found}: it "
                f"remembers the last {limits.REGISTER_REQUESTS} requests; look at what it holds",
                details={"version": found},
            )
        if value is not None and value.terminal:
            raise WireError(CONFLICT, f"the register ended with version {found}", details={"version": found})
        body = self._make(value)
        if body is None:
            return value
        self._proposed = found + 1 if self._proposed is None else min(self._proposed, found + 1)
        requests = [self.request, *(() if value is None else value.requests)]
        return Value(found + 1, body, requests[: limits.REGISTER_REQUESTS], self._terminal)


def setting(version: int | None, body: bytes) -> Make:
    """To `body`, if the register is at `version`: 0 for a register without a value, None for any.

    The `conflict` of a request that was asked before tells that it was not carried out, unless its details
    say `forgotten`.
    """

    def make(value: Value | None) -> bytes:
        found = 0 if value is None else value.version
        if version is None or version == found:
            return body
        sentence = f"the register is at version {found}, and the change was made for {version}"
        forgotten = found - version > limits.REGISTER_REQUESTS
        if forgotten:
            sentence += "; whether this very request made one of the versions between is not remembered"
        raise WireError(CONFLICT, sentence, details={"version": found, "forgotten": forgotten})

    return make
