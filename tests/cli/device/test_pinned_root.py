# SPDX-License-Identifier: Apache-2.0
"""``armillary device create`` for a service known by its root's fingerprint, against who is in between; ``--boot``."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.api.running_service import RunningService
from tests.cli.conftest import Command
from tests.fixtures.certificates import self_signed

from armillary.cli.device import own_process, pinned_root

TOKEN = "arme_" + "s" * 43  # what somebody in between would like to have


def sha256_of(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


class Stranger:
    """A server with a certificate of its own, which is its root, at a name that it has no right to; keeps what it was sent.

    ``gives`` writes what it answers where the root is asked for.
    """

    def __init__(self, folder: Path) -> None:
        certificate, self.root, _ = self_signed(folder, "localhost", hosts=("localhost", "127.0.0.1"))
        self.heard: list[tuple[str, str | None]] = []
        self.ended = threading.Event()
        self.gives: Callable[[Any], None] = lambda handler: answer(handler, self.root.encode())
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stranger.heard.append((f"GET {self.path}", self.headers["Authorization"]))
                stranger.gives(self)

            def do_POST(self) -> None:
                stranger.heard.append((f"POST {self.path}", self.headers["Authorization"]))
                answer(self, b"{}")

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"https://localhost:{self.server.server_address[1]}"


def answer(handler: Any, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.ended.set()
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def create(bare: Command, folder: Path, address: str, sha256: str, *more: str) -> Any:
    given = ("--service", address, "--root-sha256", sha256, "--token", TOKEN)
    return bare("device", "create", "--data", str(folder), "--sandbox", "process", *given, *more)


def root_of(service: RunningService) -> str:
    first = x509.load_pem_x509_certificates(service.root.read_bytes())[0]
    return first.fingerprint(hashes.SHA256()).hex()


def test_another_root_is_refused_and_the_token_is_not_sent(
    bare: Command, service: RunningService, stranger: Stranger, tmp_path: Path
) -> None:
    wanted = root_of(service)
    ran = create(bare, tmp_path / "d", stranger.address, wanted)
    assert (ran.code, "[host.service-root]" in ran.err) == (1, True), ran.err
    said = " ".join(ran.err.split())
    assert f"expected a root certificate with SHA-256 {wanted}, got {sha256_of(stranger.root)}" in said
    assert stranger.heard == [("GET /api/v1/public/root.pem", None)]


def test_whoever_passes_the_right_root_on_is_refused_by_the_connection_that_follows(
    bare: Command, service: RunningService, stranger: Stranger, tmp_path: Path
) -> None:
    stranger.gives = lambda handler: answer(handler, service.root.read_bytes())
    ran = create(bare, tmp_path / "d", stranger.address, root_of(service))
    assert (ran.code, "the server's certificate is not trusted" in " ".join(ran.err.split())) == (1, True), ran.err
    assert stranger.heard == [("GET /api/v1/public/root.pem", None)]


def test_control_it_is_the_fingerprint_that_keeps_the_token(bare: Command, stranger: Stranger, tmp_path: Path) -> None:
    create(bare, tmp_path / "d", stranger.address, sha256_of(stranger.root).upper())
    assert stranger.heard[1:] == [("POST /api/v1/factory/devices", f"Bearer {TOKEN}")]


def test_what_is_no_root_ends_within_its_limits(
    bare: Command, stranger: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stranger.ended.wait(0.02):
            handler.wfile.write(b"-")

    def said(gives: Callable[[Any], None]) -> str:
        stranger.gives = gives
        ran = create(bare, tmp_path / "d", stranger.address, "0" * 64)
        assert ran.code == 1
        return " ".join(ran.err.split())

    huge = b"x" * (pinned_root.MAX_ANSWER_BYTES + 1)
    broken = b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    assert "more than 65,536 bytes" in said(lambda handler: answer(handler, huge))
    assert "got none; no token was sent" in said(lambda handler: answer(handler, b"hello"))
    assert "no token was sent" in said(lambda handler: answer(handler, broken))
    assert "got HTTP 404" in said(lambda handler: answer(handler, b"no", 404))
    monkeypatch.setattr(pinned_root, "WITHIN_S", 0.5)
    assert "no answer" in said(drip)
    assert {token for _, token in stranger.heard} == {None}


def test_wrong_usage_is_said(bare: Command, service: RunningService, tmp_path: Path) -> None:
    ran = create(bare, tmp_path / "d", service.address, "abc")
    assert "root-sha256: expected 64 hexadecimal digits, got 'abc'" in ran.err
    both = create(bare, tmp_path / "d", service.address, "0" * 64, "--ca", str(service.root))
    assert (both.code, "leave one out" in " ".join(both.err.split())) == (2, True), both.err


def test_the_same_command_makes_claims_and_boots_and_later_only_boots(
    bare: Command, service: RunningService, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booted: list[Path] = []
    monkeypatch.setattr(own_process, "be_device", lambda data, **_: booted.append(data))
    monkeypatch.setenv("ARMILLARY_CA", str(tmp_path / "of another service.pem"))
    secret = service.service.enrolments.create(catalog, actor="test").secret
    folder = tmp_path / "device"
    given = ("--service", service.address, "--root-sha256", root_of(service), "--token", secret, "--boot", "--json")
    command = ("device", "create", "--data", str(folder), "--sandbox", "process", *given)
    made = bare(*command).json
    assert booted == [folder]
    assert service.service.registry.devices.get(made["device_id"]).catalog == catalog
    again = bare(*command)
    assert (again.code, again.out, "holds a device already: it boots" in again.err) == (0, "", True), again.err
    assert booted == [folder, folder]
    assert bare(*command[:-2]).code == 1, "without --boot nothing is made or booted there"
