# SPDX-License-Identifier: Apache-2.0
"""Native routes of the hub: telemetry, series, live streams, twins, direct methods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import Header, Path, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import caller_of
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, admit_again, hub_of, platform_of
from armillary.api.http.tenure import since_ms, whole_hours_since
from armillary.api.native.dashboard_live import LiveResponse
from armillary.api.native.device_ids import DevicePath, known_identity
from armillary.api.native.parameters import DEVICE, HEARTBEAT_S, MAX_METRIC_CHARS, Millis
from armillary.api.native.service.requests import MethodBody, TwinBody
from armillary.api.views import hub as views_hub
from armillary.engines.series.values.query import check_range
from armillary.errors import ArmillaryError, InvalidArgumentError


def device_telemetry(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """The last value of each metric of a device."""
    known = known_identity(request, device_id)
    return views_hub.telemetry(hub_of(request), platform_of(request), known, since_ms(request, known))


def device_series(
    request: Request,
    device_id: DevicePath,
    metric: Annotated[str, Query(min_length=1, max_length=MAX_METRIC_CHARS)],
    start_ms: Millis,
    end_ms: Millis,
    max_points: Annotated[int, Query(ge=1, le=views_hub.MAX_SERIES_POINTS)] = views_hub.SERIES_POINTS,
) -> dict[str, Any]:
    """A metric over time, rolled up to at most `max_points` points."""
    known = known_identity(request, device_id)
    check_range(start_ms, end_ms, max_points)
    begin_ms = max(start_ms, whole_hours_since(since_ms(request, known)))
    if begin_ms >= end_ms:  # of another owner's time, all of it
        return {"metric": metric, "start_ms": start_ms, "end_ms": end_ms, "bucket_ms": 0, "points": []}
    return views_hub.series(hub_of(request), known, metric, start_ms=begin_ms, end_ms=end_ms, max_points=max_points)


async def device_stream(request: Request, device_id: DevicePath) -> StreamingResponse:
    """Values as they arrive: server-sent events named `telemetry`; a comment line every 15 seconds of silence."""
    known = await run_in_threadpool(known_identity, request, device_id)
    caller = caller_of(request)
    caller.hold(caller.budgets.streams)
    return LiveResponse(hub_of(request).live.shed, _events(request, known))


async def _events(request: Request, device_id: str) -> AsyncIterator[bytes]:
    closing = asyncio.ensure_future(request.app.state.closing.wait())
    async with hub_of(request).live.listen(device_id) as listener:
        upcoming = asyncio.ensure_future(anext(listener))
        try:
            yield b": listening\n\n"
            while True:
                done, _ = await asyncio.wait(
                    {upcoming, closing}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                if closing in done:
                    return
                if upcoming in done:
                    if upcoming.exception() is not None:  # the hub was closed
                        return
                    await admit_again(request)  # not after the device has changed hands
                    data = json.dumps(views_hub.live(upcoming.result()), separators=(",", ":"))
                    yield f"event: telemetry\ndata: {data}\n\n".encode()
                    upcoming = asyncio.ensure_future(anext(listener))
                else:
                    await admit_again(request)
                    yield b": still here\n\n"
        except ArmillaryError:  # the token is no longer good
            return
        finally:
            upcoming.cancel()
            closing.cancel()


def device_twin(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A device's twin, in IoT Hub's shape."""
    return views_hub.twin(hub_of(request), known_identity(request, device_id))


def patch_device_twin(
    request: Request,
    device_id: DevicePath,
    body: TwinBody,
    if_match: Annotated[str | None, Header(max_length=64)] = None,
) -> dict[str, Any]:
    """Merge desired properties or tags into a twin; a connected device is told at once."""
    known, hub = known_identity(request, device_id), hub_of(request)
    if (body.desired is None) == (body.tags is None):
        raise InvalidArgumentError(
            "body: expected either desired or tags", remedy="Patch desired properties and tags in two calls."
        )
    detail = {"section": "desired" if body.desired is not None else "tags"}
    hub.operations.change_twin(
        actor_of(request), known, desired=body.desired, tags=body.tags, if_match=if_match, detail=detail
    )
    return views_hub.twin(hub, known)


async def invoke_method(
    request: Request, device_id: DevicePath, method: Annotated[str, Path(max_length=128)], body: MethodBody
) -> dict[str, Any]:
    """Call a direct method on a connected device and wait for its answer: the device's own `status` and `payload`."""
    known = await run_in_threadpool(known_identity, request, device_id)
    result = await hub_of(request).operations.invoke_method(
        actor_of(request), known, method, body.payload, body.timeout_s, connect_timeout_s=body.connect_timeout_s
    )
    return {"status": result.status, "payload": result.payload}


_row = partial(Route, tag="hub")
_stream = partial(_row, answer=StreamingResponse, media_type="text/event-stream")
ROUTES = (
    _row("GET", DEVICE + "/telemetry", device_telemetry, READER),
    _row("GET", DEVICE + "/telemetry/series", device_series, READER),
    _stream("GET", DEVICE + "/telemetry/stream", device_stream, READER),
    _row("GET", DEVICE + "/twin", device_twin, READER),
    _row("PATCH", DEVICE + "/twin", patch_device_twin, CONTRIBUTOR),
    _row("POST", DEVICE + "/methods/{method}", invoke_method, CONTRIBUTOR),
)
