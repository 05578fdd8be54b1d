"""Datagrams that only members can read and write, and only once.

    datagram = nonce (24) ‖ XChaCha20-Poly1305(sender (16) ‖ boot (6) ‖ counter (5) ‖ payload)

The associated data binds a datagram to one cluster and one version. The nonce is random and 192 bits long,
so that nodes sharing a key never need to agree on nonces. A receiver opens with any key of its ring and seals
with the first: to rotate, add the new key everywhere, move it to the front everywhere, drop the old one.

Counters rise within a boot, and boots rise, so a repeat is recognised by a sliding window over the counters
of the sender's latest boot; anything from an earlier boot is a repeat by definition.

Source: draft-irtf-cfrg-xchacha-03; the window is that of RFC 4303, section 3.4.3.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

import nacl.bindings
import nacl.exceptions
from folkmoot.protocol.errors import BAD_REQUEST, BAD_SIGNATURE, CONFLICT, WireError
from folkmoot.protocol.limits import GOSSIP_DATAGRAM_BYTES, GOSSIP_MEMBERS, NODE_ID_BYTES

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16
_BOOT_BYTES: Final = 6
_COUNTER_BYTES: Final = 5
_HEADER_BYTES: Final = NODE_ID_BYTES + _BOOT_BYTES + _COUNTER_BYTES
OVERHEAD_BYTES: Final = NONCE_BYTES + TAG_BYTES + _HEADER_BYTES
PAYLOAD_BYTES: Final = GOSSIP_DATAGRAM_BYTES - OVERHEAD_BYTES
BOOT_MAX: Final = 2 ** (8 * _BOOT_BYTES) - 1
WINDOW_COUNTERS: Final = 1024


class KeyRing:
    """The keys of a cluster's gossip, the one that seals first.

    Args:
        keys: 32 bytes each, at least one.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.replace(keys)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key that opens; the first one seals."""
        return self._keys

    def replace(self, keys: Sequence[bytes]) -> None:
        """Take a new set of keys into use, the first one to seal with.

        Raises:
            ValueError: no key, or one of the wrong length.
        """
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a gossip key ring holds one or more keys of {KEY_BYTES} bytes")
        self._keys = tuple(keys)


def associated_data(cluster: str) -> bytes:
    """What binds a datagram to one cluster and one version of this format."""
    return b"folkmoot-gossip-v1\x00" + cluster.encode()


class Sealer:
    """Seals what one boot of one node sends.

    Args:
        ring: the cluster's keys; rotation takes effect with the next datagram.
        cluster: the cluster's id.
        sender: this node's id.
        boot: this boot's number, greater than that of every earlier one.
    """

    def __init__(self, ring: KeyRing, cluster: str, sender: bytes, boot: int) -> None:
        self._ring = ring
        self._associated = associated_data(cluster)
        self._prefix = sender + boot.to_bytes(_BOOT_BYTES, "big")
        self._counter = 0

    def seal(self, payload: bytes, nonce: bytes) -> bytes:
        """One datagram.

        Args:
            payload: at most `PAYLOAD_BYTES`.
            nonce: 24 bytes, drawn at random for this datagram alone.
        """
        assert len(payload) <= PAYLOAD_BYTES and len(nonce) == NONCE_BYTES
        self._counter += 1
        plain = self._prefix + self._counter.to_bytes(_COUNTER_BYTES, "big") + payload
        sealed = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plain, self._associated, nonce, self._ring.keys[0]
        )
        return nonce + sealed


class Opened(NamedTuple):
    """What a datagram held, and who sent it."""

    sender: bytes
    boot: int
    counter: int
    payload: bytes


class Opener:
    """Opens what members send, each datagram once.

    Args:
        ring: the cluster's keys.
        cluster: the cluster's id.
    """

    def __init__(self, ring: KeyRing, cluster: str) -> None:
        self._ring = ring
        self._associated = associated_data(cluster)
        self._windows: OrderedDict[bytes, _Window] = OrderedDict()

    def open(self, datagram: bytes) -> Opened:
        """What `datagram` holds.

        Raises:
            WireError: `bad_request` when it cannot be one, `bad_signature` when no key of the ring opens it,
                `conflict` when it is a repeat.
        """
        if not OVERHEAD_BYTES <= len(datagram) <= GOSSIP_DATAGRAM_BYTES:
            raise WireError(BAD_REQUEST, f"a gossip datagram does not have {len(datagram)} bytes")
        opened = self._unseal(datagram[:NONCE_BYTES], datagram[NONCE_BYTES:])
        window = self._windows.setdefault(opened.sender, _Window())
        self._windows.move_to_end(opened.sender)
        if len(self._windows) > GOSSIP_MEMBERS:
            self._windows.popitem(last=False)
        if not window.accept(opened.boot, opened.counter):
            raise WireError(CONFLICT, f"a repeat of datagram {opened.counter} of {opened.sender.hex()}")
        return opened

    def _unseal(self, nonce: bytes, sealed: bytes) -> Opened:
        for key in self._ring.keys:
            try:
                plain = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                    sealed, self._associated, nonce, key
                )
            except nacl.exceptions.CryptoError:
                continue
            boot_end = NODE_ID_BYTES + _BOOT_BYTES
            return Opened(
                plain[:NODE_ID_BYTES],
                int.from_bytes(plain[NODE_ID_BYTES:boot_end], "big"),
                int.from_bytes(plain[boot_end:_HEADER_BYTES], "big"),
                plain[_HEADER_BYTES:],
            )
        raise WireError(BAD_SIGNATURE, "a datagram that no key of this cluster's gossip ring opens")


class _Window:
    """Which counters of one sender's latest boot were seen, as a bit set below the greatest."""

    __slots__ = ("_boot", "_greatest", "_seen")

    def __init__(self) -> None:
        self._boot = -1
        self._greatest = 0
        self._seen = 0

    def accept(self, boot: int, counter: int) -> bool:
        if boot < self._boot:
            return False
        if boot > self._boot:
            self._boot, self._greatest, self._seen = boot, 0, 0
        if counter > self._greatest:
            advanced = counter - self._greatest
            # A leap beyond the window forgets it whole; shifting by the leap could build a gigantic number.
            self._seen = (self._seen << advanced) & _WINDOW_MASK if advanced < WINDOW_COUNTERS else 0
            self._seen |= 1
            self._greatest = counter
            return True
        age = self._greatest - counter
        if age >= WINDOW_COUNTERS or self._seen >> age & 1:
            return False
        self._seen |= 1 << age
        return True


_WINDOW_MASK: Final = (1 << WINDOW_COUNTERS) - 1
