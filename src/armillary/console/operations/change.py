# SPDX-License-Identifier: Apache-2.0
"""The actions: each calls the same function as the API, under the operator's name, then leads back to its page.

The role is asked here again, although pages do not offer what it forbids: a form can be written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

from armillary.api.http.json_body import strict_json
from armillary.api.native.service.device_names import MAX_TEXT_CHARACTERS, NameBody
from armillary.console.device import pages_device_data, pages_device_life as life
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.desk import Desk, Visit, local_path, told
from armillary.console.operations import pages_catalog, pages_rollout, read
from armillary.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError

Form = Mapping[str, str]
MAX_REASON_CHARS = 300


def change_rollout(desk: Desk, visit: Visit, form: Form) -> Response:
    """Halt, resume or roll back."""
    permit(desk, visit, "update")
    verb = visit.params["verb"]
    if verb not in pages_rollout.ACTIONS:
        raise NotFoundError(f"roll-outs have no action {verb!r}", remedy="Use the buttons on the roll-out's page.")
    found = desk.sources.updates.rollout(visit.params["rollout_id"])
    confirmed(pages_rollout.confirmation(found, verb), form)
    desk.sources.updates.change(visit.operator, found["rollout_id"], verb, _reason(form))
    return told(f"/updates/{found['rollout_id']}", verb)


def change_device(desk: Desk, visit: Visit, form: Form) -> Response:
    """Revoke, restore, release, decommission or offer a device."""
    verb = visit.params["verb"]
    if verb not in life.VERBS:
        raise NotFoundError(f"devices have no action {verb!r}", remedy="Use the buttons on the device's page.")
    permit(desk, visit, life.VERBS[verb])
    fleet = desk.sources.fleet
    found = fleet.device(visit.params["device_id"])
    catalogs = read.other_catalogs(desk, found, verb)
    confirmed(life.confirmation(found, verb, catalogs), form)
    if verb == "offer":
        fleet.offer(visit.operator, found, _chosen(form, catalogs))
    elif verb == "decommission":
        fleet.decommission(visit.operator, found["device_id"], _reason(form))
    elif verb == "revoke":
        fleet.revoke(visit.operator, found["device_id"], _reason(form))
    elif verb == "restore":
        fleet.restore(visit.operator, found["device_id"])
    else:
        fleet.release(visit.operator, found["device_id"])
    return told(f"/devices/{found['device_id']}", life.DONE[verb])


def name_device(desk: Desk, visit: Visit, form: Form) -> Response:
    """Call a device of either kind by another name."""
    permit(desk, visit, "device-name")
    body = NameBody(name=form.get("name", "")[:MAX_TEXT_CHARACTERS])
    asked = visit.params["device_id"]
    found = desk.sources.application.ask(visit.operator, "name_device", device_id=asked, body=body)
    return told(pages_device_data.place(found["device_id"]), "renamed")


def set_desired(desk: Desk, visit: Visit, form: Form) -> Response:
    """Set or remove one desired property of a device's twin."""
    permit(desk, visit, "twin")
    name, text = form.get("name", "").strip(), form.get("value", "").strip()
    if not name or any(character in name for character in ".$#") or not name.isprintable() or " " in name:
        raise InvalidArgumentError(
            f"property name: expected no blank, '.', '$' or '#', got {name[:40]!r}", remedy="Choose another name."
        )
    try:
        value = strict_json(text.encode()) if text else None
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"desired value: expected JSON, got {text[:40]!r}", remedy='Put texts in quotation marks: "auto".'
        ) from error
    found = desk.sources.fleet.device(visit.params["device_id"])
    desk.sources.hub.patch_desired(visit.operator, found["device_id"], {name: value})
    return told(f"/devices/{found['device_id']}#twin", "desired")


def move_finding(desk: Desk, visit: Visit, form: Form) -> Response:
    """Acknowledge or close a finding."""
    permit(desk, visit, "finding")
    status = form.get("status", "")
    if status not in ("acknowledged", "closed"):
        raise InvalidArgumentError(
            f"status: expected acknowledged or closed, got {status[:20]!r}", remedy="Use the buttons on the page."
        )
    desk.sources.watch.move(visit.operator, visit.params["finding_id"], status)
    return told(local_path(form.get("back", "/findings")), status)


def create_token(desk: Desk, visit: Visit, form: Form) -> Response:
    """Make a token and show its secret on this answer only: it is in no address, cookie or store."""
    permit(desk, visit, "token")
    name, role = form.get("name", "").strip(), form.get("role", "")
    if not name or role not in read.ROLES:
        raise InvalidArgumentError(
            f"token: expected a name and one of {', '.join(read.ROLES)}, got {name[:40]!r} and {role[:20]!r}",
            remedy="Fill in both fields.",
        )
    made = desk.sources.house.create_token(visit.operator, name, role)
    shown = {"name": made["token"]["name"], "role": made["token"]["role"], "secret": made["secret"]}
    return read.settings_page(desk, visit, new_token=shown)


def revoke_token(desk: Desk, visit: Visit, form: Form) -> Response:
    """End a token; revoking one's own leads to the sign-in page, because the session ends with it."""
    permit(desk, visit, "token")
    token_id = visit.params["token_id"]
    if token_id == visit.operator.token_id and form.get("word", "") != "revoke":
        raise InvalidArgumentError("the word to confirm was not typed", remedy="Go back and type: revoke")
    desk.sources.house.revoke_token(visit.operator, token_id)
    if token_id == visit.operator.token_id:
        return RedirectResponse("/sign-in", 303)
    return told("/settings", "token-revoked")


def answer_transfer(desk: Desk, visit: Visit, form: Form) -> Response:
    """Accept, decline or cancel an offer of a device, in the name of the address's catalog."""
    permit(desk, visit, "transfer")
    found = read.waiting_transfer(desk, visit)
    catalog, verb = visit.params["catalog"], visit.params["verb"]
    confirmed(pages_catalog.transfer_confirmation(found, verb, catalog), form)
    desk.sources.house.answer_transfer(visit.operator, catalog, found["transfer_id"], verb)
    return told("/settings", f"transfer-{verb}")


def create_enrolment_token(desk: Desk, visit: Visit, form: Form) -> Response:
    """Make an enrolment token and show its secret on this answer only."""
    permit(desk, visit, "enrolment")
    house, name = desk.sources.house, visit.params["catalog"]
    catalog = next((item for item in house.catalogs() if item["name"] == name), None)
    if catalog is None:
        raise NotFoundError(f"there is no catalog {name[:60]!r}", remedy="Reload the settings page.")
    made = house.create_enrolment_token(visit.operator, name, pages_catalog.wished(form, catalog["groups"]))
    return read.settings_page(desk, visit, new_enrolment=pages_catalog.new_enrolment(made, visit.now))


def revoke_enrolment_token(desk: Desk, visit: Visit, _form: Form) -> Response:
    """Make an enrolment token useless."""
    permit(desk, visit, "enrolment")
    desk.sources.house.revoke_enrolment_token(visit.operator, visit.params["catalog"], visit.params["token_id"])
    return told("/settings", "enrolment-revoked")


def permit(desk: Desk, visit: Visit, area: str) -> None:
    """Raise PermissionDeniedError unless the operator's role allows a change of ``area``."""
    if not desk.sources.door.may_change(visit.operator, area):
        raise PermissionDeniedError(
            f"the role {visit.operator.role} of {visit.operator.name} does not allow this. Nothing was changed."
        )


def confirmed(confirmation: Confirmation, form: Form) -> None:
    """Raise InvalidArgumentError unless the word that a wide action asks for was typed."""
    if confirmation.word and form.get("word", "").strip() != confirmation.word:
        raise InvalidArgumentError(
            "the word to confirm was not typed", remedy=f"Go back and type: {confirmation.word}. Nothing was changed."
        )


def _chosen(form: Form, choices: tuple[tuple[str, str], ...]) -> str:
    chosen = form.get("to", "")
    if chosen not in {value for value, _ in choices}:
        raise InvalidArgumentError("no catalog was chosen", remedy="Go back and choose one. Nothing was changed.")
    return chosen


def _reason(form: Form) -> str:
    return form.get("reason", "").strip()[:MAX_REASON_CHARS] or "from the console, no reason given"
