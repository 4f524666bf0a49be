# SPDX-License-Identifier: Apache-2.0
"""One connection to the operator API: it is kept between requests, and made anew where the service ended it."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.fixtures.certificates import self_signed
from tests.fixtures.waiting import DEADLINE_S, wait_until

from armillary.cli.terminal.connection import make_connection
from armillary.cli.terminal.exchange import PART_BYTES, Exchange
from armillary.errors import ServiceUnreachableError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Service:
    """Answers each request with {} and, after so many on a connection, ends it without a word."""

    def __init__(self, folder: Path, requests_each: int) -> None:
        made, self.root, _ = self_signed(folder, "localhost", hosts=["localhost"])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(made)
        self._listener = socket.create_server(("localhost", 0))
        self._requests_each = requests_each
        self.address = f"https://localhost:{self._listener.getsockname()[1]}"
        self.begun = self.ended = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE_S)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listener.accept()
                with self._context.wrap_socket(accepted, server_side=True) as connection:
                    self.begun += 1
                    for _ in range(self._requests_each):
                        if not connection.recv(1 << 16):
                            break
                        connection.sendall(ANSWER)
                self.ended += 1


@pytest.fixture
def exchange_with(tmp_path: Path) -> Iterator[Callable[[int], tuple[Service, Exchange]]]:
    with contextlib.ExitStack() as stack:

        def start(requests_each: int) -> tuple[Service, Exchange]:
            service = stack.enter_context(Service(tmp_path, requests_each))
            exchange = Exchange(make_connection(service.address, "token", service.root))
            stack.callback(exchange.close)
            return service, exchange

        yield start


def test_a_connection_is_kept_between_requests(exchange_with: Callable[[int], tuple[Service, Exchange]]) -> None:
    service, exchange = exchange_with(3)
    for _ in range(3):
        exchange.call("GET", "/")
    assert service.begun == 1


def test_a_connection_that_the_service_has_ended_meanwhile_is_made_anew(
    exchange_with: Callable[[int], tuple[Service, Exchange]],
) -> None:
    service, exchange = exchange_with(1)
    for done, method in enumerate(("GET", "POST", "DELETE"), start=1):
        exchange.call(method, "/")
        wait_until(lambda done=done: service.ended == done, "the service ends the connection")
    assert b"".join(exchange.download("/")) == b"{}"
    assert service.begun == 4


def test_a_connection_that_ends_under_a_request_is_no_answer(
    exchange_with: Callable[[int], tuple[Service, Exchange]],
) -> None:
    """Whether it was done is not known, so it is not asked a second time."""
    service, exchange = exchange_with(0)
    with pytest.raises(ServiceUnreachableError, match="no answer"):
        exchange.call("POST", "/", {"name": "x"})
    assert service.begun == 1


class Measuring(http.server.BaseHTTPRequestHandler):
    """Answers with the size and the digest of a body that says how long it is."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        answer = json.dumps({**said, "in_parts": "Transfer-Encoding" in self.headers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("size", [PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES, 5 * PART_BYTES - 7])
def test_a_large_body_is_sent_whole_and_says_how_long_it_is(tmp_path: Path, size: int) -> None:
    made, root, _ = self_signed(tmp_path, "localhost", hosts=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    body = bytes(number % 251 for number in range(size))
    with http.server.HTTPServer(("localhost", 0), Measuring) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        exchange = Exchange(make_connection(f"https://localhost:{server.server_port}", "token", root))
        try:
            answer = exchange.send("POST", "/", body, media_type="application/octet-stream")[2]
        finally:
            exchange.close()
            server.shutdown()
            thread.join(DEADLINE_S)
    assert answer == {"size": size, "sha256": hashlib.sha256(body).hexdigest(), "in_parts": False}
