# SPDX-License-Identifier: Apache-2.0
"""The fleet, read: each page asks the sources, builds its view model and renders. No rule lives here."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Any

from starlette.responses import Response

from armillary.console.bulk.kinds import bulk_of
from armillary.console.device import pages_fleet
from armillary.console.frame.asking import ask, listed, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.sort import order_of
from armillary.console.frame.table_bar import kept_in
from armillary.console.frame.words import sentence
from armillary.errors import InvalidArgumentError
from armillary.wire.hub.credentials import is_attested_id

# Rows of one export; a larger fleet is exported through the API, page by page.
EXPORT_ROWS = 100_000


def fleet(visit: Visit) -> Response:
    """The fleet; of an organisation its devices alone."""
    if visit.operator.organisation is not None:
        found = visit.sources.fleet.of_organisation(after=visit.query.get("after"), limit=pages_fleet.PAGE_SIZE)
        return show(visit, pages_fleet.organisation_sheet(found, visit.operator.scope))
    chosen = pages_fleet.chosen_filters(visit.query)
    after, problem = visit.query.get("after"), ""
    source = visit.sources.fleet
    image = ask(visit, "image_label", image_id=chosen["image"])["label"] if "image" in chosen else ""
    wanted = partial(source.devices, pages_fleet.service_filter(chosen), limit=pages_fleet.PAGE_SIZE)
    word, falls = order_of(visit.query, pages_fleet.BY_SOURCE)
    try:
        page = wanted(after=after, order=f"-{word}" if word and falls else word)
    except InvalidArgumentError as error:  # too many to be sorted, or a page of another order
        problem = f"{sentence(error.message)} {error.remedy}"
        after = after if after and is_attested_id(after) else None  # a place in the order of ids, in which they are now
        page = wanted(after=after)
    view = pages_fleet.fleet_page(
        source.summary(), page, chosen, after=after, now=visit.now, problem=problem, image=image
    )
    table = listed(
        visit,
        pages_fleet.COLUMNS,
        view.lines,
        view.next_href,
        by_source=() if problem else pages_fleet.BY_SOURCE,
        is_cut=view.is_cut,
        more={"Device id": lambda line: line.device.id.full},
    )
    return visit.page(
        "fleet.html",
        view=view,
        table=table,
        first_href=kept_in(view.first_href or "", visit.here),
        bulk=bulk_of(visit, "devices"),
        groups=visit.sources.updates.groups(),
        may_add=may(visit, "claim_devices"),
        may_use=may(visit, "use_application_template"),
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
