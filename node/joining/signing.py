"""Signing: the CA of a node that lets others in.

Every node has the CA's certificate, by whose hash a newcomer knows the cluster. Its key is only where an
operator put it, and only as long: it is looked for each time, and never kept in memory.
"""

from __future__ import annotations

from folkmoot.node.certificates import Authority, CertificateError, read_der
from folkmoot.node.configuration.settings import TlsSection
from folkmoot.node.data_directory import DataDirectoryError, require_private
from folkmoot.node.joining.certificate_requests import hash_of, read_request
from folkmoot.protocol.errors import BAD_REQUEST, CONFLICT, WireError
from folkmoot.protocol.join_token import authority_of

NO_AUTHORITY = {"token": "no_authority"}


class Signing:
    """See the module. Everything here reads files, and takes a while.

    Args:
        tls: where the files are.
        cluster: the cluster's id.
    """

    def __init__(self, tls: TlsSection, cluster: str) -> None:
        self._tls = tls
        self._cluster = cluster

    def certificate(self) -> bytes:
        """The CA's certificate (DER).

        Raises:
            WireError: `conflict`: this cluster has none, or it cannot be read.
        """
        if self._tls.mode == "off":
            raise WireError(
                CONFLICT,
                "this cluster runs without certificates, on one machine, and has no join tokens: start the "
                "node with nodes of the cluster as seeds (folkmoot init --seed), then "
                "`folkmoot node join NAME`",
                details=NO_AUTHORITY,
            )
        try:
            return read_der(self._tls.ca)
        except CertificateError as error:
            raise WireError(CONFLICT, str(error), details=NO_AUTHORITY) from error

    def pin(self) -> bytes:
        """By what the cluster is known: see `join_token.authority_of`. Raises as `certificate`."""
        return authority_of(self.certificate())

    def ready(self) -> bytes:
        """The same, if this node can sign.

        Raises:
            WireError: `conflict`, as `certificate`; or it has no CA key, or one that cannot be used.
        """
        pin = self.pin()
        self._authority()
        return pin

    def key_of(self, request: bytes) -> bytes:
        """The hash of the key that a request for a certificate (DER) is for.

        Raises:
            WireError: `bad_request`: it is none.
        """
        try:
            return hash_of(read_request(request))
        except CertificateError as error:
            raise WireError(BAD_REQUEST, str(error)) from error

    def sign(self, request: bytes, node_id: bytes) -> tuple[bytes, bytes]:
        """The certificate that was asked for, for a node id (16 bytes), and the CA's; both in PEM.

        Raises:
            WireError: as `ready` and `key_of`.
        """
        authority = self._authority()
        try:
            return authority.sign(read_request(request), node_id), authority.pem
        except CertificateError as error:
            raise WireError(CONFLICT, str(error), details=NO_AUTHORITY) from error

    def _authority(self) -> Authority:
        file = self._tls.ca_key
        try:
            require_private(file)
            return Authority.load(self._tls.ca, file, self._cluster)
        except FileNotFoundError as error:
            raise WireError(
                CONFLICT,
                f"this node cannot sign certificates, because it has no {file}: put the CA's key there while "
                f"nodes join (`install -m 600 ca/ca.key {file}`, as the node's user) and take it away "
                "afterwards, or ask a node that has it (--node)",
                details=NO_AUTHORITY,
            ) from error
        except (OSError, CertificateError, DataDirectoryError) as error:
            raise WireError(
                CONFLICT, f"this node cannot sign certificates: {error}", details=NO_AUTHORITY
            ) from error
