# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of a service.

::

    root (P-384, 20 y) -> server certificates (P-256, 1 y)
                       -> OS signing, image signing (P-256, 20 y)
                       -> policy authority (P-384, 5 y) -> catalog authority (P-384, 2 y)
                          -> issuing authority (P-256, 90 d) -> client (24 h)
    silicon authority per chip maker (P-256, 20 y, self-signed) -> device identity certificates (P-256)

The silicon authority is on P-256, as everything of a device: its signature is checked in every TLS handshake, and a
P-384 one costs as much as the whole rest of a check-in.

``catalog_authority.py`` has the catalogs' part. A certificate is recorded before anybody sees it: the records come
from here, the transaction is the caller's (:meth:`Authority.record`).
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.records import catalog_rows, certificate_rows
from armillary.engines.records.certificate_rows import CertificateRecord
from armillary.engines.records.folder import write_file
from armillary.errors import DataFolderError, HostError, SignerError
from armillary.service.authority_life import DAY_S
from armillary.service.catalog_authority import BACKDATE_S, CatalogAuthorities, Issuer, new_serial
from armillary.service.context import Context
from armillary.service.key_store import KeyStore
from armillary.wire import certificate as profile

YEAR_S: Final = 365 * DAY_S
ROOT_LIFE_S: Final = 20 * YEAR_S
SILICON_LIFE_S: Final = 20 * YEAR_S
SIGNING_LIFE_S: Final = 20 * YEAR_S
SERVER_LIFE_S: Final = YEAR_S
SERVER_RENEWAL_S: Final = 30 * DAY_S

_log = structlog.get_logger("armillary.service.authority")
_DER: Final = serialization.Encoding.DER


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Files a TLS server loads: certificate chain, key, and the root clients pin. PEM."""

    certificate: Path
    key: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class Authority(CatalogAuthorities):
    """Keys and certificates. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = KeyStore(context.folder.keys, context.settings)
        self._lock = threading.Lock()
        self._issuers: dict[UUID, Issuer] = {}
        self.on_authority = []
        self.on_renewed = []
        self._silicon: dict[str, x509.Certificate] = {}

    def close(self) -> None:
        """Let go of what keeps the keys."""
        self._keys.close()

    # -- first start and start ------------------------------------------------------------------------------------

    def make(self) -> tuple[CertificateRecord, ...]:
        """Make the root and the signing keys of a new service; the caller records what is returned."""
        now = self._context.now()
        root_key = self._keys.create("root", ec.SECP384R1())
        root = profile.build_root_authority(
            root_key,
            name="Armillary Root CA",
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + ROOT_LIFE_S,
        )
        made = [self._record("root", root), self._make_policy(root, root_key)]
        for kind, name in (("os-signing", "Armillary OS Signing"), ("image-signing", "Armillary Image Signing")):
            key = self._keys.create(kind, ec.SECP256R1())
            certificate = profile.build_signing_certificate(
                root,
                root_key,
                key.public_key(),
                name=name,
                serial=new_serial(),
                not_before=now - BACKDATE_S,
                not_after=now + SIGNING_LIFE_S,
            )
            made.append(self._record(kind, certificate))
        self._keys.create_secret("challenge", os.urandom(32))
        return tuple(made)

    def open(self, makers: Iterable[str]) -> None:
        """Load what every start needs, make what a new chip maker needs, and renew what ends soon."""
        records = self._context.records
        self._root = self._one_of_kind("root")
        self.os_signer = Signer(self._keys.load("os-signing"), self._one_of_kind("os-signing"))
        self.image_signer = Signer(self._keys.load("image-signing"), self._one_of_kind("image-signing"))
        self.challenge_key = self._keys.secret("challenge", 32)
        for record in records.read(lambda c: certificate_rows.of_kind(c, "silicon")):
            self._silicon[record.subject] = x509.load_der_x509_certificate(record.der)
        for maker in makers:
            if maker not in self._silicon:
                self._make_silicon(maker)
        try:
            self.renew()
        except SignerError as error:  # a token that is away: what is not renewed today has weeks left
            if not self.server_files().certificate.exists():
                raise
            _log.error("renewal failed", error=error.message, remedy=error.remedy)

    def open_to_issue(self) -> None:
        """Load what it takes to serve devices and make nothing; a device worker calls it, again after each change."""
        self._root = self._one_of_kind("root")
        self.challenge_key = self._keys.secret("challenge", 32)
        for record in self._context.records.read(lambda c: certificate_rows.of_kind(c, "silicon")):
            self._silicon[record.subject] = x509.load_der_x509_certificate(record.der)
        for catalog_id in tuple(self._issuers):
            self._replace_issuer(catalog_id)

    def renew(self) -> None:
        """Renew what ends soon: server certificate, policy, catalog and issuing authorities. Daily, and at each start.

        What cannot be renewed hinders nothing else.

        Raises:
            HostError: the first thing that could not be renewed; what was active before still is.
        """
        catalogs = self._context.records.read(catalog_rows.catalogs)
        renewals: list[Callable[[], None]] = [self._renew_server, self._renew_policy]
        renewals += [partial(self._renew_catalog, catalog.catalog_id) for catalog in catalogs]
        failed: HostError | None = None
        for renewal in renewals:
            try:
                renewal()
            except HostError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _one_of_kind(self, kind: str) -> x509.Certificate:
        found = self._context.records.read(lambda c: certificate_rows.of_kind(c, kind))
        return x509.load_der_x509_certificate(found[-1].der)

    # -- root, server ---------------------------------------------------------------------------------------------

    def server_files(self) -> ServerFiles:
        """The server certificate for the device endpoint, the API and the hub."""
        keys = self._context.folder.keys
        return ServerFiles(keys / "server-chain.pem", self._keys.path("server"), self._context.folder.path / "root.pem")

    def _renew_server(self) -> None:
        """Make what is missing, damaged or ends soon: all of it follows from the root, so none needs a backup."""
        now, hosts, files = self._context.now(), self._hosts(), self.server_files()
        root_pem = self._root.public_bytes(serialization.Encoding.PEM)
        if _content(files.root) != root_pem:
            write_file(files.root, root_pem, mode=0o644)
        try:
            key = self._keys.load("server")
            current = x509.load_pem_x509_certificate(_content(files.certificate))
            ends = int(current.not_valid_after_utc.timestamp())
            good = current.public_key() == key.public_key() and _hosts_of(current) == hosts
            if good and ends - now > SERVER_RENEWAL_S:
                return
        except DataFolderError:  # no usable key
            key = self._keys.create("server", ec.SECP256R1())
        except (ValueError, x509.ExtensionNotFound):  # no usable certificate
            pass
        certificate = profile.build_server_certificate(
            self._root,
            self._keys.load("root"),
            key.public_key(),
            hosts=hosts,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + SERVER_LIFE_S,
        )
        record = self._record("server", certificate)
        self._context.records.write(lambda c: self.record(c, [record]))
        # Without the root: whoever verifies has it, and would be sent it with every handshake.
        write_file(files.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)

    def _hosts(self) -> list[str]:
        settings = self._context.settings
        hosts = [settings.public_host, "localhost", "127.0.0.1", "::1"]
        if settings.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            hosts.append(settings.host)
        return list(dict.fromkeys(_spelled(host) for host in hosts))

    # -- silicon --------------------------------------------------------------------------------------------------

    def silicon_certificates(self) -> tuple[bytes, ...]:
        """The silicon authorities, DER: what the device endpoint trusts in a handshake."""
        return tuple(one.public_bytes(_DER) for one in self._silicon.values())

    def _make_silicon(self, maker: str) -> None:
        now = self._context.now()
        key = self._keys.create(_silicon_key(maker), ec.SECP256R1())
        certificate = profile.build_silicon_authority(
            key, maker=maker, serial=new_serial(), not_before=now - BACKDATE_S, not_after=now + SILICON_LIFE_S
        )
        record = self._record("silicon", certificate, subject=maker)
        self._context.records.write(lambda c: self.record(c, [record]))
        self._silicon[maker] = certificate

    def identity_certificate(self, maker: str, device_id: str) -> tuple[CertificateRecord, tuple[bytes, ...]]:
        """A device identity certificate (the caller records it) and the chain the device presents, leaf first.

        The chain is the leaf alone: the silicon authority is what the endpoint trusts, and to be sent it costs the
        endpoint a certificate to parse in every handshake, a twentieth of a check-in.
        """
        silicon = self._silicon[maker]
        certificate = profile.build_identity_certificate(
            silicon,
            self._keys.load(_silicon_key(maker)),
            device_id=device_id,
            serial=new_serial(),
            not_before=self._context.now() - BACKDATE_S,
            not_after=int(silicon.not_valid_after_utc.timestamp()),
        )
        record = self._record("identity", certificate, subject=device_id)
        return record, (record.der,)


def _silicon_key(maker: str) -> str:
    return "silicon-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in maker.lower())


def _content(path: Path) -> bytes:
    """The bytes of a file, none where there is no file to read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _hosts_of(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def _spelled(host: str) -> str:
    """An address in its one spelling, a name as it is."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
