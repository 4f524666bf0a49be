# SPDX-License-Identifier: Apache-2.0
"""Commands to equipment: looked at once more, then asked of its guardian, and what that answered."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, confirm
from armillary.console.frame.console import Visit
from armillary.console.guardians import pages_equipment, read
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError


def review(visit: Visit, form: Form) -> Response:
    """What a command will do, before it is sent."""
    found, equipment, command = _asked(visit)
    try:
        value = pages_equipment.value_of(command, form.get("value", ""))
    except InvalidArgumentError as error:
        wrong = (f"{error.message}.", error.remedy)
        return read.guardian_page(visit, equipment["name"], command=command["name"], sent=form, wrong=wrong)
    return confirm(visit, pages_equipment.question(found, equipment, command, value))


def send(visit: Visit, form: Form) -> Response:
    """Ask the guardian, and show what it answered."""
    found, equipment, command = _asked(visit)
    value = pages_equipment.value_of(command, form.get("value", ""))
    named = {"device_id": found["device_id"], "equipment": equipment["name"], "command": command["name"]}
    try:
        answer = ask(visit, "command_equipment", **named, value=value)
    except ArmillaryError as error:
        line = pages_equipment.no_answer(error)
    else:
        line = pages_equipment.answered(command, answer)
    view = {
        "label": command["display_name"],
        "back": pages_equipment.place(found["device_id"], equipment["name"]),
        "crumbs": pages_equipment.crumbs(found, equipment["name"]),
        "lines": [
            {"label": equipment["name"], "href": pages_equipment.place(found["device_id"], equipment["name"])} | line
        ],
    }
    return visit.page("command_result.html", view=view)


def _asked(visit: Visit) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Guardian, equipment and command of an address; NotFoundError where there is none of that name."""
    found = ask(visit, "show_guardian", device_id=visit.params["device_id"])
    for equipment in found["equipment"]:
        for command in equipment["commands"]:
            if (equipment["name"], command["name"]) == (visit.params["equipment"], visit.params["command"]):
                return found, equipment, command
    raise NotFoundError("this equipment has no such command", remedy="Go back to the guardian's page.")
