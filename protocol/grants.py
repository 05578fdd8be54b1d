"""Grants: what the cluster keeps of its join tokens, and whom they let in.

All of them are the value of one register, so that whether a token was used already is decided once, and not
by whichever node is asked. A grant knows the hash of its token's secret, how often that may be used, and by
whom it was. Whoever comes with it is *admitted*, known by the hash of the key it wants a certificate for:
asking again with the same key is no second use. A node that is admitted and runs may become a member, once.

    good ──last use──▶ used        good ──its time──▶ expired        any ──operator──▶ revoked

Grants leave the register when they have expired; one that admitted a node which has not become a member yet,
a day later.

Pure functions from the grants as they are to those one change later. `now_ms` is in milliseconds since 1970.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Literal

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import CONFLICT, FORBIDDEN, NOT_FOUND, WireError
from folkmoot.protocol.join_token import Digest, GrantId, digest_of
from folkmoot.protocol.messages import Account
from folkmoot.protocol.ring.roster import CAPACITY_STEPS, NodeIdBytes, RosterNode, Slug
from msgspec import Meta, Struct

State = Literal["good", "used", "expired", "revoked"]


class Admission(Struct, frozen=True, omit_defaults=True):
    """One node that came with a token.

    Args:
        node: the id it was given (16 bytes).
        key: SHA-256 of the public key it wanted a certificate for.
        name, region, service: as it will stand on the roster.
        waits: whether it may still become a member.
    """

    node: NodeIdBytes
    key: Digest
    name: Slug
    region: Slug
    service: Account
    waits: bool = True


class Grant(Struct, frozen=True, omit_defaults=True):
    """What is kept of one join token.

    Args:
        id: drawn.
        digest: SHA-256 of the secret.
        uses: how many nodes it lets in.
        expires_ms: when it ends.
        capacity: of each of those nodes, in thousandths.
        name, region: which these have to have; None for any.
        revoked: whether an operator took it back.
        admitted: whom it has let in.
    """

    id: GrantId
    digest: Digest
    uses: Annotated[int, Meta(ge=1, le=limits.JOIN_USES)]
    expires_ms: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    capacity: Annotated[int, Meta(ge=1, le=limits.CAPACITY_MAX * CAPACITY_STEPS)]
    name: Slug | None = None
    region: Slug | None = None
    revoked: bool = False
    admitted: Annotated[list[Admission], Meta(max_length=limits.JOIN_USES)] = []

    def state(self, now_ms: int) -> State:
        """What it is worth."""
        if self.revoked:
            return "revoked"
        if now_ms >= self.expires_ms:
            return "expired"
        return "used" if len(self.admitted) >= self.uses else "good"

    def is_kept(self, now_ms: int) -> bool:
        """Whether it still matters to anybody."""
        waits = not self.revoked and any(each.waits for each in self.admitted)
        return now_ms < self.expires_ms + (limits.JOIN_WAIT_MS if waits else 0)


Grants = tuple[Grant, ...]


def read_grants(body: bytes | None) -> Grants:
    """The grants in a register's value; none when it holds nothing yet.

    Raises:
        WireError: `bad_request`, when that is something else.
    """
    shape = Annotated[list[Grant], Meta(max_length=limits.JOIN_GRANTS)]
    return () if body is None else tuple(codec.shaped(codec.unpack(body), shape, "the join grants"))


def write_grants(grants: Grants) -> bytes:
    """The value of the register.

    Raises:
        WireError: `conflict`, when there is no room for so many.
    """
    body = codec.pack(msgspec.to_builtins(grants, builtin_types=(bytes,)))
    if len(body) > limits.REGISTER_BYTES or len(grants) > limits.JOIN_GRANTS:
        raise WireError(
            CONFLICT,
            f"there are {len(grants)} join tokens, and no room for more: wait for some to expire "
            "(folkmoot join-token ls), or make one with more uses",
        )
    return body


def created(grants: Grants, grant: Grant, now_ms: int) -> Grants:
    """With another one, and without those that are over."""
    return (*(each for each in grants if each.is_kept(now_ms)), grant)


def revoked(grants: Grants, grant_id: bytes, now_ms: int) -> Grants:
    """With one of them taken back: nobody else comes with it, and whom it admitted does not become a member.

    Raises:
        WireError: `not_found`.
    """
    if not any(each.id == grant_id for each in grants):
        raise WireError(NOT_FOUND, "there is no such join token, or it has expired (folkmoot join-token ls)")
    return tuple(
        msgspec.structs.replace(each, revoked=True) if each.id == grant_id else each
        for each in grants
        if each.id == grant_id or each.is_kept(now_ms)
    )


def found(grants: Grants, grant_id: bytes, secret: bytes) -> Grant:
    """The grant of a token.

    Raises:
        WireError: `forbidden`: there is none, or that is not its secret; which, is not told.
    """
    wanted = digest_of(secret)
    for each in grants:
        if each.id == grant_id and hmac.compare_digest(each.digest, wanted):
            return each
    raise _refused("unknown", "this cluster knows no such join token; it may have expired")


def admitted(
    grants: Grants, grant_id: bytes, secret: bytes, newcomer: Admission, names: Collection[str], now_ms: int
) -> Grants:
    """With a newcomer let in by a token; the same when it was already, and asks again.

    A name that waits under another token goes over to the newcomer: whoever had it has not become a member,
    and mostly is an attempt that failed.

    Args:
        names: of the roster's nodes.

    Raises:
        WireError: `forbidden`, with `details.token` saying why; `conflict`, when the token is for another
            name or region, or the name is taken.
    """
    grant = found(grants, grant_id, secret)
    state = grant.state(now_ms)
    if state != "revoked" and any(each.key == newcomer.key for each in grant.admitted):
        return grants
    if state != "good":
        raise _refused(state, _SENTENCES[state])
    for what, wanted, given in (
        ("name", grant.name, newcomer.name),
        ("region", grant.region, newcomer.region),
    ):
        if wanted is not None and wanted != given:
            raise WireError(CONFLICT, f"this join token is for the {what} {wanted}, not {given}")
    if newcomer.name in names:
        raise _taken(newcomer, "belongs to another node of the cluster: choose one with --name")
    if any(each.name == newcomer.name for each in grant.admitted):
        raise _taken(
            newcomer,
            "was given to a node that this token let in and that is no member yet: if its data directory is "
            "lost, another token frees the name (folkmoot join-token create); or choose one with --name",
        )
    return tuple(
        msgspec.structs.replace(each, admitted=[*each.admitted, newcomer])
        if each is grant
        else _without_waiting(each, lambda admission: admission.name == newcomer.name)
        for each in grants
        if each is grant or each.is_kept(now_ms)
    )


def _taken(newcomer: Admission, why: str) -> WireError:
    return WireError(CONFLICT, f"the name {newcomer.name} {why}", details={"name": newcomer.name})


def admission_of(grants: Grants, key: bytes) -> tuple[Grant, Admission] | None:
    """Who was admitted with a key (its hash), and by which grant."""
    return next(((grant, each) for grant, each in _all(grants) if each.key == key), None)


def waiting(grants: Grants, node_id: bytes, now_ms: int) -> RosterNode | None:
    """A node that was admitted and is no member yet, as it is to stand on the roster; None for others."""
    for grant, each in _all(grants):
        if each.node == node_id and each.waits and not grant.revoked and grant.is_kept(now_ms):
            return RosterNode(
                each.node, each.name, each.region, grant.capacity / CAPACITY_STEPS, each.service
            )
    return None


def become(grants: Grants, node_id: bytes, now_ms: int) -> Grants:
    """With it noted that a node has become a member."""
    return tuple(
        _without_waiting(each, lambda admission: admission.node == node_id)
        for each in grants
        if each.is_kept(now_ms)
    )


def _without_waiting(grant: Grant, matches: Callable[[Admission], bool]) -> Grant:
    """Admissions that match have nothing to wait for any more; they stay, as uses of the token."""
    admitted = [
        msgspec.structs.replace(each, waits=False) if matches(each) else each for each in grant.admitted
    ]
    return grant if admitted == grant.admitted else msgspec.structs.replace(grant, admitted=admitted)


def _all(grants: Grants) -> Iterator[tuple[Grant, Admission]]:
    return ((grant, each) for grant in grants for each in grant.admitted)


_SENTENCES = {
    "used": "this join token was used already: each lets in as many nodes as it was made for",
    "expired": "this join token has expired by the cluster's clock",
    "revoked": "this join token was revoked",
}


def _refused(state: str, sentence: str) -> WireError:
    return WireError(
        FORBIDDEN,
        f"{sentence}; an operator makes another one (folkmoot join-token create)",
        details={"token": state},
    )
