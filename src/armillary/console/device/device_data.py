# SPDX-License-Identifier: Apache-2.0
"""The data page of a device, its telemetry, raw values and properties, and the commands that people send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from armillary.console.device import commands, pages_device_data
from armillary.console.device.subject import Subject, found_of, show_tab
from armillary.console.frame.action_checks import Form, json_of
from armillary.console.frame.asking import ask, shown_range
from armillary.console.frame.console import Visit
from armillary.console.frame.times import RANGES, TimeRange, choice_of

# The range of raw values where the address names none.
DEFAULT_RANGE: Final = "24h"
# Raw values that are read to have the newest.
MOST_RAW = 10_000


def page(visit: Visit, subject: Subject) -> Response:
    """The page."""
    found = ask(visit, "show_device_template", device_id=subject.device_id)
    shown, problem = shown_range(visit)
    raw = _raw(visit, subject.device_id, shown)
    sheet = pages_device_data.data_sheet(found, subject.name, raw, now=visit.now)
    if raw:
        path, kept = pages_device_data.place(subject.device_id, "data"), {"name": raw["metric"]}
        ranges = choice_of(path, visit.query, shown, visit.now, default=DEFAULT_RANGE, kept=kept, problem=problem)
        sheet = replace(sheet, ranges=ranges)
    return show_tab(visit, subject, sheet, 400 if problem else 200)


def known(visit: Visit) -> str:
    """The device of an address, one that attests or a hub device.

    Raises:
        NotFoundError: there is none.
    """
    return str(found_of(visit, visit.params["device_id"])["device_id"])


def send(visit: Visit, form: Form) -> Response:
    """Call a direct method and show what the device answered."""
    device_id = known(visit)
    method, text = form.get("method", "").strip(), form.get("payload", "").strip()
    payload = json_of(text, "parameters")
    label = visit.sources.application.labels([device_id])[device_id]
    crumbs = (pages_device_data.root_crumb(device_id), (label, pages_device_data.place(device_id, "commands")))
    device = {"device_id": device_id, "label": label}
    return commands.send(visit, [device], method, payload, label=method, crumbs=crumbs)


def _raw(visit: Visit, device_id: str, shown: TimeRange) -> dict[str, Any] | None:
    name = visit.query.get("name", "")
    if not name:
        return None
    begin, end = shown.bounds(visit.now + 60, RANGES[DEFAULT_RANGE])
    found = ask(
        visit,
        "device_raw",
        device_id=device_id,
        metric=name,
        start_ms=begin * 1000,
        end_ms=end * 1000,
        limit=MOST_RAW,
    )
    items = found["items"][-pages_device_data.RAW_VALUES :][::-1]
    label = visit.sources.hub.called(device_id)(name)
    return {"metric": name, "label": label, "items": items, "now": visit.now}
