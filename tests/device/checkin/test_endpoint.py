# SPDX-License-Identifier: Apache-2.0
"""The device's side of the wire against a service that misbehaves."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from tests.device.cut_flash import CutFlash

from armillary.device.checkin import endpoint as endpoints
from armillary.device.checkin.endpoint import DeviceEndpoint, tls_context
from armillary.device.state.clock import DeviceClock
from armillary.errors import DeviceFault, InstallError, RateLimitedError, ServiceUnreachableError, WireError
from armillary.wire.device.challenge import Challenge, encode_challenge
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.device.problem import Problem, encode_problem

PACKAGE = bytes(range(256)) * 1000
IMAGE = OfferedImage(
    component_id=uuid.UUID(int=1),
    image_id=uuid.UUID(int=2),
    image_type=10,
    name="app",
    size=len(PACKAGE),
    sha256=hashlib.sha256(PACKAGE).digest(),
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(handler: Handler, question: Callable[[DeviceEndpoint], Awaitable[Any]]) -> Any:
    """One question over plain HTTP: TLS has its own tests, the limits are the same."""

    async def play() -> Any:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        try:
            async with DeviceEndpoint(f"http://127.0.0.1:{port}", ssl.create_default_context()) as endpoint:
                return await question(endpoint)
        finally:
            await runner.cleanup()

    return asyncio.run(play())


def challenge(endpoint: DeviceEndpoint) -> Awaitable[Challenge]:
    return endpoint.challenge()


def download(endpoint: DeviceEndpoint) -> Awaitable[bytes]:
    return endpoint.download(IMAGE)


def answer(status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return handler


def test_positive_control() -> None:
    message = Challenge(b"c" * 54, 1_800_000_000)
    assert ask(answer(body=encode_challenge(message)), challenge) == message
    assert ask(answer(body=PACKAGE), download) == PACKAGE


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    for question in (challenge, download):
        with pytest.raises(DeviceFault, match="302"):
            ask(handler, question)
    assert "/elsewhere" not in asked


def test_an_endless_answer_is_cut_at_its_limit() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent < 64 * 1024 * 1024:
                await response.write(b"x" * 65536)
                sent += 65536
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    with pytest.raises(WireError, match="at most 256 bytes"):
        ask(handler, challenge)
    with pytest.raises(InstallError, match="more than the"):
        ask(handler, download)
    assert sent < 32 * 1024 * 1024


def test_wrong_bytes_of_the_right_size_are_refused() -> None:
    with pytest.raises(InstallError, match="other bytes than it offered"):
        ask(answer(body=bytes(len(PACKAGE))), download)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(ranges: bool) -> None:
    starts: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        start = request.http_range.start or 0 if ranges else 0
        starts.append(request.http_range.start or 0)
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(PACKAGE) - start
        await response.prepare(request)
        if len(starts) < 3:
            await response.write(PACKAGE[start : start + 100_000])
            request.transport.close()
            return response
        await response.write(PACKAGE[start:])
        return response

    assert ask(handler, download) == PACKAGE
    assert len(starts) == 3
    assert starts[0] == 0
    assert starts[1] > 0


def test_a_service_that_never_finishes_is_given_up() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(PACKAGE)
        await response.prepare(request)
        await response.write(PACKAGE[:10])
        request.transport.close()
        return response

    with pytest.raises(ServiceUnreachableError, match="did not finish"):
        ask(handler, download)


def test_a_silent_service_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "REQUEST_TIMEOUT_S", 0.2)
    monkeypatch.setattr(endpoints, "IDLE_TIMEOUT_S", 0.1)

    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    with pytest.raises(ServiceUnreachableError, match="no answer in time"):
        ask(handler, challenge)
    with pytest.raises(ServiceUnreachableError, match="did not finish"):
        ask(handler, download)


@pytest.mark.parametrize(
    ("headers", "problem", "expected"),
    [
        ({"Retry-After": "17"}, None, 17),
        ({"Retry-After": "17"}, Problem("device.try-later", "busy", "Wait.", 40), 40),
        ({}, None, endpoints.DEFAULT_RETRY_AFTER_S),
        ({"Retry-After": "Tue, 24 Nov 2026 00:00:00 GMT"}, None, endpoints.DEFAULT_RETRY_AFTER_S),
        ({"Retry-After": "999999999"}, None, endpoints.MAX_RETRY_AFTER_S),
        ({"Retry-After": "-5"}, None, endpoints.DEFAULT_RETRY_AFTER_S),
    ],
)
def test_try_later_says_when(headers: dict[str, str], problem: Problem | None, expected: int) -> None:
    body = b"busy" if problem is None else encode_problem(problem)
    for status in (429, 503):
        with pytest.raises(RateLimitedError) as caught:
            ask(answer(status, body, headers), challenge)
        assert caught.value.retry_after_s == expected


def test_the_services_own_words_reach_the_person() -> None:
    problem = Problem("device.revoked", "its identity was withdrawn", "Restore it.", None)
    with pytest.raises(DeviceFault) as caught:
        ask(answer(403, encode_problem(problem)), challenge)
    assert (caught.value.code, caught.value.message, caught.value.remedy) == (
        "device.revoked",
        "its identity was withdrawn",
        "Restore it.",
    )


def test_nobody_there_is_explained() -> None:
    async def play() -> None:
        async with DeviceEndpoint("http://127.0.0.1:1", ssl.create_default_context()) as endpoint:
            await endpoint.challenge()

    with pytest.raises(ServiceUnreachableError, match=r"127\.0\.0\.1"):
        asyncio.run(play())


def test_a_proxy_variable_redirects_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    message = Challenge(b"c" * 54, 1_800_000_000)
    assert ask(answer(body=encode_challenge(message)), challenge) == message


def test_only_tls_1_3_and_only_one_root(tiny_service: Any) -> None:
    context = tls_context(tiny_service.root.public_bytes(serialization.Encoding.PEM).decode(), DeviceClock(CutFlash()))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
