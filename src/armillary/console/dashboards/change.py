# SPDX-License-Identifier: Apache-2.0
"""Dashboards, changed: made, laid out anew, their tiles kept and removed; and the commands that their tiles send.

Every change names the version that the operator saw: of two people who edit at once, the second is refused.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import RedirectResponse, Response

from armillary.api.http.json_body import strict_json
from armillary.console.dashboards import pages_dashboard, pages_tile_form, read as read_dashboards
from armillary.console.dashboards.pages_dashboard import place
from armillary.console.dashboards.read import KIND, found
from armillary.console.device import commands
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import meant
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.words import counted, joined, slug
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.twin.author.dashboard import KINDS, parse_tile

# Devices that one press of a command tile reaches; more are a job's business, which can be stopped and taken up again.
MAX_CALLS = 20


def make(visit: Visit, form: Form) -> Response:
    """Make an empty dashboard and go to its board."""
    name = form.get("name", "").strip()
    body: dict[str, Any] = {"name": name, "template": form.get("template") or None, "columns": 12, "tiles": []}
    application = visit.sources.application
    application.check(KIND, body)
    taken = frozenset(each["id"] for each in application.documents(KIND, after=None, limit=1000)["items"])
    made = application.keep(KIND, slug(name, taken), body, "")
    return RedirectResponse(place(made["id"], "edit"), 303)


def lay_out(visit: Visit, form: Form) -> Response:
    """Keep where tiles were moved to."""
    document = found(visit)
    try:
        layout = strict_json(form.get("layout", "").encode())
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            "layout: expected JSON", remedy="Reload the page and move the tiles again."
        ) from error
    body = pages_dashboard.moved(document["body"], layout)
    visit.sources.application.keep(KIND, document["id"], body, form.get("etag", ""))
    return done(place(document["id"]), "dashboard")


def keep_tile(visit: Visit, form: Form) -> Response:
    """Keep a tile's form; what is wrong with it is said on the form, with everything still in it."""
    document, tile_id = found(visit), visit.params["tile_id"]
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
            made["source"] = {"device": meant(visit, made["source"]["device"])}
        parse_tile(made)
        changed = pages_dashboard.with_tile(body, None if present is None else tile_id, made)
        visit.sources.application.check(KIND, changed)
    except (InvalidArgumentError, NotFoundError) as error:
        return read_dashboards.tile_page(visit, document, made, error)
    visit.sources.application.keep(KIND, document["id"], changed, form.get("etag", ""))
    return done(place(document["id"], "edit"), "dashboard")


def remove_tile(visit: Visit, form: Form) -> Response:
    """Take a tile away."""
    document = found(visit)
    shown = read_dashboards.known_tile(document, visit.params["tile_id"])
    body = pages_dashboard.without_tile(document["body"], shown["id"])
    visit.sources.application.keep(KIND, document["id"], body, form.get("etag", ""))
    return done(place(document["id"], "edit"), "tile-removed")


def delete_question(visit: Visit) -> Confirmation:
    """What deleting a dashboard does."""
    document = found(visit)
    return Confirmation(
        title=f"Delete the dashboard {document['body']['name']}?",
        touches=(
            ("Deletes", f"The page and its {counted(len(document['body']['tiles']), 'tile')}."),
            ("Left alone", "Devices, their values, rules and groups."),
            ("Undo", "Put its body again: its versions stay in the application's history for a while."),
        ),
        label="Delete dashboard",
        danger=True,
        post=place(document["id"], "delete"),
        back=place(document["id"], "edit"),
    )


def delete(visit: Visit, _form: Form) -> Response:
    """Delete a dashboard."""
    document = found(visit)
    visit.sources.application.drop(KIND, document["id"], document["etag"])
    return done("/dashboards", "dashboard-deleted")


def _command(visit: Visit, document: dict[str, Any]) -> tuple[Confirmation, list[dict[str, Any]]]:
    """The question about a command, and the devices that are connected.

    Raises:
        NotFoundError: no such tile, or no command's.
        InvalidArgumentError: nobody is connected, or too many are.
    """
    shown = read_dashboards.known_tile(document, visit.params["tile_id"])
    if shown["kind"] != "command":
        raise NotFoundError("this tile is no command", remedy="Go back to the dashboard.")
    devices = visit.sources.application.tile_devices(document["body"], shown["id"])
    reached = [each for each in devices if each["connected"]]
    if len(reached) > MAX_CALLS:
        raise InvalidArgumentError(
            f"{shown['command']}: expected at most {MAX_CALLS} connected devices, got {len(reached):,}",
            remedy="Make a job of it: it calls devices in batches, stops at failures and can be taken up again.",
        )
    command = visit.sources.application.tile_labels(document["body"])[shown["id"]][-1]["display_name"]
    names = joined([each["label"] for each in reached]) if reached else "no device: none is connected"
    parameters = shown.get("parameters")
    touches = [
        (
            "Calls",
            f"{command} on {names}." if command == shown["command"] else f"{command} ({shown['command']}) on {names}.",
        ),
        ("Parameters", "none" if parameters is None else str(parameters)),
        ("Left alone", f"{counted(len(devices) - len(reached), 'device')} that cannot be reached now."),
        ("Undo", "None: what the device does is done."),
    ]
    asked = Confirmation(
        title=f"{shown['label']}?",
        touches=tuple(touches),
        label=shown["label"],
        post=place(document["id"], "tiles", shown["id"], "command"),
        back=place(document["id"]),
    )
    return asked, reached


def command_question(visit: Visit) -> Confirmation:
    """What a command tile does."""
    return _command(visit, found(visit))[0]


def send_command(visit: Visit, _form: Form) -> Response:
    """Call a command tile's method on its connected devices, and show what each answered."""
    document = found(visit)
    asked, reached = _command(visit, document)
    shown = read_dashboards.known_tile(document, visit.params["tile_id"])
    crumbs = (("Dashboards", "/dashboards"), (document["body"]["name"], asked.back))
    parameters = shown.get("parameters")
    return commands.send(visit, reached, shown["command"], parameters, label=asked.label, crumbs=crumbs)
