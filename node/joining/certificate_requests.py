"""Requests for certificates (PKCS #10, RFC 2986), by which a key gets one and never leaves its machine.

A request proves that whoever made it has the private key, and says nothing else that is believed: the names
in a certificate are the cluster's to give.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from folkmoot.node.certificates import CertificateError, key_pem


def make_key() -> bytes:
    """A new key for a node, as its file has it (PEM)."""
    return key_pem(ec.generate_private_key(ec.SECP256R1()))


def request_for(key: bytes) -> bytes:
    """The request (DER) for the certificate of a key (PEM).

    Raises:
        CertificateError: it is no such key.
    """
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"this is no private key: {error}") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise CertificateError("the key of a node is on the curve P-256, and this one is not")
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(private, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.DER)


def read_request(der: bytes) -> ec.EllipticCurvePublicKey:
    """The key in a request.

    Raises:
        CertificateError: it is none, or not one for the key it names.
    """
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        valid = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CertificateError(f"this is no request for a certificate: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError("the key of a node is on the curve P-256, and this one is not")
    if not valid:
        raise CertificateError("the request is not signed with the key it is for")
    return key


def hash_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """By what a key is known: the SHA-256 of its public half."""
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(encoding, form)).digest()
