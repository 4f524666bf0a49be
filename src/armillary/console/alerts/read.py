# SPDX-License-Identifier: Apache-2.0
"""Alerts, read: the list by its address, one with its history, the question before many."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from armillary.console.alerts import pages_alerts as pages
from armillary.console.alerts.query import AlertQuery, check_words, query_of
from armillary.console.frame.action_checks import number_of
from armillary.console.frame.asking import ask, listed, may, meant, show
from armillary.console.frame.confirmation import Confirmation, seen_of
from armillary.console.frame.console import Visit
from armillary.console.frame.sort import order_of
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError

# Alerts of one page.
LINES: Final = 50
# Rules and segments to filter by.
CHOICES: Final = 1000
# Column -> what the source sorts all pages by.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType({"Fired": "fired"})
NONE: Final[dict[str, Any]] = {"items": [], "next": None}


def alerts(visit: Visit) -> Response:
    """Firings of rules, as the address filters them."""
    query, problem, page, matching = query_of(visit.query), "", NONE, 0
    try:
        check_words(visit.query)
        wanted = filter_of(visit, query)
        after, rising = visit.query.get("after"), order_of(visit.query, BY_SOURCE) == ("fired", False)
        page = ask(visit, "list_alerts", limit=LINES, after=after, status=query.status, rising=rising, **wanted)
        matching = ask(visit, "count_alerts", **wanted)["count"] if query.status in ("open", "all") else 0
    except (InvalidArgumentError, NotFoundError) as error:
        problem = f"{error.message[:1].upper()}{error.message[1:]}. {error.remedy}"
    overview = ask(visit, "alert_overview")
    ids = {each["device_id"] for each in (*page["items"], overview["gravest"]) if each}
    view = pages.alerts_page(
        query,
        page,
        overview,
        visit.sources.application.labels(sorted(ids)),
        rules=_named(visit, "list_rules"),
        groups=_named(visit, "list_groups"),
        matching=matching,
        problem=problem,
        may_change=may(visit, "acknowledge_alert"),
        now=visit.now,
    )
    table = listed(visit, pages.COLUMNS, view.lines, view.next_href, by_source=BY_SOURCE, more=pages.EXPORTED)
    return visit.page("alerts.html", view=view, table=table, status=400 if problem else 200)


def alert(visit: Visit) -> Response:
    """One alert."""
    item = ask(visit, "show_alert", number=number_of(visit.params, "alert", "list"))
    label = visit.sources.application.labels([item["device_id"]]).get(item["device_id"], "")
    can = may(visit, "acknowledge_alert")
    return show(visit, pages.alert_sheet(item, label, may_change=can, now=visit.now))


def question(visit: Visit) -> Confirmation:
    """What acknowledging all that match does."""
    check_words(visit.query)
    return many_question(visit, query_of(visit.query))


def many_question(visit: Visit, query: AlertQuery) -> Confirmation:
    """The same for filters that are given."""
    found = ask(visit, "count_alerts", **filter_of(visit, query))
    seen = seen_of({"etag": f"{found['count']} {found['up_to']}"}, ())
    return pages.many_confirmation(query, found["count"], found["up_to"], seen)


def filter_of(visit: Visit, query: AlertQuery) -> dict[str, Any]:
    """Filters as sources take them, with the device that is meant.

    Raises:
        NotFoundError: no device is meant.
        InvalidArgumentError: several are, or a time is none.
    """
    return {**query.asked(visit.now), "of_device": meant(visit, query.device) if query.device else None}


def _named(visit: Visit, question: str) -> list[tuple[str, str]]:
    """(id, name) of documents to choose from; none where the operator may not see them."""
    try:
        items = ask(visit, question, limit=CHOICES, after=None)["items"]
    except ArmillaryError:
        return []
    found = [(each["id"], str(each["body"].get("name") or each["id"])) for each in items]
    return sorted(found, key=lambda each: each[1].casefold())
