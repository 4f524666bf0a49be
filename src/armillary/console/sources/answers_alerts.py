# SPDX-License-Identifier: Apache-2.0
"""Answers about alerts: looked for, counted, one with what was done about it, acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from armillary.api.views import device_labels as views_labels
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document
from armillary.engines.rules.alerts import AlertFilter
from armillary.platform.rules.alert_search import number_before


def list_alerts(
    by: RequestContext,
    limit: int,
    status: str = "all",
    after: str | None = None,
    *,
    rising: bool = False,
    **wanted: Any,
) -> Document:
    """Firings of rules, newest first unless ``rising``; ``wanted`` are the filters that :func:`count_alerts` takes."""
    found = _filter(by, **wanted).of_state(status)
    page = by.platform.alerts.listed(found, limit=limit, before=number_before(after), rising=rising)
    return _named(by, page)


def count_alerts(by: RequestContext, **wanted: Any) -> Document:
    """How many open alerts there are (``count``), up to the number of the newest (``up_to``, 0 for none).

    ``wanted``: ``rule``, ``of_device``, ``group``, ``severities``, ``since_ms``, ``until_ms``.
    """
    alerts, found = by.platform.alerts, _filter(by, **wanted).of_state("open")
    newest = alerts.listed(found, limit=1)["items"]
    return {"count": alerts.count(found), "up_to": newest[0]["number"] if newest else 0}


def alert_overview(by: RequestContext) -> Document:
    """How many alerts are open, of which severity, and the newest of the gravest."""
    return by.platform.alerts.overview(by.catalog)


def show_alert(by: RequestContext, number: int) -> Document:
    """One alert, with what was done about it."""
    return by.platform.alerts.show(number, by.catalog)


def acknowledge_alert(by: RequestContext, number: int, note: str = "") -> Document:
    """Note that somebody has taken notice of a firing."""
    return by.platform.alert_operations.acknowledge(by.operator, number, by.catalog, note)


def acknowledge_alerts(
    by: RequestContext, numbers: Sequence[int] | None, count: int | None, note: str, **wanted: Any
) -> Document:
    """The same of many: of some numbers, or of ``count`` open ones that match ``wanted``, up to a number."""
    found = _filter(by, **wanted)
    done = by.platform.alert_operations.acknowledge_many(by.operator, found, numbers=numbers, count=count, note=note)
    return {"acknowledged": done}


def _filter(
    by: RequestContext,
    *,
    rule: str | None = None,
    of_device: str | None = None,
    group: str | None = None,
    severities: Sequence[str] = (),
    since_ms: int | None = None,
    until_ms: int | None = None,
    up_to: int | None = None,
) -> AlertFilter:
    return by.platform.alerts.filter_of(
        by.catalog,
        rule_id=rule,
        device_id=of_device,
        group_id=group,
        severities=tuple(severities),
        since_ms=since_ms,
        until_ms=until_ms,
        up_to=up_to,
    )


def _named(by: RequestContext, page: Document) -> Document:
    return views_labels.with_names(by.service, page, by.operator.catalog)
