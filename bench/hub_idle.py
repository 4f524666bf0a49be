# SPDX-License-Identifier: Apache-2.0
"""What the hub alone keeps for 1,000 idle devices: resident memory of its process, and of one device more.

The process is ``bench.plain_hub`` with TLS: front, store and writer of the product, without security service, API and
console (``bench/memory.py`` measures all of it). Each device has a key and certificate of its own, shows the
certificate alone as devices do, is let in (CONNACK), has one message acknowledged, and is silent then.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from armillary.wire.mqtt import codec as mqtt
from armillary.wire.mqtt.packet import Connect, PacketType, Publish
from bench.memory import expect
from bench.result import result
from bench.service_process import memory_mb

DEVICES = 1000
WARM = 50  # devices before the growth is measured: what the first one costs, no other does
LIMIT_MB = 100.0
LIMIT_KB = 60.0
SETTLE_S = 3.0
TIMEOUT_S = 30
AT_ONCE = 4  # devices that connect
HOST = "localhost"

Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def run() -> list[dict[str, object]]:
    """Resident memory with every device connected, and its growth a device."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as scratch:
        folder = Path(scratch)
        root = _certificate("Bench root", None)
        issuing = _certificate("Bench issuing", root)
        _write(folder / "chain.pem", _certificate(HOST, issuing)[1], issuing[1])
        _write(folder / "trusted.pem", root[1], issuing[1])
        _write(folder / "root.pem", root[1])
        (folder / "key.pem").write_bytes(_KEYS[HOST])
        files = [str(folder / name) for name in ("chain.pem", "key.pem", "trusted.pem")]
        command = [sys.executable, "-m", "bench.plain_hub", str(folder / "hub"), *files]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
            try:
                assert process.stdout is not None
                first, full = _measured(process, int(process.stdout.readline()), issuing, folder)
            finally:
                process.terminate()
                process.wait(TIMEOUT_S)
    conditions = (
        f"the hub alone in its process (bench/plain_hub.py), {DEVICES} devices by mutual TLS 1.3, idle; "
        f"{first:.0f} MB with {WARM} devices"
    )
    growth = f"{conditions}; growth from {WARM} to {DEVICES}"
    each = (full - first) * 1000 / (DEVICES - WARM)
    return [
        result("hub-idle", full, "MB resident", ("limit", LIMIT_MB), conditions),
        result("hub-idle-device", each, "kB a device", ("limit", LIMIT_KB), growth),
    ]


def _measured(process: subprocess.Popen[str], port: int, issuing: Pair, folder: Path) -> tuple[float, float]:
    """Resident MB with WARM devices and with all of them."""
    with ThreadPoolExecutor(AT_ONCE) as pool:  # each waits for the disk

        def connected(numbers: range) -> list[ssl.SSLSocket]:
            return list(pool.map(lambda number: _connected(f"{number + 1:08x}" * 16, port, issuing, folder), numbers))

        connections = connected(range(WARM))
        time.sleep(SETTLE_S)
        first = memory_mb(process.pid)
        connections += connected(range(WARM, DEVICES))
    time.sleep(SETTLE_S)
    full = memory_mb(process.pid)
    for connection in connections:
        connection.close()
    return first, full


def _connected(device_id: str, port: int, issuing: Pair, folder: Path) -> ssl.SSLSocket:
    path = folder / f"device-{device_id[:8]}.pem"
    _write(path, _certificate(device_id[:64], issuing)[1])
    path.write_bytes(path.read_bytes() + _KEYS.pop(device_id[:64]))
    context = ssl.create_default_context(cafile=str(folder / "root.pem"))
    context.load_cert_chain(path)
    plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    connection = context.wrap_socket(plain, server_hostname=HOST)
    connection.sendall(mqtt.encode_packet(Connect(client_id=device_id)))
    expect(connection, PacketType.CONNACK)
    topic = f"devices/{device_id}/messages/events/"
    connection.sendall(mqtt.encode_packet(Publish(topic=topic, payload=b'{"temperature": 21.5}', qos=1, packet_id=1)))
    expect(connection, PacketType.PUBACK)
    return connection


_KEYS: dict[str, bytes] = {}  # name -> PEM of the private key


def _certificate(name: str, issuer: Pair | None) -> Pair:
    """A key, kept in _KEYS, and its certificate; names that begin with "Bench" are authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, issuer_name = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    is_authority = name.startswith("Bench")
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(not is_authority, False, False, False, False, is_authority, is_authority, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if name == HOST:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    _KEYS[name] = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key, builder.sign(signer, hashes.SHA256())


def _write(path: Path, *certificates: x509.Certificate) -> None:
    path.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates))
