# SPDX-License-Identifier: Apache-2.0
"""Hub devices, enrolments and service keys, read: asked of the API's routes, laid out as sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.responses import RedirectResponse, Response

from armillary.console.authored.read import ask, may, show
from armillary.console.device.device_name import name_form
from armillary.console.frame.desk import Desk, Visit
from armillary.console.frame.sheet import Button, Once, Sheet
from armillary.console.hub_devices import pages_hub_access as access, pages_hub_devices as pages
from armillary.console.operations.change import permit
from armillary.errors import ArmillaryError, NotFoundError
from armillary.wire.hub.credentials import is_attested_id

LINES = 100

Wrong = tuple[str, str]


def devices(desk: Desk, visit: Visit) -> Response:
    """A catalog's hub devices, what it admits, enrolments and service keys."""
    return list_page(desk, visit, _chosen(desk, visit))


def list_page(
    desk: Desk,
    visit: Visit,
    catalog: str,
    *,
    once: Once | None = None,
    sent: Mapping[str, str] | None = None,
    wrong: Wrong | None = None,
) -> Response:
    """The list; ``once`` is a service key that was just made, ``wrong`` what was wrong with the form of one."""
    if not catalog:
        return show(desk, visit, pages.no_catalog_sheet())
    names = catalog_names(desk)
    prefix, after = visit.query.get("q", "").strip()[:128], visit.query.get("after")
    page = ask(desk, visit, "list_hub_devices", catalog=catalog, limit=LINES, after=after, search=prefix)
    admission = ask(desk, visit, "show_admission", catalog=catalog)
    may_keys = may(desk, visit, "service-key")
    keys = ask(desk, visit, "list_hub_service_keys", catalog=catalog) if may_keys else None
    form = access.key_form(catalog, sent or {}, wrong) if may_keys else None
    is_part = bool(prefix or after or page["next"])
    made = Sheet(
        place="Devices",
        title=pages.list_sentence(page["items"], catalog, is_part=is_part)
        if page["items"] or not is_part
        else f"No hub device of {catalog} matches.",
        detail=pages.others_sentence(ask(desk, visit, "fleet", catalog=catalog)["tiers"], catalog),
        once=once,
        buttons=(Button(label="New hub device", href=f"{pages.NEW}?catalog={catalog}"),)
        if may(desk, visit, "hub-device")
        else (),
        links=_catalog_links(names, catalog) if 1 < len(names) <= pages.MOST_LINKS else (),
        search=pages.search_form(catalog, prefix, names),
        sections=(
            pages.devices_section(page, catalog, prefix, admission, visit.now),
            access.admission_section(admission, catalog, may_change=may(desk, visit, "admission"), now=visit.now),
            access.enrolments_section(ask(desk, visit, "list_hub_enrolments", catalog=catalog), catalog, visit.now),
            access.keys_section(keys, catalog, visit.operator.role, form=form, now=visit.now),
        ),
    )
    return show(desk, visit, made, 400 if wrong else 200)


def new_device(desk: Desk, visit: Visit) -> Response:
    """The form of a new hub device."""
    return new_page(desk, visit, {}, None)


def new_page(desk: Desk, visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form as it was sent, and what was wrong with it."""
    permit(desk, visit, "hub-device")
    names = catalog_names(desk)
    if not names:
        return show(desk, visit, pages.no_catalog_sheet())
    chosen = sent.get("catalog") or _chosen(desk, visit)
    return show(desk, visit, pages.new_sheet(names, chosen, sent, wrong), 400 if wrong else 200)


def device(desk: Desk, visit: Visit) -> Response:
    """One hub device; a device that attests has a page of its own."""
    device_id = visit.params["device_id"]
    if is_attested_id(device_id):
        return RedirectResponse(f"/devices/{device_id.lower()}", 303)
    return device_page(desk, visit, device_id)


def device_page(
    desk: Desk,
    visit: Visit,
    device_id: str,
    *,
    once: Once | None = None,
    sent: Mapping[str, str] | None = None,
    wrong: Wrong | None = None,
) -> Response:
    """One hub device; ``once`` are keys that were just made, ``wrong`` what was wrong with the form of a module."""
    found = ask(desk, visit, "show_hub_device", device_id=device_id)
    template = ask(desk, visit, "show_device_template", device_id=device_id)
    catalog = catalog_name(desk, found["catalog_id"])
    can = may(desk, visit, "hub-device")
    made = pages.device_sheet(
        found,
        template,
        catalog,
        ask(desk, visit, "show_admission", catalog=catalog),
        may_change=can,
        module_form=pages.module_form(device_id, sent or {}, wrong) if can else None,
        once=once,
        name_form=name_form(found["device_id"], found["name"], is_named=found["is_named"])
        if may(desk, visit, "device-name")
        else None,
        now=visit.now,
    )
    return show(desk, visit, made, 400 if wrong else 200)


def confirm_device(desk: Desk, visit: Visit) -> Response:
    """What a button of a hub device's page does."""
    permit(desk, visit, "hub-device")
    found = asked_about(desk, visit)
    return desk.page(visit, "confirm.html", view=pages.confirmation(found, checked(visit, pages.VERBS)))


def asked_about(desk: Desk, visit: Visit) -> dict[str, Any]:
    """The hub device of an address, or its module where the address names one."""
    found = ask(desk, visit, "show_hub_device", device_id=visit.params["device_id"])
    module = visit.params.get("module_id")
    if module is None:
        return found
    for each in found["modules"]:
        if each["module_id"] == module:
            inner: dict[str, Any] = each
            return inner
    raise NotFoundError(f"there is no module {module[:64]!r}", remedy="Reload the device's page.")


def enrolment(desk: Desk, visit: Visit) -> Response:
    """One enrolment and what registered by it."""
    found, scope = asked_enrolment(desk, visit)
    catalog = visit.params["catalog"]
    number = UUID(found["enrolment_id"])
    registered = ask(desk, visit, "list_hub_registrations", catalog=catalog, enrolment_id=number)["items"]
    can = may(desk, visit, "hub-enrolment")
    return show(desk, visit, access.enrolment_sheet(found, registered, catalog, scope, may_change=can, now=visit.now))


def confirm_enrolment(desk: Desk, visit: Visit) -> Response:
    """What a button of an enrolment's page does."""
    permit(desk, visit, "hub-enrolment")
    found, _ = asked_enrolment(desk, visit)
    asked = access.enrolment_confirmation(found, visit.params["catalog"], checked(visit, access.ENROLMENT_VERBS))
    return desk.page(visit, "confirm.html", view=asked)


def asked_enrolment(desk: Desk, visit: Visit) -> tuple[dict[str, Any], str]:
    """The enrolment of an address, and its catalog's id scope."""
    page = ask(desk, visit, "list_hub_enrolments", catalog=visit.params["catalog"])
    for each in page["items"]:
        if each["enrolment_id"] == visit.params["enrolment_id"]:
            return each, page["id_scope"]
    raise NotFoundError("there is no such enrolment", remedy="Reload the list.")


def confirm_admission(desk: Desk, visit: Visit) -> Response:
    """What letting in or keeping out does."""
    permit(desk, visit, "admission")
    catalog, kind = visit.params["catalog"], visit.params["kind"]
    ask(desk, visit, "show_admission", catalog=catalog)
    return desk.page(
        visit,
        "confirm.html",
        view=access.admission_confirmation(catalog, checked_kind(kind), checked(visit, access.ADMIT)),
    )


def confirm_key(desk: Desk, visit: Visit) -> Response:
    """What deleting a service key does."""
    permit(desk, visit, "service-key")
    catalog, name = visit.params["catalog"], visit.params["name"]
    if all(each["name"] != name for each in ask(desk, visit, "list_hub_service_keys", catalog=catalog)["items"]):
        raise NotFoundError(f"there is no service key {name[:64]!r}", remedy="Reload the list.")
    return desk.page(visit, "confirm.html", view=access.key_confirmation(name, catalog))


def checked(visit: Visit, verbs: tuple[str, ...]) -> str:
    """The verb of an address."""
    verb = visit.params["verb"]
    if verb not in verbs:
        raise NotFoundError(f"there is no action {verb[:40]!r}", remedy="Use the buttons on the page.")
    return verb


def checked_kind(kind: str) -> str:
    """What an address lets in or keeps out."""
    if kind not in access.KINDS:
        raise NotFoundError(f"there is no admission of {kind[:40]!r}", remedy="Use the links on the page.")
    return kind


def catalog_names(desk: Desk) -> tuple[str, ...]:
    """All catalogs."""
    return tuple(each["name"] for each in desk.sources.house.catalog_names())


def catalog_name(desk: Desk, catalog_id: str) -> str:
    """The name of a catalog."""
    for each in desk.sources.house.catalog_names():
        if each["catalog_id"] == catalog_id:
            return str(each["name"])
    raise NotFoundError("its catalog was deleted", remedy="Reload the list of hub devices.")


def wrong_of(error: ArmillaryError) -> Wrong:
    """What a form says of an error."""
    return (f"{error.message}.", error.remedy)


def _chosen(desk: Desk, visit: Visit) -> str:
    names, asked = catalog_names(desk), visit.query.get("catalog", "")
    if not asked:
        return names[0] if names else ""
    for each in names:
        if each.lower() == asked.lower():
            return each
    raise NotFoundError(f"there is no catalog {asked[:60]!r}", remedy="Choose one of the list.")


def _catalog_links(names: tuple[str, ...], chosen: str) -> tuple[tuple[str, str, bool], ...]:
    return tuple((each, pages.list_href(each), each == chosen) for each in names)
