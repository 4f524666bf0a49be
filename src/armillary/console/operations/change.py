# SPDX-License-Identifier: Apache-2.0
"""Roll-outs, device groups, tokens and offers, changed: as the API does it, under the operator's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import RedirectResponse, Response

from armillary.console.frame.action_checks import Form, confirmed, reason_of, verb_of
from armillary.console.frame.asking import ask, confirm
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.operations import pages_catalog, pages_group, pages_rollout, pages_settings, read
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

# Offers among which the one of an address is looked for; one that is older than so many is answered by the CLI.
OFFERS_A_READ = 1000


def rollout_question(visit: Visit) -> Confirmation:
    """What an action on a roll-out touches."""
    verb = verb_of(visit, pages_rollout.ACTIONS, "roll-outs", "roll-out's page")
    return pages_rollout.confirmation(visit.sources.updates.rollout(visit.params["rollout_id"]), verb)


def change_rollout(visit: Visit, form: Form) -> Response:
    """Halt, resume or roll back."""
    asked, verb = rollout_question(visit), visit.params["verb"]
    confirmed(asked, form)
    visit.sources.updates.change(visit.params["rollout_id"], verb, reason_of(form))
    return done(asked.back, verb)


def group_question(visit: Visit) -> Confirmation:
    """What having a whole group check in now does."""
    return pages_group.confirmation(ask(visit, "show_device_group", **read.group_named(visit)))


def check_group_now(visit: Visit, form: Form) -> Response:
    """Have all devices of a group check in now."""
    asked = group_question(visit)
    confirmed(asked, form)
    ask(visit, "check_group_now", **read.group_named(visit))
    return done(asked.back, "group-asked")


def change_group(visit: Visit, form: Form) -> Response:
    """Change a device group."""
    named = read.group_named(visit)
    values = {name: form.get(name, "").strip() for name in ("description", "os_feed", "update_policy")}
    try:
        ask(visit, "change_device_group", **named, **values)
    except (InvalidArgumentError, ConflictError, NotFoundError) as error:
        return read.device_group_page(visit, form, wrong_of(error))
    return done(pages_group.place(*named.values()), "place-changed")


def deletion_question(visit: Visit) -> Confirmation:
    """What deleting a device group takes away."""
    return pages_group.deletion(ask(visit, "show_device_group", **read.group_named(visit)))


def delete_group(visit: Visit, form: Form) -> Response:
    """Delete a device group."""
    named = read.group_named(visit)
    return deleted(
        visit, form, deletion_question(visit), pages_group.LIST, lambda: ask(visit, "drop_device_group", **named)
    )


def deleted(visit: Visit, form: Form, asked: Confirmation, back: str, act: Callable[[], object]) -> Response:
    """Delete what a page asked about; where it is used, the page says by what and nothing is deleted."""
    confirmed(asked, form)
    try:
        act()
    except ConflictError as error:
        return confirm(visit, asked, f"{error.message}. {error.remedy} Nothing was deleted.")
    return done(back, "place-deleted")


def create_token(visit: Visit, form: Form) -> Response:
    """Make a token and show its secret on this answer only: it is in no address, cookie or store."""
    name, role = form.get("name", "").strip(), form.get("role", "")
    if not name or role not in read.ROLES:
        raise InvalidArgumentError(
            f"token: expected a name and one of {', '.join(read.ROLES)}, got {name[:40]!r} and {role[:20]!r}",
            remedy="Fill in both fields.",
        )
    made = visit.sources.settings.create_token(name, role)
    shown = {"name": made["token"]["name"], "role": made["token"]["role"], "secret": made["secret"]}
    return read.settings_page(visit, new_token=shown)


def token_question(visit: Visit) -> Confirmation:
    """What revoking a token does."""
    wanted = visit.params["token_id"]
    found = next((token for token in visit.sources.settings.tokens() if token["token_id"] == wanted), None)
    if found is None:
        raise NotFoundError("no such token", remedy="Reload the settings page.")
    return pages_settings.token_confirmation(found, own=wanted == visit.operator.token_id)


def revoke_token(visit: Visit, form: Form) -> Response:
    """End a token; revoking one's own leads to the sign-in page, because the session ends with it."""
    confirmed(token_question(visit), form)
    token_id = visit.params["token_id"]
    visit.sources.settings.revoke_token(token_id)
    if token_id == visit.operator.token_id:
        return RedirectResponse("/sign-in", 303)
    return done("/settings", "token-revoked")


def _waiting_transfer(visit: Visit) -> dict[str, Any]:
    """The offer that an address names.

    Raises:
        NotFoundError: the verb, the catalog or an offer that still waits there does not exist.
    """
    params = visit.params
    if params["verb"] not in pages_catalog.VERBS:
        raise NotFoundError(f"offers have no action {params['verb']!r}", remedy="Use the links on the settings page.")
    after: str | None = None
    while True:
        page = visit.sources.settings.transfers(params["catalog"], after=after, limit=OFFERS_A_READ)
        for item in page["items"]:
            if item["transfer_id"] == params["transfer_id"]:
                return dict(item)
        after = page["next"]
        if after is None:
            raise NotFoundError("no such offer waits for an answer", remedy="Reload the settings page.")


def transfer_question(visit: Visit) -> Confirmation:
    """What accepting, declining or cancelling an offer does."""
    return pages_catalog.transfer_confirmation(_waiting_transfer(visit), visit.params["verb"], visit.params["catalog"])


def answer_transfer(visit: Visit, form: Form) -> Response:
    """Accept, decline or cancel an offer of a device, in the name of the address's catalog."""
    confirmed(transfer_question(visit), form)
    catalog, verb = visit.params["catalog"], visit.params["verb"]
    visit.sources.settings.answer_transfer(catalog, visit.params["transfer_id"], verb)
    return done("/settings", f"transfer-{verb}")


def create_enrolment_token(visit: Visit, form: Form) -> Response:
    """Make an enrolment token and show its secret on this answer only."""
    admin, name = visit.sources.settings, visit.params["catalog"]
    catalog = next((item for item in admin.catalogs() if item["name"] == name), None)
    if catalog is None:
        raise NotFoundError(f"there is no catalog {name[:60]!r}", remedy="Reload the settings page.")
    made = admin.create_enrolment_token(name, pages_catalog.wished(form, catalog["groups"]))
    return read.settings_page(visit, new_enrolment=pages_catalog.new_enrolment(made, visit.now))


def enrolment_question(visit: Visit) -> Confirmation:
    """What revoking an enrolment token does."""
    catalog, wanted = visit.params["catalog"], visit.params["token_id"]
    found = next(
        (each for each in visit.sources.settings.enrolment_tokens(catalog) if each["token_id"] == wanted), None
    )
    if found is None:
        raise NotFoundError("no such enrolment token", remedy="Reload the settings page.")
    return pages_catalog.enrolment_confirmation(found, catalog)


def revoke_enrolment_token(visit: Visit, _form: Form) -> Response:
    """Make an enrolment token useless."""
    visit.sources.settings.revoke_enrolment_token(visit.params["catalog"], visit.params["token_id"])
    return done("/settings", "enrolment-revoked")
