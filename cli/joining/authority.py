"""A cluster's CA as it is told over the network, believed for its hash and for nothing else."""

from __future__ import annotations

import time
from typing import Any, Final

import trio
from folkmoot.cli.errors import OperatorError, Unreachable
from folkmoot.protocol import codec
from folkmoot.protocol.client.dialing import Dialler, Endpoint
from folkmoot.protocol.client.errors import ClientError
from folkmoot.protocol.client.link_terms import LinkBroken
from folkmoot.protocol.client.session import open_session
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.join_token import JoinToken, authority_of
from msgspec import Struct

SKEW_MS: Final = 5 * 60 * 1000  # as far as the stamp of a post may be ahead
PATIENCE_S: Final = 15.0


class WrongAuthority(OperatorError):
    """Who answered has another CA than the token's."""


class ClockSkewed(OperatorError):
    """This machine's clock is too far from the cluster's."""


class _Told(Struct):
    """The result of `join.authority`."""

    certificate: bytes


async def fetch_authority(token: JoinToken) -> bytes:
    """The certificate (DER) of the CA that a token names.

    Nothing is told that is secret, and nothing is believed: a certificate is the right one if its hash is,
    whoever sends it.

    Raises:
        WrongAuthority: who answered has another one.
        ClockSkewed: its clock and this machine's are more than 5 minutes apart.
        Unreachable: nobody answered at any address.
        FolkmootError: who answered does not tell.
    """
    reasons: list[FolkmootError] = []
    for address in token.addresses:
        try:
            with trio.fail_after(PATIENCE_S):
                return await _fetch(address, token)
        except trio.TooSlowError:
            reasons.append(Unreachable(f"{address}: no answer within {PATIENCE_S:g} s"))
        except (ClientError, OperatorError, LinkBroken, WireError) as error:
            reasons.append(error)
    for reason in reasons:
        if not isinstance(reason, ClientError | Unreachable | LinkBroken):
            raise reason
    raise Unreachable(
        f"no node of the token answered: {'; '.join(map(str, reasons))}",
        hint="see that a firewall lets this machine through to them, or folkmoot join-token create --address "
        "HOST:PORT, the clients' port as it is reached from here",
    )


async def _fetch(address: str, token: JoinToken) -> bytes:
    told: Any = None
    failure: FolkmootError | None = None
    async with trio.open_nursery() as nursery:
        try:
            endpoint = Endpoint.parse(address)
            session = await open_session(
                nursery, Dialler(None, unproven=True), endpoint, client="folkmoot-cli/1"
            )
            node_ms = session.welcome.time_ms
            told = await session.link.call("join.authority", {})
        except FolkmootError as error:
            failure = error  # raised below as itself: a nursery would wrap it in a group
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    certificate = codec.shaped(told, _Told, "the result of join.authority").certificate
    if authority_of(certificate) != token.authority:
        raise WrongAuthority(
            f"{address} has another certificate authority than the join token names: it is a node of another "
            "cluster, or somebody in between; nothing was told to it",
            hint="compare the address with the cluster's (folkmoot node ls), and make a new token there",
        )
    check_clock(node_ms, address)
    return certificate


def check_clock(node_ms: int, address: str) -> None:
    """Refuse to go on with a clock by which certificates would not hold.

    Args:
        node_ms: a node's clock, in milliseconds since 1970.
        address: that node's.

    Raises:
        ClockSkewed: this machine's is more than 5 minutes from it.
    """
    off_ms = time.time_ns() // 1_000_000 - node_ms
    if abs(off_ms) > SKEW_MS:
        way = "ahead of" if off_ms > 0 else "behind"
        raise ClockSkewed(
            f"this machine's clock is {abs(off_ms) / 1000:,.0f} s {way} that of {address}, and certificates "
            "and posts depend on it",
            hint="set the clock (a time service: timedatectl set-ntp true), then the same command again",
        )
