# SPDX-License-Identifier: Apache-2.0
"""Live values of a device or a dashboard, and changes of alerts, as server-sent events while the session stands.

Events: ``point`` with a JSON object (metric, value, at_ms, text), ``values`` with a list of what a dashboard's tiles
show (key, value, at_ms, texts by tile), ``alerts`` with how many are open of each severity, ``end`` when the operator
is no longer signed in; a comment line every few seconds keeps proxies from closing the connection and notices a browser
that went away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.callers import Caller, caller_of, catalog_of, owner_of
from armillary.api.native.dashboard_live import LiveResponse
from armillary.console.dashboards.pages_tile_words import names_of
from armillary.console.dashboards.pages_tiles import live_items
from armillary.console.dashboards.read import found
from armillary.console.device.subject import found_of
from armillary.console.device.tabs import point_event
from armillary.console.frame.console import Console, SignInNeededError, Visit
from armillary.console.sources.signed_in import Document
from armillary.errors import NotFoundError
from armillary.twin.author.dashboard import parse

if TYPE_CHECKING:
    from armillary.console.sources.sources import Sources

T = TypeVar("T")

# The last event of somebody who sees no more.
END = "event: end\ndata: {}\n\n"
# How often the session is asked for again while a stream is open: a revoked token sees at most this much more.
RECHECK_S = 5.0


async def admitted_visit(console: Console, request: Request) -> Visit:
    """Who asks, and that the request is theirs.

    Raises:
        SignInNeededError: nobody is signed in.
        QuotaExceededError: they have as many requests under way as they may have.
    """
    visit = await run_in_threadpool(console.visit, request)
    caller_of(request).admit(owner_of(visit.operator), catalog_of(visit.operator))
    return visit


class LiveStreams:
    """The open streams of this process.

    Args:
        recheck_s: Seconds between two looks at the session of an open stream.
        closing: Set when the server stops; streams end at once. None where nobody sets one.
    """

    def __init__(self, recheck_s: float = RECHECK_S, closing: asyncio.Event | None = None) -> None:
        self._recheck_s = recheck_s
        self._closing = closing or asyncio.Event()

    async def respond(self, console: Console, request: Request) -> Response:
        """Start a stream.

        Raises:
            SignInNeededError: nobody is signed in.
            NotFoundError: no such device.
            QuotaExceededError: too many streams are open.
        """
        visit = await admitted_visit(console, request)
        caller_of(request).hold(caller_of(request).budgets.streams)
        sources = visit.sources
        device_id = (await run_in_threadpool(found_of, visit, request.path_params["device_id"]))["device_id"]
        called = await run_in_threadpool(sources.hub.called, device_id)
        points = await run_in_threadpool(sources.hub.listen, device_id)
        if visit.operator.catalog is not None:
            points = _while_theirs(sources, device_id, points, caller_of(request))

        def event(item: Document) -> str:
            return f"event: point\ndata: {json.dumps(visit.said(point_event(item, called(item['metric']))))}\n\n"

        def shed() -> None:  # rehearsed sources count none
            sources.application.shed()

        return LiveResponse(shed, self._events(console, request, points, event))

    async def respond_dashboard(self, console: Console, request: Request) -> Response:
        """Start a dashboard's stream; a reader that takes nothing is let go.

        Raises:
            SignInNeededError: nobody is signed in.
            NotFoundError: no such dashboard.
            QuotaExceededError: too many streams are open.
        """
        visit = await admitted_visit(console, request)
        caller_of(request).hold(caller_of(request).budgets.streams)
        application = visit.sources.application
        async with caller_of(request).turn():
            document = await run_in_threadpool(found, visit)
            wanted = await run_in_threadpool(application.wanted, document["body"])
            labels = await run_in_threadpool(application.tile_labels, document["body"])
        tiles = parse(document["body"]).tiles
        names = {tile_id: names_of({"labels": each}) for tile_id, each in labels.items()}

        def event(items: list[Document]) -> str:
            data = json.dumps({"items": visit.said(live_items(tiles, items, names))})
            return f"event: values\ndata: {data}\n\n" if items else ""

        values = await run_in_threadpool(application.live, wanted, self._closing)
        return LiveResponse(application.shed, self._events(console, request, values, event))

    async def respond_alerts(self, console: Console, request: Request) -> Response:
        """Start a stream that says when alerts have changed: ``alerts``, with how many are open of each severity.

        Raises:
            SignInNeededError: nobody is signed in.
            PermissionDeniedError: the operator may not see alerts.
            QuotaExceededError: too many streams are open.
        """
        visit = await admitted_visit(console, request)
        caller_of(request).hold(caller_of(request).budgets.streams)
        application = visit.sources.application
        changes = application.alert_changes(self._closing)

        def event(found: Document) -> str:
            return f"event: alerts\ndata: {json.dumps(found)}\n\n"

        return LiveResponse(application.shed, self._events(console, request, changes, event))

    async def _events(
        self, console: Console, request: Request, values: AsyncGenerator[T], event: Callable[[T], str]
    ) -> AsyncIterator[str]:
        """Events of what comes, for as long as the session stands; ``event`` writes one, "" for nothing to say."""
        waiting: asyncio.Future[T] | None = None
        loop = asyncio.get_running_loop()
        checked = loop.time()
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            yield ": live\n\n"
            while True:
                waiting = waiting or asyncio.ensure_future(anext(values))
                done, _ = await asyncio.wait(
                    (waiting, closing), timeout=self._recheck_s, return_when=asyncio.FIRST_COMPLETED
                )
                if closing in done:
                    return
                if done:
                    came, waiting = waiting, None
                    try:
                        text = event(came.result())
                    except StopAsyncIteration:
                        return
                    except NotFoundError:  # the device is no longer the operator's
                        yield END
                        return
                    if text:
                        yield text
                if not done or loop.time() - checked >= self._recheck_s:
                    checked = loop.time()
                    if not await self._stands(console, request):
                        yield END
                        return
                    yield ": still here\n\n"
        finally:
            closing.cancel()
            if waiting is not None:
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await waiting
            await values.aclose()

    async def _stands(self, console: Console, request: Request) -> bool:
        try:
            await run_in_threadpool(console.visit, request)
        except SignInNeededError:
            return False
        return True


async def _while_theirs(
    sources: Sources, device_id: str, points: AsyncGenerator[Document], caller: Caller
) -> AsyncGenerator[Document]:
    """Points of a device until it changes hands: then NotFoundError, and no point more.

    Each look takes a turn of the catalog's: a device may send thousands of values a second, and others need threads.
    """
    async with contextlib.aclosing(points):
        async for each in points:
            async with caller.turn():
                await run_in_threadpool(sources.hub.connected, device_id)
            yield each
