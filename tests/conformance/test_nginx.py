# SPDX-License-Identifier: Apache-2.0
"""A stock nginx with ``ssl_verify_client on`` lets in whom we let in, with nothing of ours but two PEM files."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fixtures.certificates import private_pem
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.service.authority.issued import new_serial, serial_text
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.certificates import certificate as profile, certificate_part as part
from armillary.wire.encoding import cose
from armillary.wire.encoding.pem import armour

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
DAY_S = 86_400
START_S = 20.0
# nginx says "no" to a certificate it does not take as 400 (https://nginx.org/r/ssl_verify_client).
REFUSED = 400

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: sudo apt-get install nginx")

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server-key.pem;
        ssl_verify_client on;
        ssl_verify_depth 4;
        ssl_client_certificate {folder}/chain.pem;
        ssl_crl {folder}/crl.pem;
        location / {{ return 200 "$ssl_client_verify $ssl_client_s_dn"; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows: PEM of certificates and key."""

    certificates: bytes
    key: bytes


def credentials(certificates: list[bytes], key: ec.EllipticCurvePrivateKey) -> Credentials:
    return Credentials(
        b"".join(armour("CERTIFICATE", der) for der in certificates),
        private_pem(key),
    )


@dataclass(slots=True)
class Nginx:
    """A running nginx and the service that feeds it."""

    folder: Path
    port: int
    host: ServiceHost

    def feed(self) -> None:
        """Write both files as a timer on the server would."""
        catalog_id = self.host.service.registry.catalogs.get("Contoso").catalog_id
        lists = self.host.service.authority.revocation_lists
        for name, label, found in (
            ("chain.pem", "CERTIFICATE", lists.chain_of_catalog(catalog_id)),
            ("crl.pem", "X509 CRL", lists.of_catalog(catalog_id)),
        ):
            (self.folder / name).write_bytes(b"".join(armour(label, der) for der in found))

    def reload(self) -> None:
        """Feed and reload; returns when workers with the new files answer."""
        before = self._workers()
        self.feed()
        subprocess.run([str(NGINX), *self.options(), "-s", "reload"], check=True, capture_output=True)
        wait_until(lambda: (now := self._workers()) and not now & before, "workers that read the new lists")

    def options(self) -> list[str]:
        return ["-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]

    def _workers(self) -> set[str]:
        master = (self.folder / "nginx.pid").read_text().strip()
        return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())

    def get(self, shown: Credentials | None) -> tuple[int, str]:
        """Status and body of a request with these credentials; (0, reason) where TLS itself refuses."""
        context = ssl.create_default_context(cafile=str(self.folder / "server.pem"))
        if shown is not None:
            file = self.folder / "client.pem"
            file.write_bytes(shown.key + shown.certificates)
            context.load_cert_chain(file)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=10, context=context)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected) as error:
                return 0, str(error)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def server_files(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root_key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
    times = {"not_before": now - 300, "not_after": now + DAY_S}
    root = profile.build_root_authority(root_key, name="Server's own", serial=1, **times)
    leaf = profile.build_server_certificate(root, root_key, key.public_key(), hosts=["localhost"], serial=2, **times)
    (folder / "server.pem").write_bytes(leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    (folder / "server-key.pem").write_bytes(private_pem(key))


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    server_files(folder)
    with ServiceHost(folder / "data") as host:
        host.catalog()
        host.catalog("Fabrikam")
        running = Nginx(folder, reserved_port(), host)
        running.feed()
        (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=running.port))
        log = (folder / "log").open("wb")
        with log, killed_process([str(NGINX), *running.options()], stderr=log, limit_s=None) as process:
            try:
                wait_until(lambda: answers(running.port) or process.poll() is not None, "nginx")
                assert process.poll() is None, (folder / "log").read_text()
                yield running
            finally:
                process.terminate()


def client(device: WireDevice) -> Credentials:
    """What applications of a device show: its current client certificate, alone."""
    return credentials([device.check_in().certificate_chain[0]], device.client_key)


def issued(host: ServiceHost, key: ec.EllipticCurvePrivateKey, purpose: str, *, start: int, end: int) -> Credentials:
    """A certificate as the catalog's issuing authority signs it, with any times."""
    authority = host.service.authority
    (issuer,) = authority.catalogs.issuing_certificates(host.service.registry.catalogs.get("Contoso").catalog_id)
    leaf = profile.build_device_certificate(
        issuer,
        authority.keys.load(f"issuing-{serial_text(issuer.serial_number).lower()}"),
        spki=cose.spki_from_point(cose.point_of(key.public_key())),
        device_id=cose.point_of(key.public_key()).hex(),
        purpose=purpose,
        tier="software",
        serial=new_serial(),
        not_before=start,
        not_after=end,
    )
    return credentials([leaf.public_bytes(Encoding.DER)], key)


def test_a_devices_current_client_certificate_is_accepted_until_the_device_is_revoked(nginx: Nginx) -> None:
    with nginx.host.claimed(b"1" * 32) as device, nginx.host.claimed(b"2" * 32) as other:
        first, second, others = client(device), client(device), client(other)
    for one in (first, second):
        status, body = nginx.get(one)
        assert (status, body.split()[0]) == (200, "SUCCESS")
        assert f"CN={device.device_id[:32]}" in body
    registry = nginx.host.service.registry
    registry.lifecycle.revoke(device.device_id, reason="lost", actor="test")
    nginx.reload()
    assert [nginx.get(one)[0] for one in (first, second, others)] == [REFUSED, REFUSED, 200]
    registry.lifecycle.restore(device.device_id, actor="test")
    nginx.reload()
    assert nginx.get(first)[0] == 200


def test_the_chain_that_a_device_holds_is_accepted_too(nginx: Nginx) -> None:
    with nginx.host.claimed(b"3" * 32) as device:
        chain = device.check_in().certificate_chain
    assert nginx.get(credentials(list(chain), device.client_key))[0] == 200


def test_an_update_only_certificate_is_refused(nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    """A boot that the service cannot account for earns nothing outside either: its key usage alone sees to that."""
    with nginx.host.claimed(b"4" * 32) as device:
        assert nginx.get(client(device))[0] == 200
        first, *rest = device.prover.components
        device.prover.components = (replace(first, content=first.content + b"!"), *rest)
        device.prover.boot()
        reply = device.check_in()
        assert reply.purpose == "update"
        assert nginx.get(credentials([reply.certificate_chain[0]], device.client_key))[0] == REFUSED
    key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
    times = {"start": now - 60, "end": now + 60}
    assert nginx.get(issued(nginx.host, key, "update", **times))[0] == REFUSED
    monkeypatch.setattr(part, "UPDATE", "nothing")  # the check taken away: an update certificate like any other
    assert nginx.get(issued(nginx.host, key, "update", **times))[0] == 200


def test_an_expired_certificate_is_refused(nginx: Nginx) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
    assert nginx.get(issued(nginx.host, key, "client", start=now - DAY_S, end=now + 60))[0] == 200
    assert nginx.get(issued(nginx.host, key, "client", start=now - DAY_S, end=now - 1))[0] == REFUSED
    assert nginx.get(issued(nginx.host, key, "client", start=now + 3600, end=now + DAY_S))[0] == REFUSED


def test_a_self_signed_certificate_and_none_are_refused(nginx: Nginx) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
    own = profile.build_root_authority(key, name="a" * 32, serial=1, not_before=now - 60, not_after=now + 60)
    assert nginx.get(credentials([own.public_bytes(Encoding.DER)], key))[0] == REFUSED
    assert nginx.get(None)[0] == REFUSED


def test_other_certificates_of_the_service_are_refused(nginx: Nginx) -> None:
    host = nginx.host
    with host.claimed(b"5" * 32) as device, host.claimed(b"6" * 32, catalog="Fabrikam") as foreign:
        identity = credentials(list(device.factory.certificate_chain), device.prover.identity)
        other_catalog = credentials(list(foreign.check_in().certificate_chain), foreign.client_key)
    assert nginx.get(identity)[0] == REFUSED
    files = host.service.authority.server.files()
    assert nginx.get(Credentials(files.certificate.read_bytes(), files.key.read_bytes()))[0] == REFUSED
    # Another catalog's devices lead to the same root: which catalog they are of is for the server to ask.
    # Its authorities have no list in this catalog's file, and nginx takes no authority without one.
    assert nginx.get(other_catalog)[0] == REFUSED


def test_without_the_list_the_revoked_device_is_accepted(nginx: Nginx) -> None:
    """The positive control: it is the list that shuts a revoked device out, and nothing else."""
    with nginx.host.claimed(b"7" * 32) as device:
        shown = client(device)
    configuration = nginx.folder / "nginx.conf"
    text = configuration.read_text()
    nginx.host.service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="test")
    try:
        configuration.write_text(text.replace("ssl_crl", "# ssl_crl"))
        nginx.reload()
        assert nginx.get(shown)[0] == 200
    finally:
        configuration.write_text(text)
        nginx.reload()
    assert nginx.get(shown)[0] == REFUSED
