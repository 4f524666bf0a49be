# SPDX-License-Identifier: Apache-2.0
"""A simulated device that speaks the device protocol over real TLS and installs nothing.

For tests, attacks and load. It can do what an honest device never does (send anything, keep an old reply, use another
device's certificate), because everything it sends is an argument. Blocking sockets; one connection at a time.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from armillary.errors import ServiceUnreachableError
from armillary.identity import dice
from armillary.service.factory.reply import FactoryReply
from armillary.sim.device.prover import Component, Prover
from armillary.wire.device.challenge import parse_challenge
from armillary.wire.device.checkin import (
    CONSENT_VERSION,
    LOG_VERSION,
    CheckinReply,
    InstalledImage,
    UpdateOutcome,
    encode_request,
    parse_reply,
)
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.encoding.cose import point_of, spki_from_point
from armillary.wire.image import package as image_package

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def certificate_request(uds: bytes) -> str:
    """The PKCS#10 request, PEM, with which a device of this secret is manufactured."""
    key = dice.identity_key(uds)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def components_of(packages: Mapping[str, bytes]) -> tuple[Component, ...]:
    """Boot components as a prover measures them."""
    found = []
    for name, content in packages.items():
        package = image_package.parse(content)
        found.append(
            Component(
                name=name,
                image_type=package.image_type,
                component_id=package.component_id,
                image_id=package.image_id,
                content=content,
                security_version=package.security_version,
            )
        )
    return tuple(found)


@dataclass(slots=True, kw_only=True)
class WireDevice:
    """A manufactured device.

    Attributes:
        factory: What its manufacture gave it.
        installed: What it says it has.
        challenge: From the last reply, or empty.
        lineage: What it kept from the last reply, empty before; None for a device that keeps nothing.
        update_status: What it says of its updates; None for a device of before.
        takes_consent: Whether it makes crash dumps where it may, and asks; only with an update status.
        sends_log: Whether it sends its log where somebody asks; only with an update status that has the ability.
    """

    prover: Prover
    factory: FactoryReply
    port: int
    host: str = "127.0.0.1"
    installed: tuple[InstalledImage, ...] = ()
    challenge: bytes = b""
    lineage: bytes | None = None
    update_status: UpdateStatus | None = None
    takes_consent: bool = False
    sends_log: bool = False
    client_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    _socket: ssl.SSLSocket | None = field(default=None, repr=False)

    @classmethod
    def make(
        cls,
        uds: bytes,
        enrol: Callable[[str], FactoryReply],
        *,
        port: int = 0,
        chip: str = "mt3620",
    ) -> WireDevice:
        """Manufacture a device: ``enrol`` takes its certificate request."""
        reply = enrol(certificate_request(uds))
        prover = Prover(
            uds=uds,
            components=components_of(reply.boot_packages),
            chip=chip,
            service_name=reply.service_name,
            os_version=reply.os_version,
        )
        return cls(prover=prover, factory=reply, port=port or urlsplit(reply.endpoint).port or 0)

    @property
    def device_id(self) -> str:
        """128 hex digits."""
        return self.prover.device_id

    def tls_context(self) -> ssl.SSLContext:
        """TLS with this device's identity, trusting the service's root only."""
        root = ssl.DER_cert_to_PEM_cert(self.factory.service_root)
        context = ssl.create_default_context(cadata=root)
        chain = "".join(ssl.DER_cert_to_PEM_cert(der) for der in self.factory.certificate_chain)
        key = self.prover.identity.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "identity.pem")
            path.write_bytes(key + chain.encode())
            context.load_cert_chain(path)
        return context

    def connect(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Open a connection, closing the one before; OSError if it is refused, also by TLS."""
        self.disconnect()
        plain = socket.create_connection((self.host, self.port), timeout=TIMEOUT_S)
        try:
            self._socket = (context or self.tls_context()).wrap_socket(plain, server_hostname=self.host)
        except BaseException:  # undone whatever it was, then raised on
            plain.close()
            raise
        return self._socket

    def disconnect(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()

    def exchange(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """One request on the open connection (opened if there is none).

        Raises:
            ServiceUnreachableError: the connection ended before a whole reply.
            OSError: it broke.
        """
        connection = self._socket or self.connect()
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return read_answer(connection)

    def fetch_challenge(self) -> bytes:
        """A fresh challenge; ServiceUnreachableError if it is refused."""
        answer = self.exchange("GET", "/v1/challenge")
        if answer.status != 200:
            raise ServiceUnreachableError(f"challenge: status {answer.status}, {answer.body!r}")
        return parse_challenge(answer.body).challenge

    def request_body(
        self,
        challenge: bytes | None = None,
        *,
        outcomes: tuple[UpdateOutcome, ...] = (),
        error_reports: tuple[ErrorReport, ...] = (),
    ) -> bytes:
        """An encoded check-in request for a challenge (fetched if there is none)."""
        answered = challenge or self.challenge or self.fetch_challenge()
        request = self.prover.request(
            answered,
            spki_from_point(point_of(self.client_key.public_key())),
            installed=self.installed,
            outcomes=outcomes,
            error_reports=error_reports,
            lineage=None if answered == self.lineage else self.lineage,
            update_status=self.update_status,
        )
        if self.sends_log:
            request.protocol_version = LOG_VERSION
        elif self.takes_consent:
            request.protocol_version = CONSENT_VERSION
        return encode_request(request)

    def check_in(
        self, *, outcomes: tuple[UpdateOutcome, ...] = (), error_reports: tuple[ErrorReport, ...] = ()
    ) -> CheckinReply:
        """Check in as an honest device does; ServiceUnreachableError if that is refused."""
        answer = self.exchange(
            "POST", "/v1/check-in", self.request_body(outcomes=outcomes, error_reports=error_reports)
        )
        if answer.status != 200:
            self.challenge = b""
            raise ServiceUnreachableError(f"check-in: status {answer.status}, {answer.body!r}")
        reply = parse_reply(answer.body)
        self.challenge = reply.challenge
        if self.lineage is not None:
            self.lineage = reply.challenge
        return reply


def read_answer(connection: ssl.SSLSocket | socket.socket) -> Answer:
    """Read one reply with a content-length.

    Raises:
        ServiceUnreachableError: the connection ended before.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        body += _received(connection)
    return Answer(int(first.split()[1]), headers, body)


def _received(connection: ssl.SSLSocket | socket.socket) -> bytes:
    chunk = connection.recv(65536)
    if not chunk:
        raise ServiceUnreachableError("the connection ended before a whole reply")
    return chunk
