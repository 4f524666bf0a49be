# SPDX-License-Identifier: Apache-2.0
"""A device's data page: everything it sends and is told, its raw values, what is wanted of it, its commands."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.api.http.json_body import strict_json
from armillary.console.authored import read as read_application
from armillary.console.authored.read import ask, may
from armillary.console.dashboards import change as change_dashboards
from armillary.console.device import pages_device_data
from armillary.console.frame.desk import Desk, Visit
from armillary.console.operations.change import Form, permit
from armillary.errors import InvalidArgumentError
from armillary.wire.hub.credentials import is_attested_id

# Audit lines among which a device's commands are looked for.
AUDIT_LINES = 1000
COMMANDS = 20
DAY_MS = 86_400_000
# Raw values that are read to have the newest.
MOST_RAW = 10_000


def show(desk: Desk, visit: Visit) -> Response:
    """The page."""
    device_id = known(desk, visit)
    found = ask(desk, visit, "show_device_template", device_id=device_id)
    label = desk.sources.application.labels([device_id])[device_id]
    sheet = pages_device_data.data_sheet(
        found,
        label,
        _raw(desk, visit, device_id),
        _commands(desk, device_id),
        _names(desk, visit, found),
        may_call=may(desk, visit, "command"),
        now=visit.now,
    )
    return read_application.show(desk, visit, sheet)


def known(desk: Desk, visit: Visit) -> str:
    """The device of an address, one that attests or a hub device.

    Raises:
        NotFoundError: there is none.
    """
    asked = visit.params["device_id"]
    if is_attested_id(asked):
        return str(desk.sources.fleet.device(asked)["device_id"])
    return str(ask(desk, visit, "show_hub_device", device_id=asked)["device_id"])


def send(desk: Desk, visit: Visit, form: Form) -> Response:
    """Call a direct method and show what the device answered."""
    permit(desk, visit, "command")
    device_id = known(desk, visit)
    method, text = form.get("method", "").strip(), form.get("payload", "").strip()
    try:
        payload = strict_json(text.encode()) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"parameters: expected JSON, got {text[:40]!r}", remedy='Put texts in quotation marks: "auto".'
        ) from error
    label = desk.sources.application.labels([device_id])[device_id]
    back = pages_device_data.place(device_id, "data")
    line = change_dashboards.call(desk, visit, {"device_id": device_id, "label": label}, method, payload)
    view = {
        "label": method,
        "back": back,
        "crumbs": (pages_device_data.root_crumb(device_id), (label, back)),
        "lines": [line],
    }
    return desk.page(visit, "command_result.html", view=view)


def _raw(desk: Desk, visit: Visit, device_id: str) -> dict[str, Any] | None:
    name = visit.query.get("name", "")
    if not name:
        return None
    end_ms = (visit.now + 60) * 1000
    found = ask(
        desk,
        visit,
        "device_raw",
        device_id=device_id,
        metric=name,
        start_ms=end_ms - DAY_MS,
        end_ms=end_ms,
        limit=MOST_RAW,
    )
    items = found["items"][-pages_device_data.RAW_VALUES :][::-1]
    label = desk.sources.hub.called(device_id)(name)
    return {"metric": name, "label": label, "items": items, "now": visit.now}


def _commands(desk: Desk, device_id: str) -> list[dict[str, Any]]:
    lines = desk.sources.house.audit(after=None, limit=AUDIT_LINES)["items"]
    return [each for each in lines if each["operation"] == "device.method" and each["target"] == device_id][:COMMANDS]


def _names(desk: Desk, visit: Visit, found: dict[str, Any]) -> list[str]:
    if not found["template"] or found["is_missing"]:
        return []
    shown = ask(desk, visit, "show_template_version", template_name=found["template"], version=found["version"])
    return [each["name"] for each in shown["capabilities"] if each["kind"] == "command"]
