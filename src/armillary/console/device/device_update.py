# SPDX-License-Identifier: Apache-2.0
"""Where the update of a device stands, and having it check in now."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.device.pages_device_data import place
from armillary.console.device.pages_device_update import update_sheet
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done


def page(visit: Visit) -> Response:
    """The page."""
    found = visit.sources.fleet.device(visit.params["device_id"])
    standing = ask(visit, "update_status", device_id=found["device_id"])
    return show(visit, update_sheet(standing, found["name"], visit.now, may_ask=may(visit, "check_now")))


def check_now(visit: Visit, form: Form) -> Response:  # noqa: ARG001 - the form has nothing but its token
    """Have the device check in now."""
    found = ask(visit, "check_now", device_id=visit.params["device_id"])
    return done(place(found["device_id"], "update"), "asked-to-check-in")
