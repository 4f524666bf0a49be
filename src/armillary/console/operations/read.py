# SPDX-License-Identifier: Apache-2.0
"""The pages that are read: each asks the sources, builds its view model and renders. No rule lives here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, RedirectResponse, Response

from armillary.console.device import pages_device, pages_device_life as life, pages_fleet, pages_hub
from armillary.console.device.device_name import meant, name_form
from armillary.console.device.pages_device_data import place
from armillary.console.frame import sort as pages_sort
from armillary.console.frame.desk import Desk, Visit
from armillary.console.frame.words import counted, grouped, moment, short_id
from armillary.console.operations import (
    pages_audit,
    pages_catalog,
    pages_finding,
    pages_rollout,
    pages_settings as settings_pages,
)
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.twin.template.value_names import from_fields
from armillary.wire.hub.credentials import is_attested_id

# Lines of one device's records on its page; the API pages through all of them.
RECORD_LINES = 50
LIST_LINES = 50
TROUBLE_LINES = 100
# Offers among which the one of an address is looked for; one that is older than so many is answered by the CLI.
OFFERS_A_READ = 1000
# Rows of one export; a larger fleet is exported through the API, page by page.
EXPORT_ROWS = 100_000
ROLES = ("Reader", "Contributor", "Administrator")


def fleet(desk: Desk, visit: Visit) -> Response:
    """Fleet."""
    chosen = pages_fleet.chosen_filters(visit.query)
    after = visit.query.get("after")
    source = desk.sources.fleet
    page = source.devices(pages_fleet.service_filter(chosen), after=after, limit=pages_fleet.PAGE_SIZE)
    view = pages_fleet.fleet_page(source.summary(), page, chosen, after=after, now=visit.now)
    is_whole = not after and not view.next_href and not view.is_cut
    heads, lines = pages_sort.sorted_table(pages_fleet.COLUMNS, view.lines, visit.here, is_whole=is_whole)
    return desk.page(visit, "fleet.html", view=view, heads=heads, lines=lines, groups=source.groups())


def fleet_csv(desk: Desk, visit: Visit) -> Response:
    """The same selection as CSV."""
    wanted = pages_fleet.service_filter(pages_fleet.chosen_filters(visit.query))
    items: list[dict[str, Any]] = []
    after: str | None = None
    while len(items) < EXPORT_ROWS:
        page = desk.sources.fleet.devices(wanted, after=after, limit=1000)
        items += page["items"]
        after = page["next"]
        if after is None:
            break
    text = io.StringIO()
    csv.writer(text).writerows(pages_fleet.csv_lines(items))
    headers = {"Content-Disposition": 'attachment; filename="armillary-fleet.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def device(desk: Desk, visit: Visit) -> Response:
    """One device; one that does not attest has a page in the hub, and a name or first digits lead to it as well."""
    if not is_attested_id(visit.params["device_id"]):
        return RedirectResponse(place(meant(desk, visit, visit.params["device_id"])), 303)
    sources, now = desk.sources, visit.now
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
    may = {area: sources.door.may_change(visit.operator, area) for area in set(life.VERBS.values())}
    view = {
        "id": short_id(device_id),
        "name": found["name"],
        "name_form": name_form(device_id, found["name"], is_named=found["is_named"])
        if sources.door.may_change(visit.operator, "device-name")
        else None,
        "where": pages_fleet.where(found),
        "verdict": judged,
        "ring_kinds": [ring.kind for ring in judged.rings],
        "ring_label": ", ".join(f"{ring.name}: {ring.word}" for ring in judged.rings),
        "actions": life.actions(found, may, visit.operator.role, now),
        "offer": life.offer(found, now),
        "facts": pages_device.facts(found, now, connected=sources.hub.connected(device_id)),
        "findings_sentence": f"{counted(len(opened), 'open finding')} about this device:",
        "findings": [{"id": finding["finding_id"], "title": finding["title"]} for finding in opened],
        "appraised": moment(last["at"], now) if last else None,
        "steps": pages_device.steps(last),
        "applications": pages_device.applications(found, software["images"], now),
        "software_age": software["deployment"]["reason"],
        "components": pages_device.components(found, software["releases"]),
        "os_version": found["os_version"],
        "mechanisms": pages_device.mechanisms(found),
        "enforcement_sentence": pages_device.enforcement_sentence(found),
        "last_values": pages_hub.value_lines(values, called, metric, now),
        "metric_name": from_fields(called(metric)).display_name,
        "metric": metric,
        "ranges": tuple(pages_hub.RANGES),
        "range": asked if asked in pages_hub.RANGES else pages_hub.DEFAULT_RANGE,
        "twin": pages_hub.twin_view(sources.hub.twin(device_id), called),
        "may_patch": sources.door.may_change(visit.operator, "twin"),
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
    return desk.page(visit, "device.html", view=view)


def series(desk: Desk, visit: Visit) -> Response:
    """Points of one metric for the chart."""
    asked, metric = visit.query.get("range", pages_hub.DEFAULT_RANGE), visit.query.get("metric", "")
    if asked not in pages_hub.RANGES or not metric:
        raise InvalidArgumentError(
            f"range: expected one of {', '.join(pages_hub.RANGES)} and a metric", remedy="Use the buttons on the page."
        )
    end_ms = (visit.now + 1) * 1000
    start_ms = end_ms - pages_hub.RANGES[asked] * 1000
    found = desk.sources.fleet.device(visit.params["device_id"])
    points = desk.sources.hub.series(found["device_id"], metric, start_ms, end_ms, pages_hub.MAX_POINTS)
    name = from_fields(desk.sources.hub.called(found["device_id"])(metric))
    return JSONResponse(pages_hub.chart(name, points, start_ms, end_ms))


def updates(desk: Desk, visit: Visit) -> Response:
    """Roll-outs."""
    page = desk.sources.updates.rollouts(after=visit.query.get("after"), limit=LIST_LINES)
    view = {
        "sentence": pages_rollout.updates_sentence(page["items"]),
        "lines": [pages_rollout.rollout_line(item, visit.now) for item in page["items"]],
        "next_href": _next("/updates", {}, page["next"]),
    }
    return desk.page(visit, "updates.html", view=view)


def rollout(desk: Desk, visit: Visit) -> Response:
    """One roll-out."""
    found = desk.sources.updates.rollout(visit.params["rollout_id"])
    view = pages_rollout.rollout_page(
        found,
        may_act=desk.sources.door.may_change(visit.operator, "update"),
        role=visit.operator.role,
        now=visit.now,
    )
    failed = desk.sources.updates.troubles(found["rollout_id"], limit=TROUBLE_LINES)
    names = desk.sources.application.labels([each["device_id"] for each in failed])
    return desk.page(visit, "rollout.html", view=view, troubles=pages_rollout.troubles(failed, names, visit.now))


def findings(desk: Desk, visit: Visit) -> Response:
    """Findings."""
    asked = visit.query.get("status", "open")
    status = asked if asked in pages_finding.STATUSES else "open"
    page = desk.sources.watch.findings(status, after=visit.query.get("after"), limit=LIST_LINES)
    may_act = desk.sources.door.may_change(visit.operator, "finding")
    names = desk.sources.application.labels(pages_finding.named_devices(page["items"]))
    is_whole = page["next"] is None and not visit.query.get("after")
    heads, lines = pages_sort.sorted_table(
        pages_finding.COLUMNS,
        [
            pages_finding.finding_line(item, names, may_act=may_act, now=visit.now)
            for item in pages_finding.by_severity(page["items"])
        ],
        visit.here,
        is_whole=is_whole,
    )
    view = {
        "heads": heads,
        "sentence": pages_finding.findings_sentence(page["items"], status, more=page["next"] is not None),
        "status": status,
        "statuses": pages_finding.STATUSES,
        "lines": lines,
        "next_href": _next("/findings", {"status": status}, page["next"]),
    }
    return desk.page(visit, "findings.html", view=view)


def audit(desk: Desk, visit: Visit) -> Response:
    """Audit log, and the result of verifying it when asked."""
    after = visit.query.get("after")
    page = desk.sources.house.audit(after=after, limit=LIST_LINES)
    verify = visit.query.get("verify") == "now"
    names = desk.sources.application.labels(pages_audit.named_devices(page["items"]))
    heads, rows = pages_sort.sorted_table(
        pages_audit.COLUMNS,
        [pages_audit.audit_row(line, names, visit.now) for line in page["items"]],
        visit.here,
        is_whole=page["next"] is None and not after,
        numbers=frozenset({"Line"}),
    )
    newest = f"{grouped(page['items'][0]['number'])} operations are recorded." if rows else "Nothing was done yet."
    view = {
        "sentence": newest if not after else "Older operations.",
        "proof": pages_audit.proof(desk.sources.house.verify_audit()) if verify else None,
        "heads": heads,
        "rows": rows,
        "next_href": _next("/audit", {}, page["next"]),
        "first_href": "/audit" if after else None,
    }
    return desk.page(visit, "audit.html", view=view)


def settings(desk: Desk, visit: Visit) -> Response:
    """Catalogs, releases, tokens."""
    return settings_page(desk, visit)


def settings_page(
    desk: Desk,
    visit: Visit,
    new_token: dict[str, Any] | None = None,
    new_enrolment: pages_catalog.NewEnrolment | None = None,
) -> Response:
    """The settings page; right after a token was made, with its secret."""
    house, now = desk.sources.house, visit.now
    may_act = desk.sources.door.may_change(visit.operator, "token")
    tokens = None
    if may_act:
        tokens = [
            settings_pages.token_line(token, own_id=visit.operator.token_id, may_act=may_act, now=now)
            for token in house.tokens()
        ]
    catalogs, releases = house.catalogs(), house.releases()
    factories = {catalog["name"]: _factory(desk, visit, catalog) for catalog in catalogs}
    waiting = sum(part["waiting"] for part in factories.values())
    view = {
        "sentence": settings_pages.settings_sentence(catalogs, releases, tokens)
        + pages_catalog.waiting_sentence(waiting, more=any(part["is_part"] for part in factories.values())),
        "catalogs": [
            {
                "name": catalog["name"],
                "id": short_id(catalog["catalog_id"]),
                "policy": settings_pages.policy_sentence(catalog["attestation_policy"]),
                "policy_command": pages_catalog.policy_command(catalog["attestation_policy"]),
                **factories[catalog["name"]],
                "groups": [
                    settings_pages.group_line(group, "/fleet?" + urlencode({"group": group["name"]}))
                    for group in catalog["groups"]
                ],
                "certificates": [settings_pages.certificate_line(item, now) for item in catalog["certificates"]],
            }
            for catalog in catalogs
        ],
        "releases": [settings_pages.release_line(release, now) for release in releases],
        "tokens": tokens,
        "new_token": new_token,
        "new_enrolment": new_enrolment,
        "lives": tuple(pages_catalog.LIVES),
        "may_make_tokens": may_act,
        "roles": ROLES,
    }
    return desk.page(visit, "settings.html", view=view)


def _factory(desk: Desk, visit: Visit, catalog: dict[str, Any]) -> dict[str, Any]:
    """How devices come into a catalog and leave it: offers that wait, enrolment tokens."""
    door, house, name, now = desk.sources.door, desk.sources.house, catalog["name"], visit.now
    after = visit.query.get("after") if visit.query.get("offers") == name else None
    page, tokens = house.transfers(name, after=after, limit=LIST_LINES), house.enrolment_tokens(name)
    names = desk.sources.application.labels(sorted({item["device_id"] for item in page["items"]}))
    offers, older = page["items"], _next("/settings", {"offers": name}, page["next"])
    may_answer, may_enrol = (door.may_change(visit.operator, area) for area in ("transfer", "enrolment"))
    return {
        "offers": [pages_catalog.offer_line(item, name, names, may_act=may_answer, now=now) for item in offers],
        "waiting": pages_catalog.waiting(offers, name),
        "is_part": bool(after or older),
        "offers_sentence": pages_catalog.offers_sentence(offers, name) + (" on this page" if after or older else ""),
        "older_offers": f"{older}#catalog-{name}" if older else None,
        "newest_offers": f"/settings#catalog-{name}" if after else None,
        "enrolments": pages_catalog.enrolment_lines(tokens, name, may_act=may_enrol, now=now),
        "enrolments_sentence": pages_catalog.enrolment_sentence(tokens, now),
        "may_enrol": may_enrol,
        "enrol_post": f"{pages_catalog.place(name)}/enrolment-tokens",
        "group_choices": pages_catalog.group_choices(catalog["groups"]),
    }


def waiting_transfer(desk: Desk, visit: Visit) -> dict[str, Any]:
    """The offer that an address names.

    Raises:
        NotFoundError: the verb, the catalog or an offer that still waits there does not exist.
    """
    params = visit.params
    if params["verb"] not in pages_catalog.VERBS:
        raise NotFoundError(f"offers have no action {params['verb']!r}", remedy="Use the links on the settings page.")
    after: str | None = None
    while True:
        page = desk.sources.house.transfers(params["catalog"], after=after, limit=OFFERS_A_READ)
        for item in page["items"]:
            if item["transfer_id"] == params["transfer_id"]:
                return dict(item)
        after = page["next"]
        if after is None:
            raise NotFoundError("no such offer waits for an answer", remedy="Reload the settings page.")


def confirm_transfer(desk: Desk, visit: Visit) -> Response:
    """What accepting, declining or cancelling an offer does."""
    found = waiting_transfer(desk, visit)
    view = pages_catalog.transfer_confirmation(found, visit.params["verb"], visit.params["catalog"])
    return desk.page(visit, "confirm.html", view=view)


def confirm_enrolment_token(desk: Desk, visit: Visit) -> Response:
    """What revoking an enrolment token does."""
    catalog, wanted = visit.params["catalog"], visit.params["token_id"]
    tokens = desk.sources.house.enrolment_tokens(catalog)
    found = next((token for token in tokens if token["token_id"] == wanted), None)
    if found is None:
        raise NotFoundError("no such enrolment token", remedy="Reload the settings page.")
    return desk.page(visit, "confirm.html", view=pages_catalog.enrolment_confirmation(found, catalog))


def confirm_rollout(desk: Desk, visit: Visit) -> Response:
    """What an action on a roll-out touches, before it is done."""
    verb = visit.params["verb"]
    if verb not in pages_rollout.ACTIONS:
        raise NotFoundError(f"roll-outs have no action {verb!r}", remedy="Use the buttons on the roll-out's page.")
    found = desk.sources.updates.rollout(visit.params["rollout_id"])
    return desk.page(visit, "confirm.html", view=pages_rollout.confirmation(found, verb))


def confirm_device(desk: Desk, visit: Visit) -> Response:
    """What an action on a device does, before it is done."""
    verb = visit.params["verb"]
    if verb not in life.VERBS:
        raise NotFoundError(f"devices have no action {verb!r}", remedy="Use the buttons on the device's page.")
    found = desk.sources.fleet.device(visit.params["device_id"])
    view = life.confirmation(found, verb, other_catalogs(desk, found, verb))
    return desk.page(visit, "confirm.html", view=view)


def other_catalogs(desk: Desk, device: Mapping[str, Any], verb: str) -> tuple[tuple[str, str], ...]:
    """(id, name) of the catalogs that a device can be offered to; none for other verbs, which need no choice."""
    if verb != "offer":
        return ()
    return tuple(
        (str(catalog["catalog_id"]), catalog["name"])
        for catalog in desk.sources.house.catalogs()
        if catalog["name"] != device["catalog"]
    )


def confirm_token(desk: Desk, visit: Visit) -> Response:
    """What revoking a token does."""
    wanted = visit.params["token_id"]
    found = next((token for token in desk.sources.house.tokens() if token["token_id"] == wanted), None)
    if found is None:
        raise NotFoundError("no such token", remedy="Reload the settings page.")
    own = wanted == visit.operator.token_id
    return desk.page(visit, "confirm.html", view=settings_pages.token_confirmation(found, own=own))


def help_page(desk: Desk, visit: Visit) -> Response:
    """Keys and shapes."""
    return desk.page(visit, "help.html")


def home(_desk: Desk, _visit: Visit) -> Response:
    """The fleet is where everybody starts."""
    return RedirectResponse("/fleet", 303)


def point_event(item: dict[str, Any], called: dict[str, Any]) -> dict[str, Any]:
    """A live point as the chart takes it, with the text that the table shows; ``called`` says what its metric is."""
    return {**item, "text": pages_hub.value_text(from_fields(called), item["value"])}


def _next(path: str, query: dict[str, str], cursor: str | None) -> str | None:
    return f"{path}?{urlencode({**query, 'after': cursor})}" if cursor else None
