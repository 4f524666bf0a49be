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

``catalog_authority.py`` has the catalogs' part, ``root_authority.py`` that of roots and silicon authorities. A
certificate is recorded before anybody sees it: the records come from here, the transaction is the caller's
(:meth:`Authority.record`).
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

from armillary.engines.records.folder import write_file
from armillary.engines.records.queries import catalogs as catalog_rows, certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import DataFolderError, HostError, InvalidArgumentError, SignerError
from armillary.service.authority.catalog_authority import BACKDATE_S, Issuer, new_serial
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import DAY_S, ROOT_LIFE_S, YEAR_S, serving_root, signed_by
from armillary.service.authority.root_authority import ROOT_NAME, RootAuthorities
from armillary.service.context.context import Context
from armillary.settings import Settings
from armillary.wire.certificates import certificate as profile
from armillary.wire.encoding.pem import armour

SIGNING_LIFE_S: Final = 20 * YEAR_S
SERVER_LIFE_S: Final = YEAR_S
SERVER_RENEWAL_S: Final = 30 * DAY_S
# What an operator can renew, and which of it has a name: of a chip maker, or of a catalog.
RENEWED: Final = ("root", "policy", "silicon", "catalog", "issuing")
NAMED: Final = ("silicon", "catalog", "issuing")

_log = structlog.get_logger("armillary.service.authority.authority")
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


class Authority(RootAuthorities):
    """Keys and certificates. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = KeyStore(context.folder.keys, context.settings)
        self._lock = threading.Lock()
        self._issuers: dict[UUID, Issuer] = {}
        self.on_authority = []
        self.on_renewed = []
        self.on_silicon = []
        self.on_server: list[Callable[[ServerFiles], object]] = []  # called when there is a new server certificate
        self._anchors = (0, b"")

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
            name=ROOT_NAME,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + ROOT_LIFE_S,
        )
        made = [self._record("root", root)]
        made.append(self._make_policy(made[0]))
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
        self.os_signer = Signer(self._keys.load("os-signing"), self._one_of_kind("os-signing"))
        self.image_signer = Signer(self._keys.load("image-signing"), self._one_of_kind("image-signing"))
        self.challenge_key = self._keys.secret("challenge", 32)
        known = {one.subject for one in self._all_silicon()}
        for maker in makers:
            if maker not in known:
                record = self._make_silicon(maker)
                self._context.records.write(lambda c, made=record: self.record(c, [made]))  # type: ignore[misc]
        try:
            self.renew()
        except SignerError as error:  # a token that is away: what is not renewed today has weeks left
            if not self.server_files().certificate.exists():
                raise
            _log.error("renewal failed", error=error.message, remedy=error.remedy)

    def hub_secret(self) -> bytes:
        """What seals the symmetric keys of hub devices; made when it is first asked for."""
        name = "hub-sealing"
        if not self._keys.has_secret(name):
            self._keys.create_secret(name, os.urandom(32))
        return self._keys.secret(name, 32)

    def open_to_issue(self) -> None:
        """Load what it takes to serve devices and make nothing; a device worker calls it, again after each change."""
        self.challenge_key = self._keys.secret("challenge", 32)
        self._anchors = (0, b"")
        for catalog_id in tuple(self._issuers):
            self._replace_issuer(catalog_id)

    def renew(self) -> None:
        """Renew what ends soon, from the root to issuing authorities and server certificate; daily and at each start.

        What cannot be renewed hinders nothing else.

        Raises:
            HostError: the first thing that could not be renewed; what was active before still is.
        """
        catalogs = self._context.records.read(catalog_rows.catalogs)
        renewals: list[Callable[[], None]] = [self._renew_root, self._renew_server, self._renew_silicon]
        renewals.append(self._renew_policy)
        renewals += [partial(self._renew_catalog, catalog.catalog_id) for catalog in catalogs]
        failed: HostError | None = None
        for renewal in renewals:
            try:
                renewal()
            except HostError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def renew_by_hand(self, kind: str, name: str = "", *, actor: str) -> CertificateRecord:
        """Renew an authority now, whatever is left of its time; the old one stays in force until its end.

        Args:
            kind: ``root``, ``policy``, ``silicon``, ``catalog`` or ``issuing``.
            name: The chip maker of a silicon authority, the catalog of a catalog's or issuing authority.
            actor: For the audit log.

        Raises:
            InvalidArgumentError: no such kind, or a name where there is none to give, or none where there is.
            NotFoundError: no such chip maker or catalog.
            ConflictError: the last renewal was too short a time ago.
            SignerError: a token that does not answer.
        """
        if kind not in RENEWED or bool(name) != (kind in NAMED):
            raise InvalidArgumentError(
                f"renewal of {kind!r:.20} {name!r:.60}: expected root or policy without a name, silicon with a chip "
                "maker, catalog or issuing with a catalog",
                remedy="See armillary authority renew --help.",
            )
        if kind in NAMED:
            by_name = {"silicon": self.renew_silicon, "catalog": self.renew_catalog, "issuing": self.renew_issuing}
            return by_name[kind](name, actor=actor)
        made = self.renew_root(actor=actor) if kind == "root" else self.renew_policy(actor=actor)
        self._renew_server()  # its file of roots
        return made

    def list_service(self) -> tuple[tuple[CertificateRecord, str], ...]:
        """The living authorities of the service itself with their states, newest of each kind last.

        ``active`` signs now, ``next`` takes over later, ``old`` is trusted until its end.
        """
        now = self._context.now()
        found: list[tuple[CertificateRecord, str]] = []
        groups = [(self.roots(), serving_root(self.roots(), now))]
        groups += [(self._policies(), self._active_policy(now))]
        by_maker: dict[str, list[CertificateRecord]] = {}
        for one in self._all_silicon():
            by_maker.setdefault(one.subject, []).append(one)
        groups += [(tuple(ones), ones[-1]) for _, ones in sorted(by_maker.items())]
        for kind in ("os-signing", "image-signing", "server"):
            ones = self._context.records.read(lambda c, k=kind: certificate_rows.of_kind(c, k))  # type: ignore[misc]
            groups.append((ones[-1:], ones[-1]))
        for records, active in groups:
            number = records.index(active)
            states = ["old"] * number + ["active"] + ["next"] * (len(records) - number - 1)
            found += [(one, state) for one, state in zip(records, states, strict=True) if one.not_after > now]
        return tuple(found)

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
        now, hosts, files, roots = self._context.now(), self._hosts(), self.server_files(), self.roots()
        root = serving_root(roots, now)
        _keep(files.root, [root.der, *(one.der for one in roots if one is not root)])
        # Without the root: whoever verifies has it, and would be sent it with every handshake. With its vouchers, which
        # lead those to it who have another root.
        vouchers = [one.der for one in self._vouchers() if one.subject == root.serial and root is not roots[0]]
        try:
            key = self._keys.load("server")
            current = x509.load_pem_x509_certificate(_content(files.certificate))
            ends = int(current.not_valid_after_utc.timestamp())
            good = current.public_key() == key.public_key() and _hosts_of(current) == hosts
            if good and signed_by(current, root.der) and (ends - now > SERVER_RENEWAL_S or ends >= root.not_after):
                _keep(files.certificate, [current.public_bytes(_DER), *vouchers])
                return
        except DataFolderError:  # no usable key
            key = self._keys.create("server", ec.SECP256R1())
        except (ValueError, x509.ExtensionNotFound):  # no usable certificate
            pass
        certificate = profile.build_server_certificate(
            x509.load_der_x509_certificate(root.der),
            self._keys.load(self._key_name(root)),
            key.public_key(),
            hosts=hosts,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=min(now + SERVER_LIFE_S, root.not_after),
        )
        record = self._record("server", certificate)
        self._context.records.write(lambda c: self.record(c, [record]))
        _keep(files.certificate, [record.der, *vouchers])
        for present in self.on_server:
            present(files)

    def _hosts(self) -> list[str]:
        return server_hosts(self._context.settings)


def server_hosts(settings: Settings) -> list[str]:
    """Names and addresses that this service answers to: what its certificate is for, each in its one spelling."""
    hosts = [settings.public_host, "localhost", "127.0.0.1", "::1"]
    if settings.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        hosts.append(settings.host)
    return list(dict.fromkeys(_spelled(host) for host in hosts))


def _keep(path: Path, certificates: Iterable[bytes]) -> None:
    """Have a file hold these certificates, DER, as PEM: a file that does already is left alone."""
    pem = b"".join(armour("CERTIFICATE", der) for der in certificates)
    if _content(path) != pem:
        write_file(path, pem, mode=0o644)


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
