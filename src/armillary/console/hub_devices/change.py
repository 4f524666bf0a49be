# SPDX-License-Identifier: Apache-2.0
"""Hub devices, enrolments and service keys, changed by operations that write their audit lines.

Keys are in the answer to the form that made them and nowhere else: in no address, cookie or store.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response

from armillary.api.native.bodies import HubDeviceBody, HubEnrolmentBody, HubServiceKeyBody, ModuleBody
from armillary.console.device.pages_device_data import place
from armillary.console.device.subject import catalog_name
from armillary.console.frame.action_checks import Form, body_of, confirmed, json_of, verb_of
from armillary.console.frame.asking import ask
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.hub_devices import connect, pages_hub_access as access, pages_hub_devices as pages, read
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, SignatureError
from armillary.service.hub_access.operations import IdentityChange

# As much of a reason as a hub device keeps.
MAX_REASON_CHARS = 128


def make_device(visit: Visit, form: Form) -> Response:
    """Make a hub device; one with keys is shown how it connects, with the keys this once."""
    try:
        body = _body(form)
        answer = ask(visit, "make_hub_device", catalog=form.get("catalog", ""), body=body)
    except (InvalidArgumentError, ConflictError) as error:
        return read.new_page(visit, form, wrong_of(error))
    device_id = answer["device_id"]
    if "primary_key" in answer:
        return connect.made_page(visit, answer)
    return done(place(device_id), "hub-device-made")


def asked_about(visit: Visit) -> dict[str, Any]:
    """The hub device of an address, or its module where the address names one."""
    found = ask(visit, "show_hub_device", device_id=visit.params["device_id"])
    module = visit.params.get("module_id")
    if module is None:
        return found
    for each in found["modules"]:
        if each["module_id"] == module:
            inner: dict[str, Any] = each
            return inner
    raise NotFoundError(f"there is no module {module[:64]!r}", remedy="Reload the device's page.")


def device_question(visit: Visit) -> Confirmation:
    """What a button of a hub device's page does."""
    return pages.confirmation(asked_about(visit), verb_of(visit, pages.VERBS))


def change_device(visit: Visit, form: Form) -> Response:
    """Enable, disable or delete a hub device or a module, or make new keys."""
    confirmed(device_question(visit), form)
    found, verb = asked_about(visit), visit.params["verb"]
    device_id, module = found["device_id"], found["module_id"]
    if verb == "delete":
        if module:
            ask(visit, "delete_module", device_id=device_id, module_id=module)
            return done(f"{place(device_id)}#modules", "hub-deleted")
        ask(visit, "delete_hub_device", device_id=device_id)
        return done(pages.list_href(catalog_name(visit, found["catalog_id"])), "hub-deleted")
    if verb == "new-keys":
        change = IdentityChange(new_keys=True)
    else:
        reason = form.get("reason", "").strip()[:MAX_REASON_CHARS] if verb == "disable" else ""
        change = IdentityChange(is_enabled=verb == "enable", status_reason=reason)
    if module:
        answer = ask(visit, "change_module", device_id=device_id, module_id=module, change=change)
    else:
        answer = ask(visit, "change_hub_device", device_id=device_id, change=change)
    if verb == "new-keys":
        return read.device_page(visit, device_id, once=pages.made_once(answer))
    return done(f"{place(device_id)}{'#modules' if module else ''}", f"hub-{verb}d")


def make_module(visit: Visit, form: Form) -> Response:
    """Make a module of a hub device."""
    device_id = visit.params["device_id"]
    try:
        body = _module(form)
        answer = ask(visit, "make_module", device_id=device_id, body=body)
    except (InvalidArgumentError, ConflictError) as error:
        return read.device_page(visit, device_id, sent=form, wrong=wrong_of(error))
    if "primary_key" in answer:
        return read.device_page(visit, device_id, once=pages.made_once(answer))
    return done(f"{place(device_id)}#modules", "module-made")


def checked_kind(kind: str) -> str:
    """What an address lets in or keeps out."""
    if kind not in access.KINDS:
        raise NotFoundError(f"there is no admission of {kind[:40]!r}", remedy="Use the links on the page.")
    return kind


def admission_question(visit: Visit) -> Confirmation:
    """What letting in or keeping out does."""
    catalog, kind = visit.params["catalog"], visit.params["kind"]
    ask(visit, "show_admission", catalog=catalog)
    return access.admission_confirmation(catalog, checked_kind(kind), verb_of(visit, access.ADMIT))


def change_admission(visit: Visit, form: Form) -> Response:
    """Let hub devices of a kind in, or keep them out."""
    confirmed(admission_question(visit), form)
    catalog, kind, verb = (visit.params[name] for name in ("catalog", "kind", "verb"))
    ask(visit, "change_admission", catalog=catalog, **{access.KINDS[kind][0]: verb == "admit"})
    return done(f"{pages.list_href(catalog)}#admission", "let-in" if verb == "admit" else "kept-out")


def make_enrolment(visit: Visit, form: Form) -> Response:
    """Make an enrolment; symmetric keys are shown this once."""
    catalog = visit.params["catalog"]
    try:
        made = ask(visit, "make_hub_enrolment", catalog=catalog, body=_enrolment(form))
    except (InvalidArgumentError, ConflictError) as error:
        return read.list_page(visit, catalog, sent=form, wrong=wrong_of(error), of="enrolment")
    if "primary_key" in made:
        scope = ask(visit, "list_hub_enrolments", catalog=catalog)["id_scope"]
        return read.list_page(visit, catalog, once=access.enrolment_once(made, scope))
    return done(access.below(catalog, "enrolments", made["enrolment_id"]), "enrolment-made")


def prove_enrolment(visit: Visit, form: Form) -> Response:
    """Prove possession of a group's authority by a certificate that it signed."""
    found, _ = read.asked_enrolment(visit)
    catalog, number = visit.params["catalog"], UUID(found["enrolment_id"])
    try:
        proof = form.get("certificate", "").strip()
        ask(visit, "verify_hub_enrolment", catalog=catalog, enrolment_id=number, certificate=proof)
    except (InvalidArgumentError, SignatureError) as error:
        return read.enrolment_page(visit, form, wrong_of(error))
    return done(access.below(catalog, "enrolments", str(number)), "enrolment-proven")


def enrolment_question(visit: Visit) -> Confirmation:
    """What a button of an enrolment's page does."""
    found, _ = read.asked_enrolment(visit)
    return access.enrolment_confirmation(found, visit.params["catalog"], verb_of(visit, access.ENROLMENT_VERBS))


def change_enrolment(visit: Visit, form: Form) -> Response:
    """Enable, disable or delete an enrolment."""
    confirmed(enrolment_question(visit), form)
    catalog, verb, number = visit.params["catalog"], visit.params["verb"], UUID(visit.params["enrolment_id"])
    if verb == "delete":
        ask(visit, "delete_hub_enrolment", catalog=catalog, enrolment_id=number)
        return done(f"{pages.list_href(catalog)}#enrolments", "enrolment-deleted")
    ask(visit, "change_hub_enrolment", catalog=catalog, enrolment_id=number, enabled=verb == "enable")
    return done(access.below(catalog, "enrolments", str(number)), f"enrolment-{verb}d")


def make_key(visit: Visit, form: Form) -> Response:
    """Make a service key and show it this once."""
    catalog = visit.params["catalog"]
    try:
        body = body_of(HubServiceKeyBody, {"name": form.get("name", "").strip(), "role": form.get("role", "")})
        answer = ask(visit, "make_hub_service_key", catalog=catalog, body=body)
    except (InvalidArgumentError, ConflictError) as error:
        return read.list_page(visit, catalog, sent=form, wrong=wrong_of(error))
    return read.list_page(visit, catalog, once=access.key_once(answer))


def key_question(visit: Visit) -> Confirmation:
    """What deleting a service key does."""
    catalog, name = visit.params["catalog"], visit.params["name"]
    if all(each["name"] != name for each in ask(visit, "list_hub_service_keys", catalog=catalog)["items"]):
        raise NotFoundError(f"there is no service key {name[:64]!r}", remedy="Reload the list.")
    return access.key_confirmation(name, catalog)


def delete_key(visit: Visit, _form: Form) -> Response:
    """Make a service key useless."""
    catalog = visit.params["catalog"]
    ask(visit, "delete_hub_service_key", catalog=catalog, name=visit.params["name"])
    return done(f"{pages.list_href(catalog)}#service-keys", "service-key-deleted")


def _body(form: Form) -> HubDeviceBody:
    certificate = form.get("certificate", "").strip()
    if form.get("authentication") == "sas" and certificate:
        raise InvalidArgumentError(
            "certificate: a device with a symmetric key has none",
            remedy="Empty the field, or choose: a certificate of its own.",
        )
    if form.get("authentication") == "selfSigned" and not certificate:
        raise InvalidArgumentError("certificate: expected PEM, got nothing", remedy="Paste the device's certificate.")
    names = ("device_id", "authentication", "certificate", "secondary_certificate")
    return body_of(HubDeviceBody, {name: form.get(name, "").strip() for name in names})


def _enrolment(form: Form) -> HubEnrolmentBody:
    values = {name: form.get(name, "").strip() for name in ("name", "attestation", "certificate", "device_id")}
    if values["attestation"] == "symmetricKey" and values["certificate"]:
        raise InvalidArgumentError(
            "Certificate: an enrolment by symmetric keys has none", remedy="Empty it, or choose: a certificate."
        )
    twin = json_of(form.get("initial_twin", "").strip(), "First twin")
    return body_of(HubEnrolmentBody, {**values, "group": form.get("for") == "group", "initial_twin": twin})


def _module(form: Form) -> ModuleBody:
    return body_of(ModuleBody, {name: form.get(name, "").strip() for name in ("module_id", "authentication")})
