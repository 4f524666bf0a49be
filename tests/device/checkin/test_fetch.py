# SPDX-License-Identifier: Apache-2.0
"""Artifacts by a delta where there is a good one, else whole: whatever a service gives, the device has what was offered."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from tests.device.cut_flash import CutFlash
from tests.device.install.offers import COMPONENTS, NOW
from tests.update.delta.pairs import delta, digest, edited, noise, text

from armillary.device.checkin import fetch
from armillary.device.checkin.endpoint import DeviceEndpoint
from armillary.device.checkin.fetch import ArtifactFetch
from armillary.device.state.journal import Journal
from armillary.update.delta.choice import StoredArtifact
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.device.problem import Problem, encode_problem

OLD = text(1, 80_000)
NEW = edited(OLD, 2, 9)
DELTA = delta(OLD, NEW)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def offered(content: bytes, number: int, component: int = 0) -> OfferedImage:
    return OfferedImage(
        component_id=COMPONENTS[component],
        image_id=UUID(int=number),
        image_type=10,
        name="app",
        size=len(content),
        sha256=digest(content).sha256,
    )


class Played:
    """What was asked of the service, what the device wrote into its log, how long it waited."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.log: list[Mapping[str, object]] = []
        self.waited: list[float] = []
        self.content = b""

    @property
    def whole(self) -> bool:
        """Whether the whole artifact was fetched."""
        return any(path.startswith("/v1/images/") for path in self.asked)


def play(answer: Answer, wanted: OfferedImage | None = None, *, new: bytes = NEW, kept: bytes | None = OLD) -> Played:
    """Fetch an artifact from a service that gives this answer when it is asked for a delta.

    The device runs the old version, of which its flash has ``kept``.
    """
    played = Played()
    stored = StoredArtifact(COMPONENTS[0], digest(OLD).sha256, "applications/app/a")
    flash = CutFlash({} if kept is None else {stored.region: kept})

    async def handler(request: web.Request) -> web.StreamResponse:
        played.asked.append(request.path)
        return await answer(request) if request.path.startswith("/v1/delta/") else web.Response(body=new)

    async def wait(seconds: float) -> None:
        played.waited.append(seconds)

    async def run() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        journal = Journal(None, lambda: NOW)
        journal.listen(played.log.append)
        try:
            async with DeviceEndpoint(f"http://127.0.0.1:{port}", ssl.create_default_context()) as endpoint:
                artifacts = ArtifactFetch(endpoint, flash, lambda: [stored], journal, sleep=wait)
                played.content = await artifacts.fetch(wanted or offered(new, 2), endpoint.download)
        finally:
            await runner.cleanup()

    asyncio.run(run())
    return played


def gives(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


def events(played: Played) -> list[object]:
    return [entry["event"] for entry in played.log]


def test_a_delta_is_used_where_there_is_one() -> None:
    played = play(gives(DELTA))
    assert played.content == NEW
    assert played.asked == [f"/v1/delta/{digest(OLD).sha256.hex()}/{digest(NEW).sha256.hex()}"]
    assert played.log == [
        {
            "at": NOW,
            "event": "delta-used",
            "name": "app",
            "image_id": str(UUID(int=2)),
            "bytes": len(DELTA),
            "of": len(NEW),
        }
    ]


def test_an_empty_answer_says_that_there_is_none() -> None:
    played = play(gives(b""))
    assert (played.content, played.whole, played.log) == (NEW, True, [])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (DELTA[:-1], "its end"),
        (DELTA + b"x", "end after the last segment"),
        (bytes([DELTA[0] ^ 1]) + DELTA[1:], "ADLT version 1"),
        (DELTA[:200] + bytes(60) + DELTA[260:], ""),
        (delta(OLD, OLD[:-1]), "expected the target"),
        (delta(OLD[:-1], NEW), "expected the source"),
        (noise(1, 5000), "ADLT version 1"),
        (bytes(len(NEW) + 1), "at most"),
    ],
    ids=["cut", "longer", "other format", "damaged", "other target", "other source", "noise", "longer than its target"],
)
def test_a_bad_delta_is_one_line_of_the_log_and_the_whole_is_fetched(body: bytes, reason: str) -> None:
    played = play(gives(body))
    assert (played.content, played.whole) == (NEW, True)
    assert events(played) == ["delta-refused"]
    assert reason in str(played.log[0]["reason"])


@pytest.mark.parametrize("status", [302, 400, 403, 404, 500])
def test_a_service_that_knows_no_deltas_gives_the_whole(status: int) -> None:
    played = play(gives(b"", status))
    assert (played.content, played.whole, events(played)) == (NEW, True, ["delta-missed"])


def test_a_delta_that_is_being_made_is_waited_for() -> None:
    answers = iter([gives(busy(7), 429), gives(busy(9), 429), gives(DELTA)])

    async def answer(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    played = play(answer)
    assert (played.content, played.whole, played.waited) == (NEW, False, [7, 9])


def test_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(gives(busy(50), 429))
    assert (played.content, played.whole, played.waited) == (NEW, True, [50, 50])
    assert events(played) == ["delta-missed"]
    assert play(gives(busy(100_000), 503)).waited == []
    monkeypatch.setattr(fetch, "PATIENCE_S", 3.0)
    assert play(gives(busy(1), 429)).waited == [1, 1, 1], "nor as often as the service likes"


def busy(seconds: int) -> bytes:
    return encode_problem(Problem("device.try-later", "the delta is being made", "Wait.", seconds))


def test_a_broken_download_goes_on_where_it_stopped() -> None:
    starts: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        start = request.http_range.start or 0
        starts.append(start)
        response = web.StreamResponse(status=206 if start else 200)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(DELTA) - 1}/{len(DELTA)}"
        response.content_length = len(DELTA) - start
        await response.prepare(request)
        await response.write(DELTA[start : start + 100] if len(starts) < 3 else DELTA[start:])
        if len(starts) < 3:
            request.transport.close()
        return response

    played = play(answer)
    assert (played.content, played.whole, starts) == (NEW, False, [0, 100, 200])


@pytest.mark.parametrize("change", ["length", "no range", "no length"])
def test_a_delta_that_changes_between_two_requests_is_refused(change: str) -> None:
    starts: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        start = request.http_range.start or 0
        starts.append(start)
        response = web.StreamResponse(status=206 if start and change != "no range" else 200)
        if start and change == "length":
            response.headers["Content-Range"] = f"bytes {start}-{len(DELTA)}/{len(DELTA) + 1}"
        if start and change == "no length":
            response.headers["Content-Range"] = "bytes */*"
        response.content_length = len(DELTA) - start
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(DELTA[start:] if start else DELTA[:100])
        if not start:
            request.transport.close()
        return response

    played = play(answer)
    assert (played.content, played.whole, events(played), starts) == (NEW, True, ["delta-refused"], [0, 100])


def test_an_endless_delta_is_cut_at_the_size_of_its_target() -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while sent < 1 << 26:
                await response.write(bytes(65536))
                sent += 65536
        return response

    played = play(answer)
    assert (played.content, played.whole, events(played)) == (NEW, True, ["delta-refused"])
    assert sent < 1 << 25


def test_nothing_is_asked_for_where_no_delta_can_help() -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        raise AssertionError(request.path)

    assert play(never, offered(NEW, 2, component=1)).whole, "another component"
    small: Any = b"x" * 5000
    assert play(never, offered(small, 2), new=small).whole, "small"


@pytest.mark.parametrize("kept", [None, OLD[:-1], bytes([OLD[0] ^ 1]) + OLD[1:]])
def test_a_source_that_flash_no_longer_holds_is_no_source(kept: bytes | None) -> None:
    played = play(gives(DELTA), kept=kept)
    assert (played.content, played.whole, events(played)) == (NEW, True, ["delta-missed"])
