# SPDX-License-Identifier: Apache-2.0
"""Direct methods that people call: sent to devices, answered on a page, and listed afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from armillary.console.frame.asking import ask, may
from armillary.console.frame.console import Visit
from armillary.console.frame.values import json_text, value_text
from armillary.console.language.say import say
from armillary.errors import ArmillaryError, NotFoundError

# Calls are kept in the audit log alone: they are looked for among so many of a device's newest lines, and so many are
# shown.
AUDIT_LINES = 1000
COMMANDS = 20


def send(
    visit: Visit,
    devices: Sequence[Mapping[str, Any]],
    method: str,
    parameters: Any,
    *,
    label: str,
    crumbs: tuple[tuple[str, str], ...],
) -> Response:
    """Call a method of devices (``device_id`` and ``label`` of each), and show what each answered.

    ``label`` is what people call the method; ``crumbs`` are those of the page that it was sent from.
    """
    lines = [_call(visit, each, method, parameters) for each in devices]
    view = {"label": label, "back": crumbs[-1][1], "crumbs": crumbs, "lines": lines}
    return visit.page("command_result.html", view=view)


def sent_before(visit: Visit, device_id: str) -> list[dict[str, Any]]:
    """Audit lines of a device's newest commands, newest first; none for who may not read the audit log."""
    if not may(visit, "settings.audit_lines"):
        return []
    lines = visit.sources.settings.audit_lines(after=None, limit=AUDIT_LINES, target=device_id)["items"]
    return [each for each in lines if each["operation"] == "device.method"][:COMMANDS]


def names_of(visit: Visit, found: Mapping[str, Any]) -> list[str]:
    """Commands of a device's template; ``found`` as ``show_device_template`` answers."""
    if not found["template"] or found["is_missing"] or not may(visit, "show_template_version"):
        return []
    try:
        shown = ask(visit, "show_template_version", template_name=found["template"], version=found["version"])
    except NotFoundError:  # its earlier owner's, or deleted since
        return []
    return [each["name"] for each in shown["capabilities"] if each["kind"] == "command"]


def _call(visit: Visit, device: Mapping[str, Any], method: str, parameters: Any) -> dict[str, Any]:
    line = {"label": device["label"], "href": f"/devices/{device['device_id']}"}
    try:
        answer = visit.sources.application.call(device["device_id"], method, parameters)
    except ArmillaryError as error:
        return line | {"state": {"kind": "bad", "word": say("no answer")}, "said": error.message}
    good = 200 <= answer["status"] < 300
    said = "" if answer["payload"] is None else value_text(json_text(answer["payload"]), "")
    return line | {
        "state": {"kind": "good" if good else "bad", "word": say("answered {status}", status=answer["status"])},
        "said": said,
    }
