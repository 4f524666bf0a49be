# SPDX-License-Identifier: Apache-2.0
"""A hub in its own thread with real TLS on loopback, the certificates for it, and real paho-mqtt clients."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.fixtures.certificates import private_pem
from tests.fixtures.loops import LoopThread
from tests.fixtures.waiting import wait_until

from armillary.engines.database.outbox import AuditEntry, AuditOutboxes
from armillary.errors import DeviceStateError, RevokedDeviceError, UnknownDeviceError
from armillary.hub.hub import Hub
from armillary.hub.link.tls import hub_context
from armillary.platform.ports import NoDirectory, NoUpdates
from armillary.platform.rules.actions import ActionSettings
from armillary.roles.platform import platform_of

DEVICE = "a1" * 64
OTHER = "b2" * 64


@dataclass
class Authority:
    """A root, a catalog CA below it, and what they issue, as files."""

    folder: Path
    root: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] = field(init=False)
    catalog: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] = field(init=False)

    def __post_init__(self) -> None:
        self.root = self._make("root", None, authority=True)
        self.catalog = self._make("catalog", self.root, authority=True)
        self._write("server", self._make("server", self.root))

    @property
    def trusted(self) -> str:
        return self._pem(self.root[1]).decode()

    def device(
        self, device_id: str, *, purpose: str = "client", lifetime_s: float = 3600.0, issuer: Any = None
    ) -> Path:
        """PEM file with a device's certificate, the catalog CA's and the key."""
        name = f"{device_id[:8]}-{purpose}-{lifetime_s}-{issuer is None}"
        path = self.folder / f"{name}.pem"
        if not path.exists():
            pair = self._make(
                device_id[:32],
                issuer or self.catalog,
                uri=f"urn:armillary:device:{device_id}",
                purpose=purpose,
                lifetime_s=lifetime_s,
            )
            self._write(name, pair, extra=b"" if issuer else self._pem(self.catalog[1]))
        return path

    def untrusted(self) -> Path:
        return self.device(DEVICE, issuer=self._make("untrusted", None, authority=True))

    def _make(self, name, issuer, *, authority=False, uri=None, purpose="client", lifetime_s=3600.0) -> Any:  # type: ignore[no-untyped-def]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[1].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(seconds=lifetime_s))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(  # Python 3.13 checks strictly (RFC 5280 §4.2.1.1)
                x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer[0] if issuer else key).public_key()),
                critical=False,
            )
        )
        if authority:
            signs = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "encipher_only", "decipher_only"), False,
            )  # fmt: skip
            usage = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **signs)
            builder = builder.add_extension(usage, critical=True)
        if uri is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
            )
            builder = builder.add_extension(
                x509.UnrecognizedExtension(x509.ObjectIdentifier("2.25.1"), purpose.encode()), critical=False
            )
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        elif not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())

    def _write(self, name: str, pair: Any, extra: bytes = b"") -> None:
        (self.folder / f"{name}.pem").write_bytes(self._pem(pair[1]) + extra + private_pem(pair[0]))
        (self.folder / "root.pem").write_text(self.trusted)

    @staticmethod
    def _pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)


class Handed:
    """What a part was handed at its making, and a test may change: everything is asked of ``now``."""

    def __init__(self, now: Any) -> None:
        self.now = now

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


class RunningHub(LoopThread):
    """A hub with its event loop in a thread; its clients are closed with it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder, self.authority = folder, authority
        self.revoked: set[str] = set()
        self.clients: list[Client] = []
        self.clock_ahead_s = 0.0
        self.open()

    def open(self) -> None:
        """Open the hub; after :meth:`close` once more, on what it has kept."""
        folder, authority = self.folder, self.authority
        clock = lambda: time.time() + self.clock_ahead_s  # noqa: E731
        self.audited: list[tuple[Any, ...]] = []  # actor, operation, target, detail
        audit = AuditOutboxes(self._append_audit, lambda: int(clock()))
        self.hub = Hub(folder, authenticate=self.authenticate, audit=audit, clock=clock)
        self.directory = Handed(NoDirectory())
        self.updates = Handed(NoUpdates())
        self.platform = platform_of(
            self.hub,
            folder,
            directory=cast("Any", self.directory),
            updates=cast("Any", self.updates),
            settings=ActionSettings(),
            clock=clock,
        )
        super().__init__("hub-loop")
        context = hub_context(authority.folder / "server.pem", authority.folder / "server.pem", authority.trusted)
        self.run(self.platform.start())
        self.port: int = self.run(self.hub.start(context, "127.0.0.1", 0))

    def _append_audit(self, entries: Sequence[AuditEntry]) -> None:
        self.audited += [(each.actor, each.operation, each.target, dict(each.detail)) for each in entries]

    def authenticate(self, certificate_der: bytes) -> str:
        certificate = x509.load_der_x509_certificate(certificate_der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        device_id = names.get_values_for_type(x509.UniformResourceIdentifier)[0].rsplit(":", 1)[1]
        purpose = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("2.25.1")).value.value  # type: ignore[attr-defined]
        if purpose != b"client":
            raise DeviceStateError("the certificate is for updates only")
        if device_id in self.revoked:
            raise RevokedDeviceError("revoked")
        if device_id not in (DEVICE, OTHER) and not device_id.startswith("00"):
            raise UnknownDeviceError("never made here")
        return device_id

    def close(self) -> None:
        for each in self.clients:
            each.close()
        self.stop(self.platform.close(), self.hub.close())

    def restart(self) -> None:
        self.close()
        self.open()

    def client(self, device_id: str = DEVICE, **options: Any) -> Client:
        self.clients.append(Client(self, device_id, **options))
        return self.clients[-1]


class Client:
    """A paho-mqtt client that keeps what it got."""

    def __init__(
        self,
        running: RunningHub,
        device_id: str = DEVICE,
        *,
        certificate: Path | None = None,
        client_id: str | None = None,
        username: str | None = None,
        protocol: Any = mqtt.MQTTv311,
        clean: bool = True,
        keepalive: int = 60,
        tls_1_2: bool = False,
        will: tuple[str, bytes] | None = None,
        properties: Any = None,
        acknowledges: bool = True,
    ) -> None:
        self.device_id = device_id
        self.messages: list[tuple[str, bytes]] = []
        self.connack: Any = None
        self.session_present: bool | None = None
        self.lost: list[Any] = []
        self.granted: dict[int, Any] = {}
        self.published: set[int] = set()
        options = {} if protocol == mqtt.MQTTv5 else {"clean_session": clean}
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=client_id or device_id,
            protocol=protocol,
            reconnect_on_failure=False,
            **options,
        )
        context = ssl.create_default_context(cafile=str(running.authority.folder / "root.pem"))
        context.load_cert_chain(certificate or running.authority.device(device_id))
        if tls_1_2:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.paho.tls_set_context(context)
        self.paho.username_pw_set(username or f"localhost/{device_id}/?api-version=2019-10-01&DeviceClientType=test")
        if will is not None:
            self.paho.will_set(will[0], will[1], qos=1)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.append(reason)
        self.paho.on_message = lambda _c, _u, message: self.messages.append((message.topic, message.payload))
        self.paho.on_subscribe = lambda _c, _u, mid, reasons, _p: self.granted.__setitem__(mid, reasons)
        self.paho.on_publish = lambda _c, _u, mid, _r, _p: self.published.add(mid)
        self.paho.manual_ack_set(not acknowledges)
        self.paho.connect("127.0.0.1", running.port, keepalive, properties=properties)
        self.paho.loop_start()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        self.session_present = flags.session_present
        self.connack = reason

    def ready(self) -> Client:
        wait_until(lambda: self.connack is not None or self.lost, "CONNACK")
        assert self.connack == 0, f"{self.connack} {self.lost}"
        return self

    def subscribe(self, *filters: str) -> list[int]:
        _, mid = self.paho.subscribe([(each, 1) for each in filters])
        assert mid is not None
        wait_until(lambda: mid in self.granted, "SUBACK")
        return [reason.value for reason in self.granted[mid]]

    def publish(self, topic: str, payload: bytes = b"", qos: int = 1) -> int:
        return self.paho.publish(topic, payload, qos=qos).mid

    def telemetry(self, values: Any, bag: str = "") -> None:
        """Publish with QoS 1 and wait for the acknowledgement."""
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        mid = self.publish(f"devices/{self.device_id}/messages/events/{bag}", body)
        wait_until(lambda: mid in self.published, "PUBACK")

    def take(self, prefix: str) -> tuple[str, bytes]:
        """Wait for a message whose topic starts with ``prefix``, and remove it."""
        wait_until(lambda: any(topic.startswith(prefix) for topic, _ in self.messages), f"a message on {prefix}")
        found = next(each for each in self.messages if each[0].startswith(prefix))
        self.messages.remove(found)
        return found

    def is_cut_off(self) -> None:
        wait_until(lambda: self.lost, "the hub closes the connection")

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def running(tmp_path: Path, authority: Authority) -> Iterator[RunningHub]:
    hub = RunningHub(tmp_path / "hub", authority)
    yield hub
    hub.close()


@pytest.fixture
def client(running: RunningHub) -> Client:
    return running.client().ready()
