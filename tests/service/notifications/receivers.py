# SPDX-License-Identifier: Apache-2.0
"""Real receivers of notifications: an HTTP server, a syslog server, and targets that hang."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What an HTTP server got; it answers with ``answers`` in turn, then with ``answer``, and always with ``body``."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    answer: int = 204
    body: bytes = b""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)  # path, headers, body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hidden-in-the-address"


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.path, dict(self.headers), body))
            self.send_response(found.answers.pop(0) if found.answers else found.answer)
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Stream:
    """What a server of a stream got, one entry for each connection that ended."""

    port: int
    got: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def stream(context: ssl.SSLContext | None = None, *, resets: bool = False) -> Iterator[Stream]:
    """A server over TCP, or TLS; one that ``resets`` closes what it has not read."""
    listening = socket.create_server(("127.0.0.1", 0))
    found = Stream(listening.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            with plain, contextlib.suppress(OSError):
                plain.settimeout(10)
                if resets:
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    continue
                channel = context.wrap_socket(plain, server_side=True) if context is not None else plain
                data = b""
                while part := channel.recv(1 << 16):
                    data += part
                found.got.append(data)
                if context is not None:
                    channel.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield found
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@contextlib.contextmanager
def hanging() -> Iterator[int]:
    """The port of a server that accepts whatever comes and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening.getsockname()[1]


@contextlib.contextmanager
def dripping(words: bytes, every_s: float = 0.05) -> Iterator[int]:
    """The port of a server that says the same few words again and again, and never comes to an end."""
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                while not ended.wait(every_s):
                    connection.sendall(words)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
