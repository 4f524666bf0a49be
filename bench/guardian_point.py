# SPDX-License-Identifier: Apache-2.0
"""What a guardian's device spends on a point from the machine to the hub, and how long a read waits meanwhile.

Ten machines on libmodbus (C), 50 points each, ten polls a second: 5,000 points a second, all of them worth sending. The
guardian is the process that runs in the sandbox, on one core: it polls in blocks, decides about each request, decodes,
compares with what was sent, commits to its queue (SQLite, synchronous FULL, on a disk), and publishes over TLS with
QoS 1 to mosquitto, which stands for the hub; what is acknowledged leaves the queue.

``guardian-point``: CPU microseconds a point of that process, all of it. ``guardian-rate``: points a second that were
read, of 5,000. ``guardian-read``: how long the slowest of a hundred reads took. ``guardian-memory``: its memory.
``guardian-peer``: ThingsBoard's gateway on the same machines, which reads and stores and publishes nothing, where
THINGSBOARD_GATEWAY names the Python of a virtual environment that has it (``pip install thingsboard-gateway``).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.guardian_device import MACHINES, PERIOD_S, POINTS
from bench.guardian_peer import VARIABLE, peer
from bench.ingest import MOSQUITTO, wait_for
from bench.result import result

HERE = Path(__file__).resolve().parent
SECONDS = 20.0
ASKED = MACHINES * POINTS / PERIOD_S
POINT_LIMIT_US, READ_LIMIT_MS, MEMORY_LIMIT_MB = 10.0, 20.0, 60.0
# What reaches the hub of what was read: the rest was on its way when it ended.
DELIVERED = 0.95


def run() -> list[dict[str, object]]:
    """Points through a whole guardian."""
    with ExitStack() as stack:
        # On a disk: /tmp may be memory, where a sync costs nothing.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp", prefix="armillary-bench-")))
        modbus = stack.enter_context(machines(folder))
        hub, delivered = stack.enter_context(_hub(folder))
        command = [sys.executable, "-m", "bench.guardian_device", folder, modbus, hub, SECONDS]
        done = subprocess.run(
            [str(each) for each in command], capture_output=True, text=True, cwd=HERE.parent, timeout=120, check=False
        )
        if done.returncode:
            raise SystemExit(f"bench guardian-point: the guardian ended with {done.returncode}\n{done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])  # Before it is its log
        arrived = delivered()
        other = peer(folder, modbus, hub, SECONDS) if VARIABLE in os.environ else None
    if arrived < DELIVERED * found["points"]:
        raise SystemExit(f"bench guardian-point: {arrived} of {found['points']} points reached the hub")
    conditions = (
        f"{MACHINES} machines on libmodbus, {POINTS} points each, every {PERIOD_S:g} s, all worth sending; one core; "
        f"queue with synchronous FULL on a disk; TLS and QoS 1 to mosquitto; {SECONDS:g} s, machines on the same cores"
    )
    limit = "the limit"
    compared = [] if other is None else [_compared(found, other, conditions)]
    return [
        *compared,
        result("guardian-point", found["cpu_us"], "us/point", (limit, POINT_LIMIT_US), conditions),
        result("guardian-rate", found["points_per_s"], "points/s", ("asked", ASKED), conditions),
        result("guardian-read", found["read_p99_ms"], "ms", (limit, READ_LIMIT_MS), f"p99; {conditions}"),
        result("guardian-memory", found["rss_mb"], "MB", (limit, MEMORY_LIMIT_MB), f"most of it; {conditions}"),
    ]


def _compared(found: Mapping[str, float], other: Mapping[str, float], conditions: str) -> dict[str, object]:
    reference = f"ThingsBoard's gateway, which stores and publishes nothing, at {other['points_per_s']:.0f} points/s"
    return result("guardian-peer", found["cpu_us"], "us/point", (reference, other["cpu_us"]), conditions)


@contextmanager
def machines(folder: Path) -> Iterator[int]:
    """The machines, for a block: their port."""
    if shutil.which("gcc") is None or not Path("/usr/include/modbus/modbus.h").exists():
        raise SystemExit(
            "bench guardian-point: gcc and libmodbus-dev are missing; install them: scripts/install-test-tools"
        )
    program, port = folder / "machines", _free_port()
    subprocess.run(["gcc", "-O2", "-o", program, HERE / "modbus_machines.c", "-lmodbus"], check=True)
    process = subprocess.Popen([program, str(port)], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()  # type: ignore[union-attr] # it is a pipe
        yield port
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def _hub(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """Mosquitto with TLS that asks for a certificate: its port, and how many values came."""
    if not Path(MOSQUITTO).exists():
        raise SystemExit("bench guardian-point: mosquitto is missing; install it: scripts/install-test-tools")
    secured, plain = _free_port(), _free_port()
    keys = folder / "authentication"
    _write_certificates(keys)
    settings = folder / "mosquitto.conf"
    settings.write_text(
        "user root\nallow_anonymous true\npersistence false\nlog_type none\n"
        f"listener {plain} 127.0.0.1\nlistener {secured} 127.0.0.1\nrequire_certificate true\n"
        f"cafile {keys / 'ca.pem'}\ncertfile {keys / 'certificate.pem'}\nkeyfile {keys / 'key.pem'}\n"
    )
    process = subprocess.Popen([MOSQUITTO, "-c", settings])
    subscriber = paho.Client(CallbackAPIVersion.VERSION2)
    try:
        wait_for(plain)
        values: list[int] = []
        subscriber.on_message = lambda _client, _user, message: values.append(message.payload.count(b'"value'))
        subscriber.on_connect = lambda client, *_: client.subscribe("devices/#")
        subscriber.connect("127.0.0.1", plain)
        subscriber.loop_start()
        yield secured, lambda: sum(values)
    finally:
        subscriber.loop_stop()
        process.terminate()
        process.wait(10)


def _write_certificates(folder: Path) -> None:
    """A certificate that is good for both ends, and its issuer, as a device has them."""
    folder.mkdir()
    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")]), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    other_uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    usage = dict.fromkeys(other_uses, False)
    root = (
        builder.subject_name(issuer)
        .public_key(issuer_key.public_key())
        .serial_number(1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    own = (
        builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench device")]))
        .public_key(key.public_key())
        .serial_number(2)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "certificate.pem").write_bytes(own.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
