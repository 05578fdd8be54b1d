"""Join tokens: all that a machine has to be told to become a node, as one word to copy.

    fmj1_ base64url( body ‖ first 4 bytes of SHA-256("folkmoot-join-v1" 0x00 body) )        without padding

The body is canonical MessagePack of a `JoinToken`. The checksum tells a token that was mistyped or cut off
from one that the cluster does not want, before anybody is asked; it protects nothing. What does are the
secret, which the cluster keeps a hash of, and the authority: the hash of the CA's certificate, by which the
newcomer knows the cluster. Line breaks and blanks, as terminals and mails put in, are no part of a token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Annotated, Any, Final

import msgspec
from folkmoot.protocol import codec, limits
from folkmoot.protocol.errors import FolkmootError, WireError
from folkmoot.protocol.ring.roster import Slug
from msgspec import Meta, Struct

PREFIX: Final = "fmj1_"
CHECKSUM_BYTES: Final = 4
_CONTEXT: Final = b"folkmoot-join-v1\0"
_VERSION: Final = re.compile(r"fmj(\d{1,9})_")
_LETTERS: Final = re.compile(r"[A-Za-z0-9_-]+")

GrantId = Annotated[bytes, Meta(min_length=limits.GRANT_ID_BYTES, max_length=limits.GRANT_ID_BYTES)]
Secret = Annotated[bytes, Meta(min_length=limits.JOIN_SECRET_BYTES, max_length=limits.JOIN_SECRET_BYTES)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
AddressText = Annotated[str, Meta(min_length=3, max_length=limits.JOIN_ADDRESS_CHARACTERS)]
Addresses = Annotated[list[AddressText], Meta(min_length=1, max_length=limits.JOIN_ADDRESSES)]


class JoinTokenError(FolkmootError):
    """A text is no join token, or not all of one."""


class JoinToken(Struct, frozen=True, omit_defaults=True):
    """What a join token says.

    Args:
        cluster: the cluster's id.
        addresses: `host:port` of clients' ports of nodes that can let others in.
        authority: SHA-256 of the cluster's CA certificate, in DER.
        id: the grant's, which the cluster knows it by.
        secret: proves that whoever comes was given this token.
        expires_ms: when it does, by the cluster's clocks, in milliseconds since 1970.
        name, region: how the newcomer has to be called, and where it has to stand; None for its choice.
    """

    cluster: Slug
    addresses: Addresses
    authority: Digest
    id: GrantId
    secret: Secret
    expires_ms: Annotated[int, Meta(ge=0, le=limits.STAMP_MAX)]
    name: Slug | None = None
    region: Slug | None = None

    def __repr__(self) -> str:
        """Without the secret: it is in no log."""
        return f"JoinToken({self.id.hex()} of {self.cluster})"

    def encode(self) -> str:
        """The token as a word.

        Raises:
            JoinTokenError: with so many long addresses it would be too long.
        """
        plain: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(bytes,))
        body = codec.encode_canonical(plain)
        text = PREFIX + base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")
        if len(text) > limits.JOIN_TOKEN_CHARACTERS:
            raise JoinTokenError("a token with these addresses would be too long; name fewer of them")
        return text

    @classmethod
    def decode(cls, text: str) -> JoinToken:
        """Read a token.

        Raises:
            JoinTokenError: it is none, of a later version, or not whole.
        """
        if len(text) > 2 * limits.JOIN_TOKEN_CHARACTERS:
            raise JoinTokenError("this is far too long for a join token")
        word = "".join(text.split())
        version = _VERSION.match(word)
        if version is None:
            raise JoinTokenError(f"this is no join token: those begin with {PREFIX}")
        if not word.startswith(PREFIX):
            raise JoinTokenError(
                f"this join token is of version {version[1]}, and this program reads version 1: use the "
                "program's version that the cluster has"
            )
        body = _checked(word.removeprefix(PREFIX))
        try:
            return codec.shaped(codec.decode_canonical(body), cls, "a join token")
        except WireError as error:
            raise JoinTokenError(f"this join token says what none may say: {error.message}") from error


def digest_of(secret: bytes) -> bytes:
    """What the cluster keeps of a secret. Those are drawn and long, so a plain hash cannot be searched."""
    return hashlib.sha256(secret).digest()


def authority_of(certificate: bytes) -> bytes:
    """By what a CA is known: the SHA-256 of its certificate (DER)."""
    return hashlib.sha256(certificate).digest()


def _checked(letters: str) -> bytes:
    """The body, if the checksum behind it fits.

    Raises:
        JoinTokenError: it does not.
    """
    data = b""
    if _LETTERS.fullmatch(letters):
        try:
            data = base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
        except binascii.Error:
            data = b""
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    # Spelled out again, because the last letter may have bits that stand for nothing.
    spelled = base64.urlsafe_b64encode(data).decode().rstrip("=")
    if not body or checksum != _checksum(body) or spelled != letters:
        raise JoinTokenError(
            "this join token is mistyped or cut off: its checksum does not fit; copy it whole"
        )
    return body


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(_CONTEXT + body).digest()[:CHECKSUM_BYTES]
