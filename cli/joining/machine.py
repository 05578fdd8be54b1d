"""How a machine becomes a node with nothing but a join token.

Everything is built in a directory beside the one that is wanted (see `staging`). What may fail on this
machine is tried before the cluster is asked, because asking uses the token up. The private key is made here
and stays here. A use of a token belongs to a key: from when the cluster is asked until it has refused, the
keys are kept, whatever happens, and the same command again goes on with them.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio
from folkmoot.cli.config_option import CONFIG_NAME
from folkmoot.cli.errors import OperatorError, Unreachable, Usage
from folkmoot.cli.joining.authority import WrongAuthority, fetch_authority
from folkmoot.cli.joining.new_node import check_document, host_name, new_document, write_policy
from folkmoot.cli.joining.staging import Stage, put_in_place, staged
from folkmoot.cli.output import utc_text
from folkmoot.cli.preflight import bind_trial, check_surroundings
from folkmoot.cli.toml_text import render
from folkmoot.node.configuration.reading import load
from folkmoot.node.configuration.values import read_address
from folkmoot.node.data_directory import (
    DataDirectory,
    sync_directory,
    write_gossip_ring,
    write_key,
    write_new,
    write_private,
)
from folkmoot.node.joining.certificate_requests import make_key, request_for
from folkmoot.protocol import client as clients
from folkmoot.protocol import codec
from folkmoot.protocol.client.dialing import Endpoint
from folkmoot.protocol.errors import INTERNAL, FolkmootError, WireError
from folkmoot.protocol.identity import SEED_BYTES, account_to_text
from folkmoot.protocol.join_token import AddressText, JoinToken
from folkmoot.protocol.messages import Account
from folkmoot.protocol.ring.roster import CAPACITY_STEPS, NodeIdBytes, Slug
from msgspec import Struct

PATIENCE_S: Final = 45.0
CREATE: Final = "folkmoot join-token create"


class TokenUsed(OperatorError):
    """The token has let in as many as it was made for."""


class TokenExpired(OperatorError):
    """The token's time is over."""


class TokenRevoked(OperatorError):
    """An operator took the token back."""


class TokenUnknown(OperatorError):
    """The cluster knows no such token."""


class NoAuthority(OperatorError):
    """The node that was asked cannot sign certificates."""


class NameTaken(OperatorError):
    """Another node has this name."""


class JoinBroken(OperatorError):
    """The cluster has let this machine in, and it could not be made a node all the same."""


_REFUSALS: Final = {
    "used": TokenUsed,
    "expired": TokenExpired,
    "revoked": TokenRevoked,
    "unknown": TokenUnknown,
    "no_authority": NoAuthority,
}


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What the person at the new machine says of it; what is None is left to the token, or to custom.

    Args:
        directory: the data directory.
        name, region: of the node.
        clients, peers: where it listens, `host:port`.
        advertise: the host that others are to dial.
    """

    directory: Path
    name: str | None = None
    region: str | None = None
    clients: str | None = None
    peers: str | None = None
    advertise: str | None = None


class Admitted(Struct):
    """The result of `join.admit`."""

    node: NodeIdBytes
    name: Slug
    region: Slug
    capacity: int
    certificate: bytes
    authority: bytes
    gossip: list[bytes]
    profile: str
    seeds: list[AddressText]
    operators: list[Account]


def read_token(text: str) -> JoinToken:
    """The token in a text, if by this machine's clock it has not expired.

    Raises:
        JoinTokenError: it is none.
        TokenExpired: it has expired.
    """
    token = JoinToken.decode(text)
    if (now_ms := time.time_ns() // 1_000_000) >= token.expires_ms:
        raise TokenExpired(
            f"this join token of cluster {token.cluster} expired at {utc_text(token.expires_ms * 1000)}; by "
            f"this machine's clock it is {utc_text(now_ms * 1000)}",
            hint=f"{CREATE}, on a machine of the cluster; or set this clock, if it is wrong",
        )
    return token


def join(token: JoinToken, newcomer: Newcomer) -> dict[str, Any]:
    """Make the data directory of a node that a token lets in.

    Returns:
        `{config, data, cluster, id, name, region, capacity, seeds}`.

    Raises:
        FolkmootError: it cannot be. Nothing is left of it on this machine, but for the keys when the cluster
            was asked and has not refused.
    """
    document = _document(token, newcomer)
    with staged(newcomer.directory, token.id.hex()) as stage:
        data = DataDirectory(stage.path)
        service, request = _keys(data)
        asked = {
            "id": token.id,
            "secret": token.secret,
            "request": request,
            "name": document["node"]["name"],
            "region": document["node"]["region"],
            "service": service,
        }
        admitted = trio.run(_ask, token, asked, stage)
        with _token_spent():
            _fill(data, document, admitted)
            put_in_place(stage.path, newcomer.directory)
    return {
        "config": str(newcomer.directory / CONFIG_NAME),
        "data": str(newcomer.directory),
        "cluster": token.cluster,
        "id": admitted.node.hex(),
        "name": admitted.name,
        "region": admitted.region,
        "capacity": admitted.capacity / CAPACITY_STEPS,
        "seeds": admitted.seeds,
    }


def _keys(data: DataDirectory) -> tuple[bytes, bytes]:
    """The keys of the node, of an earlier attempt or made now; nothing else of an earlier one is left.

    Returns:
        The service account, and the request for a certificate.
    """
    key_file = data.path / "tls" / "node.key"
    for left in data.path.rglob("*"):
        if left.is_file() and left not in (data.service_key_file, key_file):
            left.unlink()
    for file in (data.service_key_file, key_file):
        file.parent.mkdir(mode=0o700, exist_ok=True)
    if not data.service_key_file.exists():
        write_key(data.service_key_file, random.SystemRandom().randbytes(SEED_BYTES))
    if not key_file.exists():
        write_private(key_file, make_key().decode())
    sync_directory(data.path)
    sync_directory(data.path.parent)
    return data.service_key().account, request_for(key_file.read_bytes())


def _document(token: JoinToken, newcomer: Newcomer) -> dict[str, dict[str, Any]]:
    """The configuration, as far as it is known before the cluster was asked.

    Raises:
        Usage: it is not as the token wants it.
        OperatorError: this machine cannot listen so.
    """
    for what, wanted, given in (
        ("name", token.name, newcomer.name),
        ("region", token.region, newcomer.region),
    ):
        if wanted is not None and given not in (None, wanted):
            raise Usage(f"this join token is for the {what} {wanted}, not {given}", hint=CREATE)
    region = token.region or newcomer.region
    if region is None:
        raise Usage("this join token names no region: say where the node stands with --region")
    host = None if newcomer.clients and newcomer.peers else _own_host(token)
    document = new_document(
        token.cluster,
        token.name or newcomer.name or host_name(),
        region,
        (),
        newcomer.clients or f"{host}:0",
        newcomer.peers or f"{host}:0",
        "mutual",
    )
    if newcomer.advertise is not None:
        document["listen"]["advertise"] = newcomer.advertise
    check_document(document)
    for name in ("clients", "peers"):
        address = read_address(document["listen"][name])
        try:
            bind_trial(address, socket.SOCK_STREAM)
        except OSError as error:
            raise OperatorError(
                f"cannot listen on {address}: {error.strerror}", hint=f"another --{name} HOST:PORT"
            ) from error
    return document


def _own_host(token: JoinToken) -> str:
    """This machine's address on the way to the cluster, as a host in `host:port`."""
    for address in token.addresses:
        endpoint = Endpoint.parse(address)
        with contextlib.suppress(OSError):
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(found[0], socket.SOCK_DGRAM) as probe:
                probe.connect(found[4])  # sends nothing: it asks the kernel for the way
                host: str = probe.getsockname()[0]
                return f"[{host}]" if ":" in host else host
    raise Unreachable(
        f"this machine has no way to {', '.join(token.addresses)}",
        hint=f"see to its network; or {CREATE} --address HOST:PORT, as the cluster is reached from here",
    )


async def _ask(token: JoinToken, asked: dict[str, Any], stage: Stage) -> Admitted:
    """Ask the cluster to let this machine in, once it is sure that it is the cluster.

    Args:
        stage: where its CA's certificate goes; kept unless the cluster refuses.
    """
    ca = stage.path / "tls" / "ca.crt"
    write_new(ca, ssl.DER_cert_to_PEM_cert(await fetch_authority(token)).encode(), 0o644)
    settings = clients.ClientSettings(deadline_s=PATIENCE_S, name="folkmoot-cli/1")
    try:
        async with clients.connect(token.addresses, ca=ca, settings=settings) as client:
            cluster = (await client.ready()).cluster
            if cluster != token.cluster:
                raise WrongAuthority(
                    f"the node is of cluster {cluster}, and the token of {token.cluster}", hint=CREATE
                )
            with _kept_unless_refused(stage):
                answer = await client.call("join.admit", asked)
    except clients.UntrustedNode as error:
        raise WrongAuthority(
            f"{error}; the join token's certificate authority does not vouch for it",
            hint="folkmoot cert show, on that node's tls/node.crt",
        ) from error
    except (clients.Unreachable, clients.LinkBroken) as error:
        raise Unreachable(
            str(error), hint="the same command again, which goes on with the same keys"
        ) from error
    except WireError as error:
        raise _refusal(error) from error
    return codec.shaped(answer, Admitted, "the result of join.admit")


@contextmanager
def _kept_unless_refused(stage: Stage) -> Iterator[None]:
    """Keep what is staged while the cluster is asked, and after, but for keys that it has refused."""
    before, stage.keep = stage.keep, True
    try:
        yield
    except WireError as error:
        if isinstance(_refusal(error), TokenUsed | TokenExpired | TokenRevoked | TokenUnknown | NameTaken):
            stage.keep = False
        elif not error.kind.retryable and error.kind is not INTERNAL:
            stage.keep = before
        raise


def _refusal(error: WireError) -> Exception:
    """What a node's refusal means for whoever holds the token."""
    details = error.details or {}
    kind = _REFUSALS.get(str(details.get("token")))
    if kind is NoAuthority:
        return NoAuthority(error.message, hint=f"{CREATE} --node HOST:PORT, at a node that has the key")
    if kind is not None:
        return kind(error.message, hint=f"{CREATE}, on a machine of the cluster")
    if "name" in details:
        return NameTaken(error.message, hint="--name NAME")
    return error


@contextmanager
def _token_spent() -> Iterator[None]:
    """What fails from here on fails after the cluster has let this machine in, and is said to be so."""
    try:
        yield
    except (FolkmootError, OSError) as error:
        raise JoinBroken(
            f"the cluster has let this machine in, but then: {error}",
            hint="mend that, then the same command again, which goes on with the same keys",
        ) from error


def _fill(data: DataDirectory, document: dict[str, dict[str, Any]], admitted: Admitted) -> None:
    """Write what the cluster gave, and check that a node can start with it.

    Raises:
        OperatorError: an earlier attempt with these keys was let in under another name or region.
    """
    for what, given in (("name", admitted.name), ("region", admitted.region)):
        if document["node"][what] != given:
            raise OperatorError(
                f"with this token it was let in with the {what} {given}, and not {document['node'][what]}: "
                f"say --{what} {given}"
            )
    write_new(data.path / "tls" / "node.crt", admitted.certificate, 0o644)
    write_gossip_ring(data.gossip_ring_file, tuple(admitted.gossip))
    whole = {
        "node": {**document["node"], "capacity": admitted.capacity / CAPACITY_STEPS},
        "cluster": {**document["cluster"], "seeds": admitted.seeds},
        "listen": document["listen"],
        "tls": document["tls"],
        "gate": document["gate"],
        "gossip": {"profile": admitted.profile},
        "operators": {"accounts": [account_to_text(account) for account in admitted.operators]},
    }
    write_policy(data.path)
    write_private(data.path / CONFIG_NAME, render(whole))
    # The id comes last, as `folkmoot init` has it: with it the directory holds a whole node.
    write_private(data.id_file, admitted.node.hex() + "\n")
    check_surroundings(load(data.path / CONFIG_NAME))
