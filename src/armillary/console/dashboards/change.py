# SPDX-License-Identifier: Apache-2.0
"""Dashboards, changed: made, laid out anew, their tiles kept and removed; and the commands that their tiles send.

Every change names the version that the operator saw: of two people who edit at once, the second is told.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import RedirectResponse, Response

from armillary.api.http.json_body import strict_json
from armillary.console.dashboards import pages_dashboard, pages_tile_form, read as read_dashboards
from armillary.console.dashboards.pages_dashboard import place
from armillary.console.dashboards.pages_tiles import value_text
from armillary.console.dashboards.read import KIND, found
from armillary.console.device.device_name import meant
from armillary.console.frame.desk import Desk, Visit, told
from armillary.console.operations.change import Form, permit
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError
from armillary.twin.author.dashboard import KINDS, parse_tile


def make(desk: Desk, visit: Visit, form: Form) -> Response:
    """Make an empty dashboard and go to its board."""
    permit(desk, visit, KIND)
    name = form.get("name", "").strip()
    body: dict[str, Any] = {"name": name, "template": form.get("template") or None, "columns": 12, "tiles": []}
    application = desk.sources.application
    application.check(KIND, body)
    taken = frozenset(each["id"] for each in application.documents(KIND, after=None, limit=1000)["items"])
    made = application.keep(visit.operator, KIND, pages_dashboard.slug(name, taken), body, "")
    return RedirectResponse(place(made["id"], "edit"), 303)


def lay_out(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep where tiles were moved to."""
    permit(desk, visit, KIND)
    document = found(desk, visit)
    try:
        layout = strict_json(form.get("layout", "").encode())
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            "layout: expected JSON", remedy="Reload the page and move the tiles again."
        ) from error
    body = pages_dashboard.moved(document["body"], layout)
    desk.sources.application.keep(visit.operator, KIND, document["id"], body, form.get("etag", ""))
    return told(place(document["id"]), "dashboard")


def keep_tile(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep a tile's form; what is wrong with it is said on the form, with everything still in it."""
    permit(desk, visit, KIND)
    document, tile_id = found(desk, visit), visit.params["tile_id"]
    present = None if tile_id == "new" else read_dashboards.known_tile(document, tile_id)
    kind = form.get("kind", "") if present is None else present["kind"]
    if kind not in KINDS:
        raise NotFoundError(f"there is no kind of tile {kind[:40]!r}", remedy="Choose one on the board.")
    body = document["body"]
    taken = frozenset(each["id"] for each in body["tiles"])
    made: dict[str, Any] = pages_tile_form.new_tile(kind, 0) if present is None else present
    try:
        made = pages_tile_form.tile_of(kind, form, None if present is None else tile_id, taken)
        if "device" in made.get("source", {}):  # as people write one: by its name, too
            made["source"] = {"device": meant(desk, visit, made["source"]["device"])}
        parse_tile(made)
        changed = pages_dashboard.with_tile(body, None if present is None else tile_id, made)
        desk.sources.application.check(KIND, changed)
    except (InvalidArgumentError, NotFoundError) as error:
        return read_dashboards.tile_page(desk, visit, document, made, error)
    desk.sources.application.keep(visit.operator, KIND, document["id"], changed, form.get("etag", ""))
    return told(place(document["id"], "edit"), "dashboard")


def remove_tile(desk: Desk, visit: Visit, form: Form) -> Response:
    """Take a tile away."""
    permit(desk, visit, KIND)
    document = found(desk, visit)
    shown = read_dashboards.known_tile(document, visit.params["tile_id"])
    body = pages_dashboard.without_tile(document["body"], shown["id"])
    desk.sources.application.keep(visit.operator, KIND, document["id"], body, form.get("etag", ""))
    return told(place(document["id"], "edit"), "tile-removed")


def delete(desk: Desk, visit: Visit, _form: Form) -> Response:
    """Delete a dashboard."""
    permit(desk, visit, KIND)
    document = found(desk, visit)
    desk.sources.application.drop(visit.operator, KIND, document["id"], document["etag"])
    return told("/dashboards", "dashboard-deleted")


def send_command(desk: Desk, visit: Visit, _form: Form) -> Response:
    """Call a command tile's method on its connected devices, and show what each answered."""
    permit(desk, visit, "command")
    document = found(desk, visit)
    asked, reached = read_dashboards.command_of(desk, visit, document)
    shown = read_dashboards.known_tile(document, visit.params["tile_id"])
    lines = [call(desk, visit, each, shown["command"], shown.get("parameters")) for each in reached]
    crumbs = (("Dashboards", "/dashboards"), (document["body"]["name"], asked.back))
    view = {"label": asked.label, "back": asked.back, "crumbs": crumbs, "lines": lines}
    return desk.page(visit, "command_result.html", view=view)


def call(desk: Desk, visit: Visit, device: dict[str, Any], method: str, parameters: Any) -> dict[str, Any]:
    """Call a method of a device; the line that says what came of it."""
    line = {"label": device["label"], "href": f"/devices/{device['device_id']}"}
    try:
        answer = desk.sources.application.call(visit.operator, device["device_id"], method, parameters)
    except ArmillaryError as error:
        return line | {"state": {"kind": "bad", "word": "no answer"}, "said": error.message}
    good = 200 <= answer["status"] < 300
    said = "" if answer["payload"] is None else value_text(json.dumps(answer["payload"], ensure_ascii=False), "")
    return line | {"state": {"kind": "good" if good else "bad", "word": f"answered {answer['status']}"}, "said": said}
