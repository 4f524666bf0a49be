# SPDX-License-Identifier: Apache-2.0
"""Which template a device has, chosen by hand: what it would lose is said first, then it is given."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.api.native.platform.templates import AssignBody
from armillary.console.authored.read import ask, show
from armillary.console.device import pages_device_template as pages
from armillary.console.device.device_data import known
from armillary.console.device.pages_device_data import place
from armillary.console.frame.desk import Desk, Visit, told
from armillary.console.operations.change import Form, permit
from armillary.errors import InvalidArgumentError

# Templates that are offered; more are given on the command line.
OFFERED = 200


def offered(desk: Desk, visit: Visit) -> list[dict[str, Any]]:
    """Templates that have a published version."""
    items = ask(desk, visit, "list_templates", limit=OFFERED)["items"]
    return [each for each in items if each["versions"]]


def review(desk: Desk, visit: Visit, form: Form) -> Response:
    """Say what giving a template would do, and do nothing."""
    permit(desk, visit, "device-template")
    device_id, body = known(desk, visit), _asked(form, dry_run=True)
    label = desk.sources.application.labels([device_id])[device_id]
    found = ask(desk, visit, "set_device_template", device_id=device_id, body=body) if body else None
    return show(desk, visit, pages.review_sheet(device_id, label, form["template"], found))


def give(desk: Desk, visit: Visit, form: Form) -> Response:
    """Give a template, or take it away."""
    permit(desk, visit, "device-template")
    device_id, body = known(desk, visit), _asked(form, dry_run=False)
    if body is None:
        ask(desk, visit, "unset_device_template", device_id=device_id)
    else:
        ask(desk, visit, "set_device_template", device_id=device_id, body=body)
    return told(place(device_id, "twin"), "template-given")


def _asked(form: Form, *, dry_run: bool) -> AssignBody | None:
    """The template and version of a form; None: none at all."""
    asked = form.get("template", "")
    if asked == pages.NONE:
        return None
    name, slash, version = asked.rpartition("/")
    if not slash or not 0 < len(name) <= 100 or not version.isdecimal() or not 0 < len(version) < 7 or int(version) < 1:
        raise InvalidArgumentError("template: expected one of the choices", remedy="Choose one on the twin's page.")
    return AssignBody(template=name, version=int(version), dry_run=dry_run)
