# SPDX-License-Identifier: Apache-2.0
"""The small certificate authority of one device's API, and the server's certificate under it.

It is made once and kept in the device's folder (``rest/``), so that a tool that was given its certificate goes on. It
can certify nothing but a device's API: its name constraints permit the names of that and addresses of private networks
and of this host. A tool that trusts it trusts no web site by it.
"""

from __future__ import annotations

import ipaddress
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from armillary.engines.durable import write_file
from armillary.engines.root_of_trust.private_file import load_from_memory
from armillary.errors import DataFolderError
from armillary.wire.certificates import certificate, certificate_part

DOMAIN: Final = "devices.sphere.azure.local"
# The literal name that Azure Sphere's public client asks for.
ANY_DEVICE: Final = f"*.{DOMAIN}"
AUTHORITY_FILE: Final = "ca.pem"
KEY_FILE: Final = "ca-key.pem"

# A device's clock may be wrong when it makes them, and a tool's when it checks them: no day is out of these.
_NOT_BEFORE, _NOT_AFTER = 1_704_067_200, 4_102_444_799  # 2024-01-01 to 2099-12-31
_PRIVATE_NETWORKS: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
    "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
_SERIAL_BITS: Final = 100


@dataclass(frozen=True, slots=True)
class RestAuthority:
    """The authority of one device folder; ``path`` is the file of its certificate."""

    path: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def server_context(self, host: str) -> ssl.SSLContext:
        """What a server presents at an address, under a key that never reaches a disk."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [ANY_DEVICE, "localhost", "127.0.0.1", "::1"]
        if host not in names and _is_permitted(host):
            names.append(host)
        leaf = certificate.build_server_certificate(
            self.certificate,
            self.key,
            key.public_key(),
            hosts=names,
            serial=secrets.randbits(_SERIAL_BITS),
            not_before=_NOT_BEFORE,
            not_after=_NOT_AFTER,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        load_from_memory(context, _private_pem(key) + leaf.public_bytes(Encoding.PEM))
        return context


def open_authority(folder: Path) -> RestAuthority:
    """The authority that is kept in a folder, made there the first time.

    Raises:
        DataFolderError: the folder cannot be written, or its files are damaged.
    """
    path, key_path = folder / AUTHORITY_FILE, folder / KEY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():  # the certificate is written last: without it whatever is there is unfinished
            _make(path, key_path)
        key = load_pem_private_key(key_path.read_bytes(), None)
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataFolderError(
            f"{folder}: {error}", remedy="Remove the folder: the device makes another authority for its API."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != found.public_key():
        raise DataFolderError(
            f"{folder}: {KEY_FILE} is not the key of {AUTHORITY_FILE}",
            remedy="Remove the folder: the device makes another authority for its API.",
        )
    return RestAuthority(path, found, key)


def _make(path: Path, key_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    networks = [x509.IPAddress(ipaddress.ip_network(each)) for each in _PRIVATE_NETWORKS]
    permitted = [x509.DNSName(DOMAIN), x509.DNSName("localhost"), *networks]
    made = certificate_part.build_authority(
        key,
        None,
        key.public_key(),
        certificate_part.name("Armillary Device API"),
        secrets.randbits(_SERIAL_BITS),
        (_NOT_BEFORE, _NOT_AFTER),
        path_length=0,
        constraints=[(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), True)],
    )
    write_file(key_path, _private_pem(key), mode=0o600)
    write_file(path, made.public_bytes(Encoding.PEM), mode=0o644)


def _is_permitted(host: str) -> bool:
    address = ipaddress.ip_address(host)
    networks = map(ipaddress.ip_network, _PRIVATE_NETWORKS)
    return any(address.version == network.version and address in network for network in networks)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
