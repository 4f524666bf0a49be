# SPDX-License-Identifier: Apache-2.0
"""Roll-outs, findings, tokens and offers, changed: as the API does it, under the operator's name."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from armillary.console.frame.acting import Form, confirmed, permit, reason_of, verb_of
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.operations import pages_catalog, pages_rollout, read
from armillary.errors import InvalidArgumentError, NotFoundError


def change_rollout(visit: Visit, form: Form) -> Response:
    """Halt, resume or roll back."""
    permit(visit, "update")
    verb = verb_of(visit, pages_rollout.ACTIONS, "roll-outs", "roll-out's page")
    found = visit.sources.updates.rollout(visit.params["rollout_id"])
    confirmed(pages_rollout.confirmation(found, verb), form)
    visit.sources.updates.change(visit.operator, found["rollout_id"], verb, reason_of(form))
    return done(f"/updates/{found['rollout_id']}", verb)


def move_finding(visit: Visit, form: Form) -> Response:
    """Acknowledge or close a finding."""
    permit(visit, "finding")
    status = form.get("status", "")
    if status not in ("acknowledged", "closed"):
        raise InvalidArgumentError(
            f"status: expected acknowledged or closed, got {status[:20]!r}", remedy="Use the buttons on the page."
        )
    visit.sources.watch.move(visit.operator, visit.params["finding_id"], status)
    return done(form.get("back", "/findings"), status)


def create_token(visit: Visit, form: Form) -> Response:
    """Make a token and show its secret on this answer only: it is in no address, cookie or store."""
    permit(visit, "token")
    name, role = form.get("name", "").strip(), form.get("role", "")
    if not name or role not in read.ROLES:
        raise InvalidArgumentError(
            f"token: expected a name and one of {', '.join(read.ROLES)}, got {name[:40]!r} and {role[:20]!r}",
            remedy="Fill in both fields.",
        )
    made = visit.sources.house.create_token(visit.operator, name, role)
    shown = {"name": made["token"]["name"], "role": made["token"]["role"], "secret": made["secret"]}
    return read.settings_page(visit, new_token=shown)


def revoke_token(visit: Visit, form: Form) -> Response:
    """End a token; revoking one's own leads to the sign-in page, because the session ends with it."""
    permit(visit, "token")
    token_id = visit.params["token_id"]
    if token_id == visit.operator.token_id and form.get("word", "") != "revoke":
        raise InvalidArgumentError("the word to confirm was not typed", remedy="Go back and type: revoke")
    visit.sources.house.revoke_token(visit.operator, token_id)
    if token_id == visit.operator.token_id:
        return RedirectResponse("/sign-in", 303)
    return done("/settings", "token-revoked")


def answer_transfer(visit: Visit, form: Form) -> Response:
    """Accept, decline or cancel an offer of a device, in the name of the address's catalog."""
    permit(visit, "transfer")
    found = read.waiting_transfer(visit)
    catalog, verb = visit.params["catalog"], visit.params["verb"]
    confirmed(pages_catalog.transfer_confirmation(found, verb, catalog), form)
    visit.sources.house.answer_transfer(visit.operator, catalog, found["transfer_id"], verb)
    return done("/settings", f"transfer-{verb}")


def create_enrolment_token(visit: Visit, form: Form) -> Response:
    """Make an enrolment token and show its secret on this answer only."""
    permit(visit, "enrolment")
    house, name = visit.sources.house, visit.params["catalog"]
    catalog = next((item for item in house.catalogs() if item["name"] == name), None)
    if catalog is None:
        raise NotFoundError(f"there is no catalog {name[:60]!r}", remedy="Reload the settings page.")
    made = house.create_enrolment_token(visit.operator, name, pages_catalog.wished(form, catalog["groups"]))
    return read.settings_page(visit, new_enrolment=pages_catalog.new_enrolment(made, visit.now))


def revoke_enrolment_token(visit: Visit, _form: Form) -> Response:
    """Make an enrolment token useless."""
    permit(visit, "enrolment")
    visit.sources.house.revoke_enrolment_token(visit.operator, visit.params["catalog"], visit.params["token_id"])
    return done("/settings", "enrolment-revoked")
