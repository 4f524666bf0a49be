# SPDX-License-Identifier: Apache-2.0
"""Guardians, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response

from armillary.console.device.commands import sent_before
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import LIST_LINES
from armillary.console.guardians import pages_equipment, pages_guardians


def guardians(visit: Visit) -> Response:
    """All guardians."""
    after = visit.query.get("after")
    page = ask(visit, "list_guardians", limit=LIST_LINES, after=after)
    return show(visit, pages_guardians.list_sheet(page, is_part=bool(after or page["next"]), now=visit.now))


def guardian(visit: Visit) -> Response:
    """One guardian with one piece of its equipment."""
    return guardian_page(visit, visit.query.get("equipment", ""))


def guardian_page(
    visit: Visit,
    equipment: str,
    *,
    command: str = "",
    sent: Mapping[str, str] = MappingProxyType({}),
    wrong: Wrong | None = None,
) -> Response:
    """The same; ``wrong`` is what was wrong with the form of a command."""
    found = ask(visit, "show_guardian", device_id=visit.params["device_id"])
    chosen = next((each for each in found["equipment"] if each["name"] == equipment), None)
    if chosen is None and found["equipment"]:
        chosen = found["equipment"][0]
    commands = chosen["commands"] if chosen is not None and may(visit, "command_equipment") else ()
    forms = [
        pages_equipment.command_form(
            found["device_id"],
            chosen or {},
            each,
            sent=sent if each["name"] == command else {},
            wrong=wrong if each["name"] == command else None,
        )
        for each in commands
    ]
    lines = [] if chosen is None else sent_before(visit, f"{found['device_id']}/{chosen['name']}")
    made = pages_guardians.guardian_sheet(found, chosen, forms, lines, now=visit.now)
    return show(visit, made, 400 if wrong else 200)
