# SPDX-License-Identifier: Apache-2.0
"""Who steals the key of an authority that certifies devices makes no server: TLS clients that trust the root refuse it.

The device endpoint's own clients are held by more (``test_device_time.py``): these are the MQTT clients of applications
and the tools of people, which know the root and the host name and nothing else.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.certificates import chain_file

from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.certificates import certificate as profile, certificate_part as part
from armillary.wire.encoding.pem import armour

NOW = 1_795_478_400  # 2026-11-24
DAY_S = 86_400
KINDS = ("issuing", "catalog", "policy")
WAYS = ("extended key usage", "name constraints")

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl: sudo apt-get install openssl"
)


class Theft:
    """A service, and a thief who has the private keys of all its authorities below the root."""

    def __init__(self, folder: Path, host: ServiceHost) -> None:
        self.folder, self.host = folder, host
        self.root = folder / "pinned.pem"
        self.root.write_bytes(armour("CERTIFICATE", host.service.authority.roots.certificate))
        catalog = host.service.registry.catalogs.get("Contoso").catalog_id
        self.chain: tuple[CertificateRecord, ...] = host.service.authority.catalogs.valid(catalog)

    def server(self, kind: str, *, names_in_extension: bool = True) -> Path:
        """Chain and key of a server for localhost that the stolen authority of a kind signed."""
        number = KINDS.index(kind)
        stolen = self.chain[number]
        assert stolen.kind == kind
        issuer = x509.load_der_x509_certificate(stolen.der)
        issuer_key = self.host.service.authority.keys.load(f"{kind}-{stolen.serial.lower()}")
        own = ec.generate_private_key(ec.SECP256R1())
        life = (NOW - DAY_S, NOW + 30 * DAY_S)
        if names_in_extension:
            hosts = ["localhost", "127.0.0.1"]
            made = profile.build_server_certificate(
                issuer, issuer_key, own.public_key(), hosts=hosts, serial=77, not_before=life[0], not_after=life[1]
            )
        else:
            usage = part.end_entity(x509.ExtendedKeyUsageOID.SERVER_AUTH)
            made = part.build(issuer_key, issuer, own.public_key(), part.name("hub.example"), 77, life, usage)
        chain = [made.public_bytes(serialization.Encoding.DER), *(one.der for one in self.chain[number:3])]
        return chain_file(self.folder / f"{kind}.pem", own, chain)

    def genuine(self) -> Path:
        """The service's own server certificate, and its key."""
        files = self.host.service.authority.server.files()
        path = self.folder / "genuine.pem"
        path.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
        return path

    def verified(self, path: Path, *options: str) -> str:
        """What ``openssl verify`` says of the first certificate in a file; "" when it accepts."""
        command = ["openssl", "verify", "-x509_strict", "-no-CAfile", "-no-CApath", "-no-CAstore", *options]
        command += ["-attime", str(NOW), "-trusted", str(self.root), "-untrusted", str(path), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def limits() -> None:
    """What limits the authorities of the service, where a test's parameters say it."""


@pytest.fixture
def theft(tmp_path: Path, limits: list[str] | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theft]:
    if limits is not None:
        genuine: Any = part.devices_only
        monkeypatch.setattr(part, "devices_only", lambda: [genuine()[WAYS.index(way)] for way in limits])
    with ServiceHost(tmp_path / "data", clock=lambda: float(NOW)) as host:
        host.catalog()
        yield Theft(tmp_path, host)


@contextmanager
def serving(path: Path) -> Iterator[int]:
    """A TLS server with the chain and key of a file; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:  # closed: the test is over
                return
            accepted.settimeout(10)
            try:
                with context.wrap_socket(accepted, server_side=True) as connection:
                    connection.sendall(b"\x20\x02\0\0")  # CONNACK: welcome
            except OSError:
                accepted.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def python_connects(theft: Theft, port: int) -> bool:
    """Whether Python's TLS client, which trusts the root, takes a server for ``localhost``."""
    context = ssl.create_default_context(cafile=str(theft.root))
    context.verify_flags |= 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the service lives at NOW
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                return connection.recv(4) == b"\x20\x02\0\0"
        except ssl.SSLCertVerificationError as error:
            assert "purpose" in str(error) or "excluded subtree" in str(error), error  # noqa: PT017 - said, not caught
            return False


def s_client_connects(theft: Theft, port: int) -> bool:
    """Whether ``openssl s_client`` does."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-verify_return_error", "-attime", str(NOW)]
    command += ["-verify_hostname", "localhost", "-CAfile", str(theft.root), "-no-CApath", "-no-CAstore"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
    assert ("verify error" in done.stderr) != ("Verification: OK" in done.stdout), done.stdout + done.stderr
    return "verify error" not in done.stderr


def connects(theft: Theft, path: Path) -> tuple[bool, bool]:
    with serving(path) as port:
        return python_connects(theft, port), s_client_connects(theft, port)


@needs_openssl
def test_a_stolen_authority_of_devices_is_no_server_to_anybody(theft: Theft) -> None:
    assert connects(theft, theft.genuine()) == (True, True)
    assert not theft.verified(theft.genuine(), "-purpose", "sslserver")
    for kind in KINDS:
        stolen = theft.server(kind)
        assert connects(theft, stolen) == (False, False), kind
        assert "purpose" in theft.verified(stolen, "-purpose", "sslserver"), kind


@needs_openssl
def test_a_server_that_names_its_host_in_the_subject_only_is_refused_too(theft: Theft) -> None:
    for kind in KINDS:
        stolen = theft.server(kind, names_in_extension=False)
        assert "purpose" in theft.verified(stolen, "-purpose", "sslserver")
        assert "excluded subtree" in theft.verified(stolen, "-purpose", "any")


@needs_openssl
@pytest.mark.parametrize("limits", [[way] for way in WAYS], ids=WAYS)
def test_either_way_alone_stops_it(theft: Theft) -> None:
    """Verifiers heed one or the other: both are there."""
    assert connects(theft, theft.server("issuing")) == (False, False)
    assert connects(theft, theft.genuine()) == (True, True)


@needs_openssl
@pytest.mark.parametrize("limits", [[]], ids=["none"])
def test_mutation_of_the_limits_of_authorities(theft: Theft) -> None:
    """Without either, as in older data folders, every stolen authority is the hub to whoever trusts the root."""
    for kind in KINDS:
        stolen = theft.server(kind)
        assert not theft.verified(stolen, "-purpose", "sslserver")
        assert connects(theft, stolen) == (True, True), kind


def test_devices_are_certified_as_before(theft: Theft) -> None:
    """Nothing is taken from devices: neither the hub's TLS nor the registry refuses what limited authorities issue."""
    with theft.host.claimed(b"d" * 32) as device:
        reply = device.check_in()
        assert theft.host.service.hub_access.authenticate(reply.certificate_chain[0]) == device.device_id
    chain = [x509.load_der_x509_certificate(der) for der in reply.certificate_chain[1:]]
    assert len(chain) == 3
    for authority in chain:
        found = {extension.oid: extension for extension in authority.extensions}
        for value, critical in part.devices_only():
            assert (found[value.oid].value, found[value.oid].critical) == (value, critical)
