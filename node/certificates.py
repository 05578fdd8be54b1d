"""The cluster's own certificate authority, and the certificates by which its nodes know each other.

A cluster trusts exactly one CA and that CA signs nothing but nodes. A node's certificate says two names:
the DNS name `node.folkmoot`, which clients verify whatever address they dialled, and the URI
`folkmoot:<cluster>/<node id>`, which says who this is. The CA carries `folkmoot:<cluster>/` itself, so that
it cannot be used for another cluster by mistake. Keys are P-256: every TLS 1.3 stack has it (RFC 8446,
section 9.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from folkmoot.node.data_directory import write_new
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.node_name import NODE_DNS_NAME, NodeName

CA_CERTIFICATE: Final = "ca.crt"
CA_KEY: Final = "ca.key"
NODE_CERTIFICATE: Final = "node.crt"
NODE_KEY: Final = "node.key"
CA_DAYS: Final = 3650
NODE_DAYS: Final = 825
BACKDATE: Final = timedelta(hours=1)  # the clocks of a cluster being set up may differ

_CLUSTER: Final = re.compile(r"[a-z0-9-]{1,63}")
_NODE_ID: Final = re.compile(r"[0-9a-f]{32}")


class CertificateError(FolkmootError):
    """A certificate cannot be made or read; the sentence says which file and what to do."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate file says.

    Args:
        name: its cluster and node; None when it is not one of ours.
        is_ca: whether it may sign others.
        not_before: when it begins to be valid.
        not_after: when it stops.
        fingerprint: SHA-256 of the certificate, hexadecimal.
    """

    name: NodeName | None
    is_ca: bool
    not_before: datetime
    not_after: datetime
    fingerprint: str


def create_ca(directory: Path, cluster: str, *, days: int = CA_DAYS, now: datetime | None = None) -> Path:
    """Make a cluster's CA: `ca.crt` to hand out, `ca.key` to keep offline.

    Args:
        directory: made if absent, mode 0700.
        cluster: the cluster's id.
        days: how long it is valid.
        now: the time; the machine's if not given.

    Returns:
        The path of `ca.crt`.

    Raises:
        CertificateError: the name is not one, or a file exists.
    """
    if not _CLUSTER.fullmatch(cluster):
        raise CertificateError(f"{cluster!r} is no cluster id: 1 to 63 of a-z, 0-9 and -")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"folkmoot {cluster[:40]} CA")])
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(subject, subject, key.public_key(), key.public_key(), _validity(now, days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_names(NodeName(cluster, None)), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(directory, (CA_KEY, key_pem(key)), (CA_CERTIFICATE, _pem(certificate)))
    return directory / CA_CERTIFICATE


def create_node(
    ca: Path,
    directory: Path,
    cluster: str | None,
    node_id: str,
    *,
    days: int = NODE_DAYS,
    now: datetime | None = None,
) -> Path:
    """Make a node's certificate, `node.crt` and `node.key`, and put the CA's `ca.crt` beside them.

    Args:
        ca: the directory of `create_ca`.
        directory: made if absent, mode 0700.
        cluster: the cluster the CA must belong to; None for whichever it does.
        node_id: 32 hexadecimal digits.
        days: how long it is valid, at most as long as the CA.
        now: the time; the machine's if not given.

    Returns:
        The path of `node.crt`.

    Raises:
        CertificateError: the CA is missing, unreadable or of another cluster, or a file exists.
    """
    if not _NODE_ID.fullmatch(node_id):
        raise CertificateError(f"{node_id!r} is no node id: 32 hexadecimal digits, as `folkmoot init` prints")
    authority = Authority.load(ca / CA_CERTIFICATE, ca / CA_KEY, cluster)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.sign(key.public_key(), bytes.fromhex(node_id), days=days, now=now)
    _write(directory, (NODE_KEY, key_pem(key)), (NODE_CERTIFICATE, certificate))
    if not (directory / CA_CERTIFICATE).exists():
        _write(directory, (CA_CERTIFICATE, authority.pem))
    return directory / NODE_CERTIFICATE


class Authority:
    """A cluster's CA, with the key by which it signs. `load` makes one.

    Args:
        certificate, key: of the CA.
        cluster: the cluster's id.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, cluster: str) -> None:
        self._certificate = certificate
        self._key = key
        self._cluster = cluster

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path, cluster: str | None) -> Authority:
        """Read the CA's two files.

        Args:
            cluster: the cluster it must belong to; None for whichever it does.

        Raises:
            CertificateError: one is missing, unreadable or of another cluster, or they do not fit.
        """
        certificate, key = _read_ca(certificate_file, key_file)
        name = _name_of(certificate)
        if name is None or (cluster is not None and name.cluster != cluster):
            raise CertificateError(f"{certificate_file} is of {name}, not the CA of cluster {cluster}")
        return cls(certificate, key, name.cluster)

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return _pem(self._certificate)

    def sign(
        self,
        public: ec.EllipticCurvePublicKey,
        node_id: bytes,
        *,
        days: int = NODE_DAYS,
        now: datetime | None = None,
    ) -> bytes:
        """Make a node's certificate, in PEM.

        Args:
            public: the node's key.
            node_id: 16 bytes.
            days: how long it is valid, at most as long as the CA.
            now: the time; the machine's if not given.

        Raises:
            CertificateError: the CA has expired.
        """
        not_before, not_after = _validity(now, days)
        ends = self._certificate.not_valid_after_utc
        if ends <= not_before:
            raise CertificateError(f"the CA of cluster {self._cluster} expired on {ends:%Y-%m-%d}")
        validity = not_before, min(not_after, ends)
        name = NodeName(self._cluster, node_id)
        return _pem(_sign_node(self._certificate, self._key, public, name, validity))


def read_certificate(file: Path) -> CertificateFacts:
    """What a certificate file says.

    Raises:
        CertificateError: it cannot be read or is no certificate.
    """
    certificate = _load(file)
    return CertificateFacts(
        name=_name_of(certificate),
        is_ca=_is_ca(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def read_der(file: Path) -> bytes:
    """A certificate as TLS carries it.

    Raises:
        CertificateError: it cannot be read or is no certificate.
    """
    return _load(file).public_bytes(serialization.Encoding.DER)


def _sign_node(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    name: NodeName,
    validity: tuple[datetime, datetime],
) -> x509.Certificate:
    assert name.node_id is not None, "only a CA has no node id"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name.node_id.hex())])
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(subject, issuer.subject, public, issuer_key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(_names(name), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer_public: ec.EllipticCurvePublicKey,
    validity: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    not_before, not_after = validity
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )


def _validity(now: datetime | None, days: int) -> tuple[datetime, datetime]:
    now = now or datetime.now(UTC)
    return now - BACKDATE, now + timedelta(days=days)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _names(name: NodeName) -> x509.SubjectAlternativeName:
    uri = x509.UniformResourceIdentifier(str(name))
    return x509.SubjectAlternativeName([uri] if name.node_id is None else [x509.DNSName(NODE_DNS_NAME), uri])


def _name_of(certificate: x509.Certificate) -> NodeName | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return NodeName.of(names.get_values_for_type(x509.UniformResourceIdentifier))


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _read_ca(certificate_file: Path, file: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = _load(certificate_file)
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(
            f"{file}: {error.strerror}; it stays where `folkmoot cert create-ca` ran"
        ) from error
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{file} is no private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(f"{file} is not the key of {certificate_file}")
    return certificate, key


def _load(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except OSError as error:
        raise CertificateError(f"{file}: {error.strerror}; make one with `folkmoot cert --help`") from error
    except ValueError as error:
        raise CertificateError(f"{file} is no certificate in PEM form: {error}") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as its file has it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(directory: Path, *files: tuple[str, bytes]) -> None:
    """Create the files, all or none existing before; keys are private from their first byte."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, _ in files:
        if (directory / name).exists():
            raise CertificateError(f"{directory / name} exists; certificates and keys are never overwritten")
    made: list[Path] = []
    for name, data in files:
        try:
            write_new(directory / name, data, 0o600 if name.endswith(".key") else 0o644)
        except OSError as error:
            # A key whose certificate is missing would only stand in the way of the next attempt.
            for file in made:
                file.unlink(missing_ok=True)
            raise CertificateError(f"{directory / name}: {error.strerror}") from error
        made.append(directory / name)
