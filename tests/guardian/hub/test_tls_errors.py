# SPDX-License-Identifier: Apache-2.0
"""What a broken connection leaves in OpenSSL's list of errors spoils the read of a good one, until it is emptied."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.certificates import self_signed
from tests.fixtures.waiting import wait_until

from armillary.guardian.hub import connection


@contextlib.contextmanager
def connected(folder: Path) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Two ends of a TLS connection; the first does not wait."""
    file, pem, _ = self_signed(folder, "localhost", hosts=["localhost"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    ends: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(
            target=lambda: ends.append(server.wrap_socket(listener.accept()[0], server_side=True))
        )
        accepting.start()
        stream = socket.create_connection(listener.getsockname())
        client = ssl.create_default_context(cadata=pem).wrap_socket(stream, server_hostname="localhost")
        accepting.join()
    client.setblocking(False)
    with client, ends[0]:
        with pytest.raises(ssl.SSLWantReadError):
            client.recv(1)
        yield client, ends[0]


def break_a_connection(folder: Path) -> None:
    """Write to one whose other end is gone without a word, as after an outage."""
    with connected(folder) as (client, other):
        socket.socket(fileno=other.detach()).close()

        def fails() -> bool:
            try:
                client.send(b"a message")
            except OSError:
                return True
            return False

        wait_until(fails, "the write to fail")


@pytest.mark.parametrize("forgets", [True, False], ids=("emptied", "control"))
def test_a_good_connection_is_read_after_another_broke(tmp_path: Path, *, forgets: bool):
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    with connected(tmp_path / "good") as (good, _):

        def read() -> type[OSError]:
            break_a_connection(tmp_path / "bad")
            if forgets:
                connection._forget_tls_errors()
            with pytest.raises(OSError) as failed:
                good.recv(1)
            return failed.type

        if forgets:
            assert {read() for _ in range(4)} == {ssl.SSLWantReadError}
        else:  # a write that is told of the reset leaves nothing, so not every one does
            wait_until(lambda: read() is BrokenPipeError, "a read that is spoilt")
