# SPDX-License-Identifier: Apache-2.0
"""The server: TLS versions, free ports, ports in use, quick answers, and an end that does not hang."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from tests.api.running_service import RunningService, own_service, running_service

from armillary.api.http import server
from armillary.api.http.server import ApiServer
from armillary.errors import PortInUseError

LONG_S = 40  # longer than a busy host takes for an end


def _app() -> FastAPI:
    app = FastAPI()
    app.state.closing = asyncio.Event()

    @app.get("/slow")
    async def slow() -> dict[str, bool]:
        app.state.entered.set()
        await asyncio.sleep(0.3)
        return {"done": True}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b": on\n\n"
            app.state.entered.set()
            await app.state.closing.wait()

        return StreamingResponse(events(), media_type="text/event-stream")

    app.state.entered = asyncio.Event()
    return app


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize(("path", "body"), [("/slow", b'{"done":true}'), ("/stream", b": on\n\n")])
def test_closing_lets_answers_finish_and_ends_streams(path: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE_S", LONG_S)

    async def play() -> tuple[Any, float]:
        app = _app()
        serving = ApiServer(app, None)
        port = await serving.start("127.0.0.1", 0)
        reading = asyncio.create_task(asyncio.to_thread(_get, port, path))
        await app.state.entered.wait()
        before = time.monotonic()
        await serving.close()
        took = time.monotonic() - before
        await serving.close()  # twice is once
        with pytest.raises(OSError):
            await asyncio.to_thread(_get, port, path)
        return await reading, took

    answer, took = asyncio.run(play())
    assert answer == (200, body)
    assert took < LONG_S / 2, "it waited for the end of the time that answers have"


def test_a_port_in_use_is_explained() -> None:
    async def play() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(PortInUseError, match="in use by another process"):
                await ApiServer(_app(), None).start("127.0.0.1", taken.getsockname()[1])

    asyncio.run(play())


def test_an_address_of_another_host_is_explained() -> None:
    with pytest.raises(PortInUseError, match="cannot listen on 192"):
        asyncio.run(ApiServer(_app(), None).start("192.0.2.1", 0))


own = own_service()


def _handshake(service: RunningService, version: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context(cafile=str(service.root))
    context.minimum_version = context.maximum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("localhost", service.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.version()


def test_tls_1_2_and_1_3_are_spoken_and_older_are_not(own: RunningService) -> None:
    assert _handshake(own, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert _handshake(own, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(own, ssl.TLSVersion.TLSv1_1)


def test_answers_do_not_wait_for_delayed_acknowledgements(own: RunningService) -> None:
    connection = own.connection()
    times = []
    for _ in range(60):
        before = time.perf_counter()
        connection.request("GET", "/api/v1/health")
        connection.getresponse().read()
        times.append(time.perf_counter() - before)
    connection.close()
    # Nagle with delayed ACK costs 0.040 s each, once a connection is past its beginning. A busy host costs some of
    # them more than that, and not the quickest.
    assert sorted(times[30:])[5] < 0.035, times


def test_an_idle_connection_does_not_delay_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRACE_S", "KEEP_ALIVE_S"):
        monkeypatch.setattr(server, name, LONG_S)
    with running_service(tmp_path) as running:
        connection = running.connection()
        connection.request("GET", "/api/v1/health")
        connection.getresponse().read()
        before = time.monotonic()
    assert time.monotonic() - before < LONG_S / 2
    connection.close()
