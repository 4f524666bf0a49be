# SPDX-License-Identifier: Apache-2.0
"""The fleet, read: each page asks the sources, builds its view model and renders. No rule lives here."""

from __future__ import annotations

import csv
import io
from typing import Any

from starlette.responses import Response

from armillary.console.bulk.kinds import bulk_of
from armillary.console.device import pages_fleet
from armillary.console.frame.asking import listed, may, show
from armillary.console.frame.console import Visit

# Rows of one export; a larger fleet is exported through the API, page by page.
EXPORT_ROWS = 100_000


def fleet(visit: Visit) -> Response:
    """The fleet; of an organisation its devices alone."""
    if visit.operator.organisation is not None:
        found = visit.sources.fleet.of_organisation(after=visit.query.get("after"), limit=pages_fleet.PAGE_SIZE)
        return show(visit, pages_fleet.organisation_sheet(found, visit.operator.scope))
    chosen = pages_fleet.chosen_filters(visit.query)
    after = visit.query.get("after")
    source = visit.sources.fleet
    page = source.devices(pages_fleet.service_filter(chosen), after=after, limit=pages_fleet.PAGE_SIZE)
    view = pages_fleet.fleet_page(source.summary(), page, chosen, after=after, now=visit.now)
    table = listed(
        visit,
        pages_fleet.COLUMNS,
        view.lines,
        view.next_href,
        is_cut=view.is_cut,
        more={"Device id": lambda line: line.device.id.full},
    )
    return visit.page(
        "fleet.html",
        view=view,
        table=table,
        bulk=bulk_of(visit, "devices"),
        groups=visit.sources.updates.groups(),
        may_add=may(visit, "claim_devices"),
    )


def fleet_csv(visit: Visit) -> Response:
    """The same selection as CSV."""
    wanted = pages_fleet.service_filter(pages_fleet.chosen_filters(visit.query))
    items: list[dict[str, Any]] = []
    after: str | None = None
    while len(items) < EXPORT_ROWS:
        page = visit.sources.fleet.devices(wanted, after=after, limit=1000)
        items += page["items"]
        after = page["next"]
        if after is None:
            break
    text = io.StringIO()
    csv.writer(text).writerows(pages_fleet.csv_lines(items))
    headers = {"Content-Disposition": 'attachment; filename="armillary-fleet.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
