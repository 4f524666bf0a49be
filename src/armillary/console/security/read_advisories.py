# SPDX-License-Identifier: Apache-2.0
"""Advisories, read: asked of the sources, laid out as sheets, and as JSON for charts and for keeping."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from armillary.console.frame import curve
from armillary.console.frame.asking import ask, catalogs, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.security import pages_advisories, pages_advisory


def chosen_catalog(visit: Visit, names: list[str]) -> str:
    """The catalog that an address asks for; "" for all that the operator speaks for."""
    asked = visit.query.get("catalog", "")
    return asked if visit.operator.catalog is None and asked in names else ""


def advisories(visit: Visit) -> Response:
    """Advisories by urgency, and the feeds."""
    names, after = catalogs(visit), visit.query.get("after")
    catalog, in_field = chosen_catalog(visit, names), visit.query.get("field") == "1"
    chosen = {"catalog": catalog or None, "in_field": in_field}
    page = ask(visit, "list_advisories", limit=LIST_LINES, after=after, **chosen)
    feeds = ask(visit, "list_advisory_feeds")["items"] if may(visit, "list_advisory_feeds") else None
    made = pages_advisories.list_sheet(page, feeds, in_field=in_field, catalog=catalog, catalogs=names, now=visit.now)
    return show(visit, made)


def coverage(visit: Visit) -> Response:
    """What can be said of each image and release."""
    names = catalogs(visit)
    catalog = chosen_catalog(visit, names)
    found = ask(visit, "advisory_coverage", catalog=catalog or None)
    return show(visit, pages_advisories.coverage_sheet(found, catalog, names, visit.now))


def advisory(visit: Visit) -> Response:
    """One advisory."""
    owners = {str(each["catalog_id"]): str(each["name"]) for each in visit.sources.settings.catalog_names()}
    names = list(owners.values())
    catalog = chosen_catalog(visit, names)
    found = ask(visit, "show_advisory", advisory_id=visit.params["advisory_id"], catalog=catalog or None)
    may_report = may(visit, "begin_case")
    made = pages_advisory.advisory_sheet(
        found, owners, catalog=catalog, catalogs=names, may_report=may_report, now=visit.now
    )
    return show(visit, made)


def advisory_devices(visit: Visit) -> Response:
    """Devices in a state."""
    catalog, asked = chosen_catalog(visit, catalogs(visit)), visit.query.get("state", "")
    advisory_id, wanted = visit.params["advisory_id"], asked if asked in pages_advisory.LISTED else "affected"
    page = ask(
        visit,
        "list_advisory_devices",
        advisory_id=advisory_id,
        catalog=catalog or None,
        state=wanted,
        limit=LIST_LINES,
        after=visit.query.get("after"),
    )
    labels = visit.sources.application.labels([each["device_id"] for each in page["items"]])
    made = pages_advisory.devices_sheet(page, advisory_id, wanted, labels, catalog=catalog, now=visit.now)
    return show(visit, made)


def advisory_curve(visit: Visit) -> Response:
    """The patch curve for the chart."""
    catalog = chosen_catalog(visit, catalogs(visit))
    found = ask(visit, "show_advisory", advisory_id=visit.params["advisory_id"], catalog=catalog or None)
    made = curve.document(pages_advisory.lines(found), "devices", begin=found["known_since"], end=found["as_of"])
    return JSONResponse(made)


def advisory_document(visit: Visit) -> Response:
    """All that is known of an advisory, to be kept."""
    catalog = chosen_catalog(visit, catalogs(visit))
    found = ask(visit, "show_advisory", advisory_id=visit.params["advisory_id"], catalog=catalog or None)
    return JSONResponse(found, headers={"Content-Disposition": 'attachment; filename="advisory-trace.json"'})
