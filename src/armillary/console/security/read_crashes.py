# SPDX-License-Identifier: Apache-2.0
"""Crash groups, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import JSONResponse, Response

from armillary.console.frame import curve
from armillary.console.frame.asking import ask, catalogs, show
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.language.say import say
from armillary.console.security import pages_crashes

_IMAGE: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# Reports that a page has, and that its chart is made of.
REPORTS: Final = 200


def crashes(visit: Visit) -> Response:
    """Crash groups of a catalog."""
    names, after = catalogs(visit), visit.query.get("after")
    if not names:
        return show(visit, pages_crashes.no_catalog_sheet())
    asked, wanted = visit.query.get("catalog", ""), visit.query.get("image", "")
    catalog, image = asked if asked in names else names[0], wanted if _IMAGE.fullmatch(wanted) else ""
    page = ask(visit, "list_crash_groups", catalog=catalog, image_id=image, limit=LIST_LINES, after=after)
    made = pages_crashes.list_sheet(page, catalog, names, image=image, is_part=bool(after), now=visit.now)
    return show(visit, made)


def crash(visit: Visit) -> Response:
    """One crash group."""
    named, after = _named(visit), visit.query.get("after")
    group = ask(visit, "show_crash_group", **named)
    reports = ask(visit, "crash_reports", **named, limit=REPORTS, after=after)
    labels = visit.sources.application.labels(sorted({each["device_id"] for each in reports["items"]}))
    made = pages_crashes.group_sheet(
        group, reports, labels, catalog=named["catalog"], is_part=bool(after), now=visit.now
    )
    return show(visit, made)


def crash_curve(visit: Visit) -> Response:
    """Crashes so far, for the chart."""
    reports = ask(visit, "crash_reports", **_named(visit), limit=REPORTS, after=None)["items"]
    begin = reports[-1]["received_at"] if reports else visit.now
    made = curve.document(pages_crashes.lines(reports), say("crashes"), begin=begin, end=visit.now)
    return JSONResponse(visit.said(made))


def _named(visit: Visit) -> dict[str, str]:
    return {name: visit.params[name] for name in ("catalog", "crash_group")}
