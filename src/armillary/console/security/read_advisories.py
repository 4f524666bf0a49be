# SPDX-License-Identifier: Apache-2.0
"""Advisories, read: asked of the sources, laid out as sheets, and as JSON for charts and for keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from armillary.console.frame import curve
from armillary.console.frame.asking import ask, catalogs, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.frame.times import typed_time
from armillary.console.language.say import say
from armillary.console.security import pages_actions, pages_advisories, pages_advisory, pages_statements

STATEMENTS = 50
MAX_TYPED = 40
# Findings among which those of an advisory are looked for, and actions about them that its page has.
FINDINGS = 100
ACTIONS = 20
# Names of an advisory by which statements are looked for: one has two or three.
NAMES = 8


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
    """One advisory, now or as of a time."""
    return advisory_page(visit, {}, None)


def advisory_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The page; ``wrong`` is what was wrong with a statement as it was ``sent``."""
    owners = {str(each["catalog_id"]): str(each["name"]) for each in visit.sources.settings.catalog_names()}
    names = list(owners.values())
    catalog = chosen_catalog(visit, names)
    advisory_id, typed = visit.params["advisory_id"], visit.query.get("at", "")[:MAX_TYPED]
    at = typed_time("as of", typed)
    found = ask(visit, "show_advisory", advisory_id=advisory_id, catalog=catalog or None, at=at)
    may_state, whole = may(visit, "make_statement"), visit.operator.catalog is None
    form = pages_statements.new_form(found["advisory_id"], names, sent, wrong, whole=whole) if may_state else None
    called = [found["advisory_id"], *found["aliases"]][:NAMES]
    said = ask(visit, "list_statements", names=called, catalog=catalog or None, limit=STATEMENTS)["items"]
    made = pages_advisory.advisory_sheet(
        found,
        owners,
        catalog=catalog,
        catalogs=names,
        as_of=typed,
        statements=pages_statements.section(said, owners, form=form, may_take_back=may_state, now=visit.now),
        actions=pages_actions.about_section(_actions(visit, called, catalog), visit.now),
        may_report=may(visit, "begin_case"),
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)


def _actions(visit: Visit, called: Sequence[str], catalog: str) -> list[dict[str, Any]]:
    """Actions about the findings that an advisory has made, which are one for each catalog."""
    watch, done = visit.sources.watch, list[dict[str, Any]]()
    for status in ("open", "acknowledged"):
        named = {"kind": "vulnerability-in-field", "catalog": catalog or None}
        for each in watch.findings(status, **named, after=None, limit=FINDINGS)["items"]:
            if each["advisory_id"] in called and len(done) < ACTIONS:
                about = {"state": None, "finding_id": each["finding_id"], "after": None}
                done += ask(visit, "list_actions", **about, limit=ACTIONS)["items"]
    return done


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
    found = ask(visit, "show_advisory", advisory_id=visit.params["advisory_id"], catalog=catalog or None, at=None)
    made = curve.document(pages_advisory.lines(found), say("devices"), begin=found["known_since"], end=found["as_of"])
    return JSONResponse(visit.said(made))


def advisory_document(visit: Visit) -> Response:
    """All that is known of an advisory, to be kept."""
    catalog = chosen_catalog(visit, catalogs(visit))
    found = ask(visit, "show_advisory", advisory_id=visit.params["advisory_id"], catalog=catalog or None, at=None)
    return JSONResponse(found, headers={"Content-Disposition": 'attachment; filename="advisory-trace.json"'})
