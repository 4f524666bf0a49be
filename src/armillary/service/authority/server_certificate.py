# SPDX-License-Identifier: Apache-2.0
"""The TLS server certificate of the device endpoint, the API and the hub, in files that TLS libraries load."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.durable import write_file
from armillary.errors import DataFolderError
from armillary.service.authority.issued import BACKDATE_S, IssuedCertificates, new_serial
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import DAY_S, YEAR_S, serving_root, signed_by
from armillary.service.authority.root_authority import RootAuthorities
from armillary.service.context.context import Context
from armillary.settings import Settings
from armillary.wire.certificates import certificate as profile
from armillary.wire.encoding.pem import armour

SERVER_LIFE_S: Final = YEAR_S
SERVER_RENEWAL_S: Final = 30 * DAY_S


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Files a TLS server loads: certificate chain, key, and the root clients pin. PEM."""

    certificate: Path
    key: Path
    root: Path


class ServerCertificate:
    """Makes and renews the certificate and its files; then calls ``on_renewed`` with the files."""

    def __init__(self, context: Context, keys: KeyStore, issued: IssuedCertificates, roots: RootAuthorities) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self._roots = roots
        self.on_renewed: list[Callable[[ServerFiles], object]] = []

    def files(self) -> ServerFiles:
        """Where certificate, key and root are."""
        keys = self._context.folder.keys
        return ServerFiles(keys / "server-chain.pem", self._keys.path("server"), self._context.folder.path / "root.pem")

    def renew_due(self) -> None:
        """Make what is missing, damaged or ends soon: all of it follows from the root, so none needs a backup."""
        now, hosts, files = self._context.now(), server_hosts(self._context.settings), self.files()
        roots = self._roots.valid()
        root = serving_root(roots, now)
        _keep(files.root, [root.der, *(one.der for one in roots if one is not root)])
        # Without the root: whoever verifies has it, and would be sent it with every handshake. With its vouchers, which
        # lead those to it who have another root.
        voucher_records = () if root is roots[0] else self._roots.vouchers.valid()
        vouchers = [one.der for one in voucher_records if one.subject == root.serial]
        try:
            key = self._keys.load("server")
            current = x509.load_pem_x509_certificate(_content(files.certificate))
            begins, ends = (int(one.timestamp()) for one in (current.not_valid_before_utc, current.not_valid_after_utc))
            # One that has not begun was made while the clock was ahead: nobody would be let in until then.
            good = begins <= now and current.public_key() == key.public_key() and _hosts_of(current) == hosts
            if good and signed_by(current, root.der) and (ends - now > SERVER_RENEWAL_S or ends >= root.not_after):
                _keep(files.certificate, [current.public_bytes(serialization.Encoding.DER), *vouchers])
                return
        except DataFolderError:  # no usable key
            key = self._keys.create("server", ec.SECP256R1())
        except (ValueError, x509.ExtensionNotFound):  # no usable certificate
            pass
        certificate = profile.build_server_certificate(
            x509.load_der_x509_certificate(root.der),
            self._keys.load_authority(root.kind, root.der),
            key.public_key(),
            hosts=hosts,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=min(now + SERVER_LIFE_S, root.not_after),
        )
        record = self._issued.as_record("server", certificate)
        self._context.records.write(lambda c: self._issued.record(c, [record]))
        _keep(files.certificate, [record.der, *vouchers])
        for present in self.on_renewed:
            present(files)


def server_hosts(settings: Settings) -> list[str]:
    """Names and addresses that this service answers to: what its certificate is for, addresses in canonical form."""
    hosts = [settings.public_host, "localhost", "127.0.0.1", "::1"]
    if settings.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        hosts.append(settings.host)
    return list(dict.fromkeys(_spelled(host) for host in hosts))


def _keep(path: Path, certificates: Iterable[bytes]) -> None:
    """Write these certificates (DER) to a file as PEM, unless it has them already."""
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
    """An address in canonical form, a name as it is."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
