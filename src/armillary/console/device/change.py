# SPDX-License-Identifier: Apache-2.0
"""One device, changed: its standing, its name, a desired property; each as the API does it, with its audit line."""

from __future__ import annotations

from starlette.responses import Response

from armillary.console.device import pages_device_life as life
from armillary.console.device.pages_device_data import place
from armillary.console.frame.action_checks import Form, confirmed, reason_of, verb_of
from armillary.console.frame.asking import ask
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.errors import InvalidArgumentError
from armillary.wire.text.device_name import MAX_TEXT_CHARACTERS


def device_question(visit: Visit) -> Confirmation:
    """What an action on a device does."""
    verb = verb_of(visit, life.VERBS, "devices", "device's page")
    found = visit.sources.fleet.device(visit.params["device_id"])
    if verb != "offer" or visit.operator.catalog is not None:  # who speaks for one catalog knows others by their ids
        return life.confirmation(found, verb)
    catalogs = visit.sources.settings.catalog_names()
    others = [(str(each["catalog_id"]), each["name"]) for each in catalogs if each["name"] != found["catalog"]]
    return life.confirmation(found, verb, tuple(others))


def of_verb(visit: Visit) -> str:
    """Which change the verb of an address is."""
    return "fleet." + verb_of(visit, life.VERBS, "devices", "device's page")


def change_device(visit: Visit, form: Form) -> Response:
    """Revoke, restore, release, quarantine, decommission or offer a device."""
    verb = visit.params["verb"]
    fleet, asked = visit.sources.fleet, device_question(visit)
    confirmed(asked, form)
    found = fleet.device(visit.params["device_id"])
    if verb == "offer":
        fleet.offer(found, _chosen(form, asked.choices))
    elif verb in ("revoke", "quarantine", "decommission"):
        withdraw = {"revoke": fleet.revoke, "quarantine": fleet.quarantine, "decommission": fleet.decommission}
        withdraw[verb](found["device_id"], reason_of(form))
    else:
        {"restore": fleet.restore, "release": fleet.release}[verb](found["device_id"])
    return done(place(found["device_id"]), verb.removesuffix("e") + "ed")


def name_device(visit: Visit, form: Form) -> Response:
    """Call a device of either kind by another name."""
    name = form.get("name", "")[:MAX_TEXT_CHARACTERS]
    found = ask(visit, "name_device", device_id=visit.params["device_id"], name=name)
    return done(place(found["device_id"]), "renamed")


def _chosen(form: Form, choices: tuple[tuple[str, str], ...] | None) -> str:
    chosen = form.get("to", "").strip()
    if not chosen or (choices is not None and chosen not in {value for value, _ in choices}):
        raise InvalidArgumentError("no catalog was chosen", remedy="Go back and choose one. Nothing was changed.")
    return chosen
