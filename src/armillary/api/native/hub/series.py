# SPDX-License-Identifier: Apache-2.0
"""Native routes of values over time: raw values, groups of devices added up, files out and in, retention."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import caller_of
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, hub_of, platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.http.tenure import begun, own_through, since_ms, tenures
from armillary.api.native.dashboard_live import PromptResponse
from armillary.api.native.device_ids import DevicePath, known_device, known_identity
from armillary.api.native.parameters import DEVICE, MAX_METRIC_CHARS, V1, CatalogQuery, DocumentPath, Millis, StrictBody
from armillary.api.views import series as views_series
from armillary.api.views.hub import MAX_SERIES_POINTS, SERIES_POINTS
from armillary.engines.series.retention import MAX_DAYS, MAX_PATTERN_CHARACTERS, MAX_RULES, RetentionRule

# Values of one answer: a page of a table, not a copy of the store; exports are for that.
MAX_RAW_VALUES = 10_000
# One past the last millisecond that a range may name.
END_OF_TIME_MS = 10**14

MetricQuery = Annotated[str, Query(min_length=1, max_length=MAX_METRIC_CHARS)]
MetricName = Annotated[str, Field(min_length=1, max_length=MAX_METRIC_CHARS)]
MetricsQuery = Annotated[list[MetricName] | None, Query(max_length=100, description="Names; every one when absent")]
Points = Annotated[int, Query(ge=1, le=MAX_SERIES_POINTS)]
FileFormat = Annotated[Literal["csv", "parquet"], Query(alias="format")]
Days = Annotated[int | None, Field(ge=1, le=MAX_DAYS)]
Pattern = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]


class RuleBody(StrictBody):
    """How long series are kept whose template and metric match; null days are for ever."""

    template: Pattern = "*"
    metric: Pattern = "*"
    raw_days: Days
    rollup_days: Days


class RetentionBody(StrictBody):
    """Rules of retention, in order: the first that matches decides."""

    rules: Annotated[list[RuleBody], Field(max_length=MAX_RULES)]


def device_raw(
    request: Request,
    device_id: DevicePath,
    metric: MetricQuery,
    start_ms: Millis,
    end_ms: Millis,
    limit: Annotated[int, Query(ge=1, le=MAX_RAW_VALUES)] = 1000,
) -> dict[str, Any]:
    """A metric's values as they were sent, of any kind, in order of time; `next_start_ms` where there are more."""
    known = known_identity(request, device_id)
    begin_ms = max(start_ms, since_ms(request, known))
    if start_ms < end_ms <= begin_ms:  # of another owner's time, all of it
        return {"metric": metric, "items": [], "next_start_ms": None}
    return views_series.raw(hub_of(request), known, metric, begin_ms, end_ms, limit)


def group_aggregate(
    request: Request,
    group_id: DocumentPath,
    metric: MetricQuery,
    start_ms: Millis,
    end_ms: Millis,
    catalog: CatalogQuery = None,
    max_points: Points = SERIES_POINTS,
) -> dict[str, Any]:
    """A metric over time, added up over the devices of a group: count, lowest, highest, sum and mean a bucket.

    For a token of one catalog without devices that came from another owner within the range: `left_out` counts them.
    """
    members = _members(request, group_id, catalog)
    own = own_through(members, tenures(request), start_ms)
    found = views_series.aggregate(hub_of(request), own, metric, start_ms, end_ms, max_points)
    return {**found, "left_out": len(members) - len(own)}


def group_latest(
    request: Request,
    group_id: DocumentPath,
    metric: MetricQuery,
    catalog: CatalogQuery = None,
    limit: Annotated[int, Query(ge=1, le=MAX_RAW_VALUES)] = 1000,
) -> dict[str, Any]:
    """The latest value of a metric of each device of a group."""
    found = views_series.latest(hub_of(request), _members(request, group_id, catalog), metric, limit)
    since = tenures(request)
    return {**found, "items": [each for each in found["items"] if each["at_ms"] >= begun(since, each["device_id"])]}


def export_device(
    request: Request,
    device_id: DevicePath,
    metric: MetricsQuery = None,
    start_ms: Millis = 0,
    end_ms: Millis = END_OF_TIME_MS,
    file_format: FileFormat = "csv",
) -> StreamingResponse:
    """A device's values as a file: CSV, or Parquet where the service has the extra `parquet`."""
    known = known_identity(request, device_id)
    return _export(request, (known,), metric, start_ms, end_ms, file_format)


def export_group(
    request: Request,
    group_id: DocumentPath,
    catalog: CatalogQuery = None,
    metric: MetricsQuery = None,
    start_ms: Millis = 0,
    end_ms: Millis = END_OF_TIME_MS,
    file_format: FileFormat = "csv",
) -> StreamingResponse:
    """The values of all devices of a group as a file."""
    return _export(request, _members(request, group_id, catalog), metric, start_ms, end_ms, file_format)


async def import_telemetry(request: Request) -> dict[str, Any]:
    """Bring values back from a CSV file of the export: all of it or nothing; what is there counts once."""
    body = await request.body()
    async with caller_of(request).turn():
        return await run_in_threadpool(_import, request, body)


def show_retention(request: Request) -> dict[str, Any]:
    """How long values and messages are kept: the service's settings, and the rules that go before them."""
    return views_series.retention(hub_of(request))


def put_retention(request: Request, body: RetentionBody) -> dict[str, Any]:
    """Replace the rules of retention."""
    hub = hub_of(request)
    rules = [RetentionRule(**each.model_dump()) for each in body.rules]
    detail = {"rules": [each.model_dump() for each in body.rules]}
    hub.operations.set_retention(actor_of(request), rules, detail)
    return views_series.retention(hub)


def _members(request: Request, group_id: str, catalog: CheckedCatalog | None) -> tuple[str, ...]:
    platform_of(request).authored.visible("group", group_id, catalog)
    return platform_of(request).groups.ids(group_id, catalog=catalog)


def _export(
    request: Request,
    device_ids: tuple[str, ...],
    metrics: list[str] | None,
    start_ms: int,
    end_ms: int,
    file_format: Literal["csv", "parquet"],
) -> StreamingResponse:
    caller, tenure = caller_of(request), tenures(request)
    since = {each: at for each in device_ids if (at := begun(tenure, each))}
    parts = views_series.export(hub_of(request), device_ids, metrics, start_ms, end_ms, file_format, since=since)
    caller.hold(caller.budgets.exports)
    media = "text/csv; charset=utf-8" if file_format == "csv" else "application/vnd.apache.parquet"
    headers = {"Content-Disposition": f'attachment; filename="telemetry.{file_format}"'}
    return PromptResponse(hub_of(request).live.shed, parts, media_type=media, headers=headers)


def _import(request: Request, body: bytes) -> dict[str, Any]:
    hub = hub_of(request)

    def check(device_id: str) -> None:
        if hub.series.device(device_id) is None:
            known_device(request, device_id)

    points, devices = views_series.restore(hub, actor_of(request), body, check, int(time.time() * 1000))
    return {"points": points, "devices": devices}


# Some thirty thousand points as CSV: what is put back in one commit, a few tenths of a second.
IMPORT_BYTES = 4 << 20
_row = partial(Route, tag="hub")
_file = partial(_row, lists=frozenset({"metric"}), answer=StreamingResponse, media_type="text/csv")
_csv = partial(_row, body_limit=IMPORT_BYTES, body_media_type="text/csv")
_TELEMETRY, _GROUP = DEVICE + "/telemetry", V1 + "/groups/{group_id}/telemetry"
ROUTES = (
    _row("GET", _TELEMETRY + "/raw", device_raw, READER),
    _file("GET", _TELEMETRY + "/export", export_device, READER),
    _row("GET", _GROUP + "/aggregate", group_aggregate, READER, narrowed=True),
    _row("GET", _GROUP + "/latest", group_latest, READER, narrowed=True),
    _file("GET", _GROUP + "/export", export_group, READER, narrowed=True),
    _csv("POST", V1 + "/telemetry/import", import_telemetry, CONTRIBUTOR),
    _row("GET", V1 + "/telemetry/retention", show_retention, READER),
    _row("PUT", V1 + "/telemetry/retention", put_retention, ADMINISTRATOR),
)
