# SPDX-License-Identifier: Apache-2.0
"""Device templates, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.device_templates import pages_templates
from armillary.console.frame.asking import ask, found_text, may, show
from armillary.console.frame.console import Visit
from armillary.errors import NotFoundError

LINES = 100
# Devices that a template's page names.
DEVICES = 50


def templates(visit: Visit) -> Response:
    """All device templates."""
    search = found_text(visit)
    page = ask(visit, "list_templates", limit=LINES, after=visit.query.get("after"), search=search)
    can = may(visit, "put_template")
    return show(visit, pages_templates.templates_sheet(page, may_change=can, now=visit.now, search=search))


def template(visit: Visit) -> Response:
    """One device template: its draft, or one of its versions."""
    name, asked = visit.params["name"], visit.query.get("version", "")
    published = versions_of(visit, name)
    version = int(asked) if asked.isdecimal() and len(asked) < 7 else (published[-1] if published else 0)
    if version:
        found = ask(visit, "show_template_version", template_name=name, version=version)
    else:
        found = ask(visit, "show_template", template_name=name)
    page = ask(visit, "template_devices", template_name=name, limit=DEVICES)
    labels = visit.sources.application.labels([each["device_id"] for each in page["items"]])
    devices = [(each["device_id"], labels[each["device_id"]], each["version"]) for each in page["items"]]
    return show(visit, pages_templates.template_sheet(found, devices, may_change=may(visit, "put_template", found)))


def versions_of(visit: Visit, name: str) -> list[int]:
    """Published versions of a template.

    Raises:
        NotFoundError: there is no such template.
    """
    for each in ask(visit, "list_templates", limit=1000)["items"]:
        if each["name"] == name:
            return list(each["versions"])
    raise NotFoundError(f"there is no device template {name[:64]!r}", remedy="Choose one of the list.")
