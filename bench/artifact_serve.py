# SPDX-License-Identifier: Apache-2.0
"""How fast the device endpoint serves an artifact of the repository, against a stock nginx with sendfile.

Both serve the same file of the same folder over TLS 1.3 on loopback, from one process; curl reads it, so that reading
costs both the same. Rounds alternate. By the clock the reader is a part of what is measured; so each server's own CPU
seconds are measured as well. With nginx, OpenSSL encrypts in user space unless the kernel does TLS itself.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from armillary.errors import NotFoundError
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.encoding.pem import armour
from bench.bare_handshake import TLS_FILE
from bench.result import result
from bench.service_process import cpu_seconds

FILE_BYTES = 32 << 20
FETCHES = 8  # of one round, over one connection
ROUNDS = 7
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CURL = shutil.which("curl")

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
error_log stderr error;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        sendfile on;
        root {root};
    }}
}}
"""


def run() -> list[dict[str, object]]:
    """Median rates of both; NotFoundError unless nginx and curl are here."""
    if NGINX is None or CURL is None:
        raise NotFoundError("nginx or curl is missing", remedy="sudo apt-get install nginx curl")
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as name:
        folder = Path(name)
        data = folder / "data"
        with serving(data) as (pid, port):
            path = artifact(data / "repository")
            credentials = device_files(folder, data, port)
            ours = f"https://localhost:{port}/v1/repository/{path}"
            with nginx(folder, data) as (worker, other):
                theirs = f"https://localhost:{other}/{path}"
                rates: dict[str, list[float]] = {ours: [], theirs: []}
                before = cpu_seconds(pid), cpu_seconds(worker)
                for _ in range(ROUNDS):
                    for address, found in rates.items():
                        found.append(rate(address, credentials))
                spent = cpu_seconds(pid) - before[0], cpu_seconds(worker) - before[1]
    value, reference = (statistics.median(found) for found in rates.values())
    of_cpu, reference_of_cpu = (ROUNDS * FETCHES * FILE_BYTES / 1e6 / seconds for seconds in spent)
    conditions = f"{FETCHES} times {FILE_BYTES >> 20} MiB over one TLS 1.3 connection by curl, {ROUNDS} rounds"
    peer = "nginx sendfile over TLS"
    return [
        result("artifact-serve", value, "MB/s, median", (peer, reference), conditions),
        result("artifact-serve-cpu", of_cpu, "MB/CPU s of server", (peer, reference_of_cpu), conditions),
    ]


@contextmanager
def serving(data: Path) -> Iterator[tuple[int, int]]:
    """The security service alone with one device; gives its process id and the port of the device endpoint."""
    command = [sys.executable, "-m", "bench.checkin_service", str(data), "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(next(line for line in process.stdout if line.strip().isdecimal()))
        finally:
            process.communicate()


def artifact(repository: Path) -> str:
    """A file that the repository serves; its path. Metadata does not name it: that is the client's to check."""
    content = bytes(range(256)) * (FILE_BYTES // 256)
    path = f"targets/os/mt3620/bench/{sha256(content).hexdigest()}.big"
    place = repository / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return path


def device_files(folder: Path, data: Path, port: int) -> list[str]:
    """Options of curl that show the device's identity and trust the service."""
    ((secret, reply),) = pickle.loads((data / "devices.bin").read_bytes())
    device = WireDevice.make(secret, lambda _: reply, port=port)
    key = device.prover.identity.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = b"".join(armour("CERTIFICATE", der) for der in reply.certificate_chain)
    (folder / "identity.pem").write_bytes(key + chain)
    (folder / "root.pem").write_bytes(armour("CERTIFICATE", reply.service_root))
    return ["--cert", str(folder / "identity.pem"), "--cacert", str(folder / "root.pem")]


@contextmanager
def nginx(folder: Path, data: Path) -> Iterator[tuple[int, int]]:
    """A stock nginx over the repository's folder, with the service's own certificate; its worker's id, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    certificate, key, _ = pickle.loads((data / TLS_FILE).read_bytes())
    text = CONFIGURATION.format(folder=folder, port=port, root=data / "repository", certificate=certificate, key=key)
    if os.geteuid() == 0:
        text = "user root;\n" + text
    (folder / "nginx.conf").write_text(text)
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 20
            while process.poll() is None and time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield int(worker), port
        finally:
            process.terminate()


def rate(address: str, credentials: list[str]) -> float:
    """MB (10^6 bytes) a second that curl reads."""
    fetches = ["-o", "/dev/null", address] * FETCHES
    start = time.perf_counter()
    subprocess.run([str(CURL), "-sS", "--fail", *credentials, *fetches], check=True)
    return FETCHES * FILE_BYTES / (time.perf_counter() - start) / 1e6
