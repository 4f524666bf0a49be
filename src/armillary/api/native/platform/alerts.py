# SPDX-License-Identifier: Apache-2.0
"""Native routes of alerts: look for them, acknowledge one or many; deliveries of rules that were given up."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Body, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.native.device_labels import with_name, with_names
from armillary.api.native.parameters import V1, CatalogQuery, Limit, MillisField, StrictBody
from armillary.api.views import service as views
from armillary.engines.documents.document import ID_PATTERN
from armillary.engines.rules.alerts import MAX_NOTE_CHARACTERS, AlertFilter
from armillary.errors import InvalidArgumentError
from armillary.platform.rules.alert_search import CURSOR_PATTERN, number_before
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN, canonical_device_id

After = Annotated[
    str | None,
    Query(max_length=200, description="`next` of the page before", json_schema_extra={"pattern": CURSOR_PATTERN}),
]
Number = Annotated[int, Field(ge=1, le=2**53)]
Severity = Literal["info", "low", "medium", "high", "critical"]
State = Literal["open", "active", "cleared", "acknowledged", "all"]
Id = Annotated[str | None, Field(max_length=128)]
DeviceId = Annotated[str | None, Field(max_length=128, json_schema_extra={"pattern": DEVICE_ID_PATTERN})]
Note = Annotated[str, Field(max_length=4 * MAX_NOTE_CHARACTERS)]


class AcknowledgeBody(StrictBody):
    """What somebody says of an alert.

    Attributes:
        note: Kept with the alert and in the audit log.
    """

    note: Note = ""


class AcknowledgeManyBody(StrictBody):
    """Which alerts to acknowledge; either `numbers` or `count` is given.

    Attributes:
        numbers: These, as far as they are open and match the rest.
        count: How many open alerts match the rest: where there are others now, nothing is changed.
        rule: Of this rule; so for `device` and `group` (a saved query).
        severity: Of one of these.
        since_ms: Fired at or after.
        until_ms: Fired before.
        up_to: With this number or a lower one: not those that fired since somebody looked.
        note: Kept with each alert and in the audit log.
    """

    numbers: Annotated[list[Number], Field(min_length=1, max_length=1000)] | None = None
    count: Annotated[int, Field(ge=0, le=2**53)] | None = None
    rule: Id = None
    device: DeviceId = None
    group: Id = None
    severity: Annotated[list[Severity], Field(max_length=5)] = Field(default=[])
    since_ms: MillisField | None = None
    until_ms: MillisField | None = None
    up_to: Number | None = None
    note: Note = ""


class ReplayBody(StrictBody):
    """Dead letters to try again, by number."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=1000)]


def list_alerts(
    request: Request,
    catalog: CatalogQuery = None,
    rule: Annotated[str | None, Query(max_length=128)] = None,
    device: Annotated[str | None, Query(max_length=128, json_schema_extra={"pattern": DEVICE_ID_PATTERN})] = None,
    group: Annotated[
        str | None,
        Query(max_length=128, description="Of a saved query of devices", json_schema_extra={"pattern": ID_PATTERN}),
    ] = None,
    status: State = "all",
    severity: Annotated[list[Severity] | None, Query(max_length=5, description="Of one of these")] = None,
    since_ms: Annotated[int | None, Query(ge=0, le=10**14, description="Fired at or after")] = None,
    until_ms: Annotated[int | None, Query(ge=0, le=10**14, description="Fired before")] = None,
    limit: Limit = views.PAGE_ROWS,
    after: After = None,
    order: Annotated[Literal["newest", "oldest"], Query(description="Which alert comes first")] = "newest",
) -> dict[str, Any]:
    """Firings of rules; `open` are those that nobody has taken notice of.

    `active` are those whose conditions are still met, `cleared` the others. `summary` says why in the names and units
    of the device's template, `reason` the same in short; `rule_is_deleted` whether the rule is gone.
    """
    wanted = _filter(
        request, catalog, rule=rule, device=device, group=group, severity=severity or (), times=(since_ms, until_ms)
    )
    wanted = wanted.of_state(status)
    rising = order == "oldest"
    found = platform_of(request).alerts.listed(wanted, limit=limit, before=number_before(after), rising=rising)
    return with_names(request, found)


def count_alerts(request: Request, catalog: CatalogQuery = None) -> dict[str, Any]:
    """How many alerts are open, how many of each severity, and the newest of the gravest as `gravest`."""
    found = platform_of(request).alerts.overview(catalog)
    return {**found, "gravest": found["gravest"] and with_name(request, found["gravest"])}


def show_alert(request: Request, number: Number, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A firing, its evaluation in words, and what was done about it."""
    return with_name(request, platform_of(request).alerts.show(number, catalog))


def acknowledge_alert(
    request: Request,
    number: Number,
    catalog: CatalogQuery = None,
    body: Annotated[AcknowledgeBody | None, Body()] = None,
) -> dict[str, Any]:
    """Note that somebody has taken notice of a firing."""
    note = "" if body is None else body.note
    operations = platform_of(request).alert_operations
    return with_name(request, operations.acknowledge(actor_of(request), number, catalog, note))


def acknowledge_alerts(request: Request, body: AcknowledgeManyBody, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Note that somebody has taken notice of many firings: of some numbers, or of all open ones that match.

    Raises:
        InvalidArgumentError: neither says which, or too many.
    """
    if (body.numbers is None) == (body.count is None):
        raise InvalidArgumentError(
            "numbers, count: expected one of them",
            remedy="Name the alerts, or say how many open ones match what you were shown.",
        )
    wanted = _filter(
        request,
        catalog,
        rule=body.rule,
        device=body.device,
        group=body.group,
        severity=body.severity,
        times=(body.since_ms, body.until_ms),
        up_to=body.up_to,
    )
    operations = platform_of(request).alert_operations
    count = operations.acknowledge_many(
        actor_of(request), wanted, numbers=body.numbers, count=body.count, note=body.note
    )
    return {"acknowledged": count}


def dead_letters(
    request: Request, catalog: CatalogQuery = None, limit: Limit = views.PAGE_ROWS, after: After = None
) -> dict[str, Any]:
    """Actions that were given up, newest first, each with why."""
    return platform_of(request).alert_operations.dead_letters(catalog, number_before(after), limit)


def replay_dead_letters(request: Request, body: ReplayBody, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Try actions again that were given up."""
    count = platform_of(request).alert_operations.replay(actor_of(request), body.numbers, catalog)
    return {"replayed": count}


def _filter(
    request: Request,
    catalog: CheckedCatalog | None,
    *,
    rule: str | None,
    device: str | None,
    group: str | None,
    severity: list[Severity] | tuple[()],
    times: tuple[int | None, int | None],
    up_to: int | None = None,
) -> AlertFilter:
    """What a request asks for, as the operations take it; another catalog's segment is as good as none."""
    return platform_of(request).alerts.filter_of(
        catalog,
        rule_id=rule,
        device_id=None if device is None else canonical_device_id(device),
        group_id=group,
        severities=tuple(severity),
        since_ms=times[0],
        until_ms=times[1],
        up_to=up_to,
    )


_row = partial(Route, tag="rules", narrowed=True)
_ALERT = V1 + "/alerts/{number}"
ROUTES = (
    _row("GET", V1 + "/alerts", list_alerts, READER, lists=frozenset({"severity"})),
    _row("POST", V1 + "/alerts/acknowledge", acknowledge_alerts, CONTRIBUTOR),
    _row("GET", V1 + "/alert-overview", count_alerts, READER),
    _row("GET", _ALERT, show_alert, READER),
    _row("POST", _ALERT + "/acknowledge", acknowledge_alert, CONTRIBUTOR),
    _row("GET", V1 + "/dead-letters", dead_letters, READER),
    _row("POST", V1 + "/dead-letters/replay", replay_dead_letters, CONTRIBUTOR),
)
