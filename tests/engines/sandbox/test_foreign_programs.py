# SPDX-License-Identifier: Apache-2.0
"""Programs that others wrote, unmodified, as applications: they reach what is declared and fail at what is not.

Each is run in the sandbox at a server of this host, in four languages: C (curl, openssl, mosquitto_pub), Python
(http.client, asyncio, paho-mqtt), JavaScript (Node.js), and a shell around them.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import Outcome, Stage
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import outside
from armillary.engines.sandbox.port import Sandbox

BODY = b"what the server says" * 1000


class Answer(BaseHTTPRequestHandler):
    """A page for everybody."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def https(tmp_path: Path) -> Iterator[tuple[int, bytes]]:
    """A TLS server with a certificate for localhost, and that certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:web.example"]
    program = found("openssl", "openssl")
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", *subject),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], certificate.read_bytes()
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def web_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to this host: curl has an answer of its own for "localhost", and asks nobody."""

    async def addresses(*_: object) -> list[tuple[socket.AddressFamily, str]]:
        return [(socket.AF_INET, "127.0.0.1")]

    monkeypatch.setattr(outside, "addresses_of", addresses)


def found(program: str, package: str) -> str:
    """The program's path, or skip; the sandbox shows /usr alone."""
    path = shutil.which(program, path="/usr/bin:/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not below /usr: apt-get install {package}")
    return path


def shell(stage: Stage, sandbox: Sandbox, script: str, **more: Any) -> Outcome:
    return stage.run(sandbox, script, interpreter="#!/usr/bin/env sh\n", hosts=["localhost", "web.example"], **more)


def test_curl(stage: Stage, enclosed: Sandbox, http: int) -> None:
    curl = found("curl", "curl")
    outcome = shell(
        stage,
        enclosed,
        f"{curl} -sS http://web.example:{http}/ | wc -c; {curl} -sS --max-time 5 http://web.example:{http}/a "
        f"http://web.example:{http}/b | wc -c; {curl} -sS --max-time 5 http://undeclared.example/; echo $?",
    )
    assert outcome.lines == [str(len(BODY)), str(2 * len(BODY)), "6"], outcome.errors  # 6: could not resolve
    assert ("undeclared.example", 0, "lookup") in outcome.refused()


def test_curl_and_openssl_over_tls(stage: Stage, namespaces: LinuxSandbox, https: tuple[int, bytes]) -> None:
    port, certificate = https
    curl, openssl = found("curl", "curl"), found("openssl", "openssl")
    outcome = shell(
        stage,
        namespaces,
        f"{curl} -sS --cacert /ca.pem https://web.example:{port}/ | wc -c\n"
        f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | {openssl} s_client -quiet -ign_eof -connect localhost:{port} "
        "-CAfile /ca.pem -verify_return_error 2>/dev/null | head -1 | tr -d '\\r'",
        files={"ca.pem": certificate},
    )
    assert outcome.lines == [str(len(BODY)), "HTTP/1.1 200 OK"], outcome.errors


PYTHON = """
import asyncio, http.client, urllib.request
connection = http.client.HTTPConnection("localhost", PORT, timeout=5)
for _ in range(2):
    connection.request("GET", "/"); print(len(connection.getresponse().read()))
print(len(urllib.request.urlopen("http://localhost:PORT/", timeout=5).read()))
async def fetch():
    reader, writer = await asyncio.open_connection("localhost", PORT)
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    return len((await reader.read()).partition(b"\\r\\n\\r\\n")[2])
async def many():
    return await asyncio.gather(*(fetch() for _ in range(10)))
print(set(asyncio.run(many())))
"""


def test_clients_of_python(stage: Stage, namespaces: LinuxSandbox, http: int) -> None:
    outcome = stage.run(namespaces, PYTHON.replace("PORT", str(http)), hosts=["localhost"])
    size = str(len(BODY))
    assert outcome.lines == [size, size, size, f"{{{size}}}"], outcome.errors


NODE = """
const http = require('http'), net = require('net');
http.get('http://localhost:PORT/', (response) => {
  let size = 0;
  response.on('data', (part) => { size += part.length; });
  response.on('end', () => {
    console.log(size);
    const refused = net.connect(PORT, '127.0.0.2');
    refused.on('error', (error) => console.log(error.code));
    refused.on('connect', () => console.log('reached'));
  });
}).on('error', (error) => console.log(error.code));
"""


def test_node(stage: Stage, namespaces: LinuxSandbox, http: int) -> None:
    node = found("node", "nodejs")
    outcome = stage.run(
        namespaces, NODE.replace("PORT", str(http)), hosts=["localhost"], interpreter=f"#!{node} --jitless\n"
    )
    assert outcome.lines == [str(len(BODY)), "EACCES"], outcome.errors


PAHO = """
import sys; sys.path.insert(0, "/packages")
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
heard = []
client.on_message = lambda _client, _data, message: (heard.append(message.payload), client.disconnect())
client.on_subscribe = lambda *_: client.publish("from/paho", b"hello", qos=1)
client.on_connect = lambda *_: client.subscribe("from/paho", qos=1)
client.connect("localhost", PORT); client.loop_forever()
print(heard)
"""


def test_mqtt_clients_of_c_and_python(stage: Stage, namespaces: LinuxSandbox, tmp_path: Path) -> None:
    broker, publish = found("mosquitto", "mosquitto"), found("mosquitto_pub", "mosquitto-clients")
    subscribe = found("mosquitto_sub", "mosquitto-clients")
    paho = Path(pytest.importorskip("paho.mqtt").__file__).parent
    port = reserved_port()
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with killed_process([broker, "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until(lambda: _listens(port), "the broker")
        outcome = shell(
            stage,
            namespaces,
            f"{publish} -h localhost -p {port} -q 1 -r -t a/topic -m 'kept' && echo published\n"
            f"{subscribe} -h localhost -p {port} -t a/topic -C 1",
        )
        assert outcome.lines == ["published", "kept"], outcome.errors
        files = {f"packages/paho/mqtt/{path.relative_to(paho)}": path.read_bytes() for path in paho.rglob("*.py")} | {
            "packages/paho/__init__.py": b""
        }
        outcome = stage.run(namespaces, PAHO.replace("PORT", str(port)), hosts=["localhost"], files=files)
        assert outcome.lines == ["[b'hello']"], outcome.errors


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
