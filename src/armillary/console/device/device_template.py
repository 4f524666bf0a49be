# SPDX-License-Identifier: Apache-2.0
"""Giving a device a template, or taking it away: first a page that says what it would lose, then the change."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.console.device import pages_device_template as pages
from armillary.console.device.device_data import known
from armillary.console.device.pages_device_data import place
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.errors import InvalidArgumentError

# Templates that are offered; more are given on the command line.
OFFERED = 200


def offered(visit: Visit) -> list[dict[str, Any]]:
    """Templates that have a published version."""
    items = ask(visit, "list_templates", limit=OFFERED)["items"]
    return [each for each in items if each["versions"]]


def review(visit: Visit, form: Form) -> Response:
    """Say what giving a template would do, and do nothing."""
    device_id, asked = known(visit), _asked(form)
    label = visit.sources.application.labels([device_id])[device_id]
    found = ask(visit, "set_device_template", device_id=device_id, **asked, dry_run=True) if asked else None
    return show(visit, pages.review_sheet(device_id, label, form["template"], found))


def give(visit: Visit, form: Form) -> Response:
    """Give a template, or take it away."""
    device_id, asked = known(visit), _asked(form)
    if asked is None:
        ask(visit, "unset_device_template", device_id=device_id)
    else:
        ask(visit, "set_device_template", device_id=device_id, **asked, dry_run=False)
    return done(place(device_id, "twin"), "template-given")


def _asked(form: Form) -> dict[str, Any] | None:
    """The template and version of a form; None: none at all."""
    asked = form.get("template", "")
    if asked == pages.NONE:
        return None
    name, slash, version = asked.rpartition("/")
    if not slash or not 0 < len(name) <= 100 or not version.isdecimal() or not 0 < len(version) < 7 or int(version) < 1:
        raise InvalidArgumentError("template: expected one of the choices", remedy="Choose one on the twin's page.")
    return {"template": name, "version": int(version)}
