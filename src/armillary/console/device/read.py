# SPDX-License-Identifier: Apache-2.0
"""The fleet and one device, read: each page asks the sources, builds its view model and renders. No rule lives here."""

from __future__ import annotations

import csv
import io
from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response

from armillary.console.device import pages_device, pages_device_life as life, pages_fleet, pages_hub
from armillary.console.device.pages_device_data import place
from armillary.console.frame.asking import may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.frame.sort import sorted_table
from armillary.console.frame.values import exact_text
from armillary.console.frame.words import counted, moment, short_id
from armillary.errors import InvalidArgumentError
from armillary.twin.template.value_names import from_fields
from armillary.wire.hub.credentials import is_attested_id

# Lines of one device's records on its page; the API pages through all of them.
RECORD_LINES = 50
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
    is_whole = not after and not view.next_href and not view.is_cut
    heads, lines = sorted_table(pages_fleet.COLUMNS, view.lines, visit.here, is_whole=is_whole)
    return visit.page("fleet.html", view=view, heads=heads, lines=lines, groups=visit.sources.updates.groups())


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


def device(visit: Visit) -> Response:
    """One device; one that does not attest has a page in the hub, and a name or first digits lead to it as well."""
    if not is_attested_id(visit.params["device_id"]):
        return RedirectResponse(place(meant(visit, visit.params["device_id"])), 303)
    sources, now = visit.sources, visit.now
    found = sources.fleet.device(visit.params["device_id"])
    device_id = found["device_id"]
    records = sources.fleet.records(device_id, limit=RECORD_LINES)
    software = sources.fleet.software(found)
    values = sources.hub.last_values(device_id)
    metric = pages_hub.chosen_metric(values, visit.query.get("metric", ""))
    called = sources.hub.called(device_id)
    last = records["check_ins"][0] if records["check_ins"] else None
    judged = pages_device.verdict(found, last, now)
    opened = [finding for finding in records["findings"] if finding["status"] == "open"]
    asked = visit.query.get("range", "")
    allowed = {verb: may(visit, f"fleet.{verb}") for verb in life.VERBS}
    view = {
        "id": short_id(device_id),
        "name": found["name"],
        "name_form": life.name_form(device_id, found["name"], is_named=found["is_named"])
        if may(visit, "name_device")
        else None,
        "where": pages_fleet.where(found),
        "verdict": judged,
        "ring_kinds": [ring.kind for ring in judged.rings],
        "ring_label": ", ".join(f"{ring.name}: {ring.word}" for ring in judged.rings),
        "actions": life.actions(found, allowed, visit.operator.role, now),
        "offer": life.offer(found, now),
        "facts": pages_device.facts(found, now, connected=sources.hub.connected(device_id)),
        "findings_sentence": f"{counted(len(opened), 'open finding')} about this device:",
        "findings": [{"id": finding["finding_id"], "title": finding["title"]} for finding in opened],
        "appraised": moment(last["at"], now) if last else None,
        "steps": pages_device.steps(last),
        "without_steps": pages_device.without_steps(found),
        "applications": pages_device.applications(found, software["images"], now),
        "software_age": software["deployment"]["reason"],
        "components": pages_device.components(found, software["releases"]),
        "os_version": found["os_version"],
        "sees_releases": may(visit, "list_releases"),
        "mechanisms": pages_device.mechanisms(found),
        "enforcement_sentence": pages_device.enforcement_sentence(found),
        "last_values": pages_hub.value_lines(values, called, metric, now),
        "metric_name": from_fields(called(metric)).display_name,
        "metric": metric,
        "ranges": tuple(pages_hub.RANGES),
        "range": asked if asked in pages_hub.RANGES else pages_hub.DEFAULT_RANGE,
        "twin": pages_hub.twin_view(sources.hub.twin(device_id), called),
        "may_patch": may(visit, "hub.patch_desired"),
        "reports": pages_device.reports(records["error_reports"], now),
        "reports_sentence": "newest first" if records["error_reports"] else "",
        "history": pages_device.history(
            records["check_ins"],
            records["refusals"],
            records["outcomes"],
            {image_id: image["name"] for image_id, image in software["images"].items()},
            now,
        ),
    }
    return visit.page("device.html", view=view)


def series(visit: Visit) -> Response:
    """Points of one metric for the chart."""
    asked, metric = visit.query.get("range", pages_hub.DEFAULT_RANGE), visit.query.get("metric", "")
    if asked not in pages_hub.RANGES or not metric:
        raise InvalidArgumentError(
            f"range: expected one of {', '.join(pages_hub.RANGES)} and a metric", remedy="Use the buttons on the page."
        )
    end_ms = (visit.now + 1) * 1000
    start_ms = end_ms - pages_hub.RANGES[asked] * 1000
    found = visit.sources.fleet.device(visit.params["device_id"])
    points = visit.sources.hub.series(found["device_id"], metric, start_ms, end_ms, pages_hub.MAX_POINTS)
    name = from_fields(visit.sources.hub.called(found["device_id"])(metric))
    return JSONResponse(pages_hub.chart(name, points, start_ms, end_ms))


def point_event(item: dict[str, Any], called: dict[str, Any]) -> dict[str, Any]:
    """A live point as the chart takes it, with the text that the table shows; ``called`` says what its metric is."""
    return {**item, "text": exact_text(item["value"], from_fields(called))}
