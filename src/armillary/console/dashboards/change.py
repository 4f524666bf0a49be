# SPDX-License-Identifier: Apache-2.0
"""Dashboards, changed: made, laid out anew, their tiles kept and removed; and the commands that their tiles send.

Every change names the version that the operator saw: of two people who edit at once, the second is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response

from armillary.api.http.json_body import strict_json
from armillary.console.dashboards import filled_tile, pages_dashboard, read as read_dashboards
from armillary.console.dashboards.pages_dashboard import place
from armillary.console.dashboards.read import KIND, found
from armillary.console.device import commands
from armillary.console.frame.action_checks import Form, json_of
from armillary.console.frame.asking import meant
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done, told
from armillary.console.frame.values import json_text
from armillary.console.frame.words import counted, joined, sentence, slug
from armillary.console.language.say import say
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.twin.author.dashboard import KINDS, MAX_PLACES, parse_tile
from armillary.wire.hub.credentials import is_attested_id

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


def save(visit: Visit, form: Form) -> Response:
    """Keep all tiles of a dashboard as one change: the editor's, which asks by script and is answered in JSON.

    Where somebody else has changed the dashboard meanwhile, the answer says who, and what the editor has stays there.
    """
    document = found(visit)
    try:
        tiles = strict_json(form.get("tiles", "").encode())
        changed = {**document["body"], "tiles": tiles}
        visit.sources.application.check(KIND, changed)
        visit.sources.application.keep(KIND, document["id"], changed, form.get("etag", ""))
    except (ValueError, RecursionError):
        return _said(400, "tiles: expected JSON", "Reload the page and make the change again.")
    except InvalidArgumentError as error:
        return _said(400, error.message, error.remedy)
    except ConflictError:
        newest = found(visit)
        return JSONResponse({"etag": newest["etag"], "changed_by": newest["changed_by"]}, 412)
    return JSONResponse({"href": told(place(document["id"]), "dashboard")})


def preview(visit: Visit, form: Form) -> Response:
    """One tile as the dashboard would show it, and its form: of a draft (``tile``, JSON), or of a form's fields.

    Nothing is changed. What is wrong with the tile is said in ``error``, beside what can be shown.
    """
    document, kind = found(visit), form.get("kind", "")
    answer: dict[str, Any] = {"html": "", "view": None, "tile": None, "form": "", "error": None}
    shown: dict[str, Any] = {"kind": kind}
    try:
        if form.get("tile"):
            made = shown = _drafted(form["tile"])
        else:
            shown = _filled(kind, form, form.get("tile_id") or None)
            made = _with_device(visit, document, shown)
        view = read_dashboards.preview_of(visit, document, made)
        answer["tile"] = made
        answer["html"] = visit.part("tile_preview.html", tile=view, may_call=True)
        answer["view"] = visit.said(pages_dashboard.script_views([view])[view["id"]])
    except (InvalidArgumentError, NotFoundError) as error:
        answer["error"] = {"message": sentence(error.message), "remedy": error.remedy}
    if form.get("want") == "form" and shown["kind"] in KINDS:
        answer["form"] = visit.part("tile_fields.html", view={**read_dashboards.form_of(visit, shown), "tile": shown})
    return JSONResponse(answer)


def _drafted(text: str) -> dict[str, Any]:
    made = json_of(text, "tile")
    parse_tile(made)
    return dict(made)


def _filled(kind: str, form: Form, tile_id: str | None, taken: frozenset[str] = frozenset()) -> dict[str, Any]:
    if kind not in KINDS:
        raise NotFoundError(f"there is no kind of tile {kind[:40]!r}", remedy="Choose one on the board.")
    return filled_tile.tile_of(kind, form, tile_id, taken)


def _with_device(visit: Visit, document: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """A tile with ids of its devices where people wrote their names."""
    if "device" in made.get("source", {}):
        made = {**made, "source": {"device": meant(visit, made["source"]["device"])}}
    places = made.get("places")
    if not isinstance(places, list) or len(places) > MAX_PLACES:
        return made
    known = {each.get("device") for tile in document["body"]["tiles"] for each in tile.get("places", ())}
    return {**made, "places": [_with_id(visit, each, known) for each in places]}


def _with_id(visit: Visit, place: Any, known: set[Any]) -> Any:
    """A place of a floor plan with its device's id; one of a ``known`` id, or of no device, as it is."""
    named = place.get("device") if isinstance(place, dict) else None
    if not isinstance(named, str) or not named.strip() or named in known or is_attested_id(named):
        return place
    return {**place, "device": meant(visit, named)}


def _said(status: int, message: str, remedy: str) -> Response:
    return JSONResponse({"message": sentence(message), "remedy": remedy}, status)


def undo(visit: Visit, form: Form) -> Response:
    """Put the version before back, as a new one."""
    document = found(visit)
    before = visit.sources.application.previous(KIND, document["id"])
    visit.sources.application.keep(KIND, document["id"], before["body"], form.get("etag", ""))
    return done(place(document["id"]), "dashboard-undone")


def keep_tile(visit: Visit, form: Form) -> Response:
    """Keep a tile's form; what is wrong with it is said on the form, with everything still in it."""
    document, tile_id = found(visit), visit.params["tile_id"]
    present = None if tile_id == "new" else read_dashboards.known_tile(document, tile_id)
    kind = form.get("kind", "") if present is None else present["kind"]
    body = document["body"]
    taken = frozenset(each["id"] for each in body["tiles"])
    known = None if present is None else tile_id
    made: dict[str, Any] = {} if present is None else present
    try:
        made = _filled(kind, form, known, taken)
        if form.get("again"):  # other devices were chosen, and are asked what they send
            return read_dashboards.tile_page(visit, document, made)
        made = _with_device(visit, document, made)
        parse_tile(made)
        changed = pages_dashboard.with_tile(body, known, made)
        visit.sources.application.check(KIND, changed)
    except (InvalidArgumentError, NotFoundError) as error:
        if not made:  # no kind of tile
            raise
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
        title=say("Delete the dashboard {name}?", name=document["body"]["name"]),
        touches=(
            (say("Deletes"), say("The page and its {tiles}.", tiles=counted(len(document["body"]["tiles"]), "tile"))),
            (say("Left alone"), say("Devices, their values, rules and segments.")),
            (say("Undo"), say("Put its body again: its versions stay in the application's history for a while.")),
        ),
        label=say("Delete dashboard"),
        danger=True,
        post=place(document["id"], "delete"),
        back=place(document["id"], "edit"),
    )


def delete(visit: Visit, _form: Form) -> Response:
    """Delete a dashboard."""
    document = found(visit)
    visit.sources.application.drop(KIND, document["id"], document["etag"])
    return done("/dashboards", "dashboard-deleted")


@dataclass(frozen=True, slots=True)
class _Command:
    """A command of a tile: the page that asks, the devices that are connected, and what is sent to them."""

    asked: Confirmation
    reached: list[dict[str, Any]]
    method: str
    parameters: Any
    ask: bool


def _button(shown: dict[str, Any], asked: str) -> tuple[int | None, dict[str, Any]]:
    """The button of a tile that was pressed, by its number, and what it sends; a tile of one command has no number.

    Raises:
        NotFoundError: the tile has none of that number, or sends no command.
    """
    if shown["kind"] == "command":
        return None, shown
    buttons = shown["buttons"] if shown["kind"] == "commands" else ()
    number = int(asked) if asked.isdecimal() and len(asked) <= 2 else -1
    if not 0 <= number < len(buttons):
        raise NotFoundError("this tile has no such command", remedy="Go back to the dashboard.")
    return number, buttons[number]


def _command(visit: Visit, document: dict[str, Any], asked: str) -> _Command:
    """A command of a tile; ``asked`` is the number of its button.

    Raises:
        NotFoundError: no such tile, or no command's.
        InvalidArgumentError: nobody is connected, or too many are.
    """
    shown = read_dashboards.known_tile(document, visit.params["tile_id"])
    number, button = _button(shown, asked)
    devices = visit.sources.application.tile_devices(document["body"], shown["id"])
    reached = [each for each in devices if each["connected"]]
    if len(reached) > MAX_CALLS:
        raise InvalidArgumentError(
            f"{button['command']}: expected at most {MAX_CALLS} connected devices, got {len(reached):,}",
            remedy="Create a job for it: it calls devices in batches, stops at failures and can be taken up again.",
        )
    labels = visit.sources.application.tile_labels(document["body"])[shown["id"]]
    command = next(each["display_name"] for each in labels if each["name"] == button["command"])
    names = joined([each["label"] for each in reached]) if reached else say("no device: none is connected")
    parameters, ask = button.get("parameters"), bool(button.get("ask"))
    written = "" if parameters is None else json_text(parameters)
    touches = [
        (
            say("Calls"),
            say("{command} on {names}.", command=command, names=names)
            if command == button["command"]
            else say("{command} ({method}) on {names}.", command=command, method=button["command"], names=names),
        ),
        *(() if ask else ((say("Parameters"), written or say("none")),)),
        (
            say("Left alone"),
            say("{devices} that cannot be reached now.", devices=counted(len(devices) - len(reached), "device")),
        ),
        (say("Undo"), say("Cannot be undone.")),
    ]
    confirmation = Confirmation(
        title=f"{button['label']}?",
        touches=tuple(touches),
        label=button["label"],
        post=place(document["id"], "tiles", shown["id"], "command"),
        back=place(document["id"]),
        hidden=() if number is None else (("button", str(number)),),
        typed=(say("Parameters as JSON; leave empty for none"), written) if ask else None,
    )
    return _Command(confirmation, reached, button["command"], parameters, ask)


def command_question(visit: Visit) -> Confirmation:
    """What a command tile does."""
    return _command(visit, found(visit), visit.query.get("button", "")).asked


def send_command(visit: Visit, form: Form) -> Response:
    """Call a command tile's method on its connected devices, and show what each answered."""
    document = found(visit)
    command = _command(visit, document, form.get("button", ""))
    parameters = json_of(form.get("typed", "").strip(), "Parameters") if command.ask else command.parameters
    crumbs = ((say("Dashboards"), "/dashboards"), (document["body"]["name"], command.asked.back))
    return commands.send(visit, command.reached, command.method, parameters, label=command.asked.label, crumbs=crumbs)
