# SPDX-License-Identifier: Apache-2.0
"""Hub devices, enrolments and service keys, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from starlette.responses import Response

from armillary.console.bulk.kinds import bulk_of
from armillary.console.device.pages_device_life import name_form
from armillary.console.device.pages_tabs import OVERVIEW
from armillary.console.device.subject import Subject, admission_of, catalog_name, show_tab, subject_of
from armillary.console.device.tabs import overview_sections
from armillary.console.frame.asking import ask, catalogs, in_order, may, ordered_sheet, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Once, Sheet
from armillary.console.hub_devices import pages_hub_access as access, pages_hub_devices as pages
from armillary.console.language.say import say
from armillary.errors import NotFoundError

LINES = 100


def devices(visit: Visit) -> Response:
    """A catalog's hub devices, what it admits, enrolments and service keys."""
    return list_page(visit, _chosen(visit))


def list_page(
    visit: Visit,
    catalog: str,
    *,
    once: Once | None = None,
    sent: Mapping[str, str] | None = None,
    wrong: Wrong | None = None,
    of: str = "key",
) -> Response:
    """The list; ``once`` are keys that were just made, ``wrong`` what was wrong with the form of ``of``.

    ``of`` is ``key`` (a service key) or ``enrolment``.
    """
    if not catalog:
        return show(visit, pages.no_catalog_sheet())
    names = catalogs(visit)
    prefix, after = visit.query.get("q", "").strip()[:128], visit.query.get("after")
    found = in_order(
        visit,
        pages.BY_SOURCE,
        lambda **at: ask(visit, "list_hub_devices", catalog=catalog, limit=LINES, search=prefix, **at),
    )
    page = found.page
    admission = ask(visit, "show_admission", catalog=catalog)
    may_keys = may(visit, "list_hub_service_keys")
    keys = ask(visit, "list_hub_service_keys", catalog=catalog) if may_keys else None
    form = access.key_form(catalog, *((sent or {}, wrong) if of == "key" else ({}, None))) if may_keys else None
    enrols = None
    if may(visit, "make_hub_enrolment"):
        enrols = access.enrolment_form(catalog, *((sent or {}, wrong) if of == "enrolment" else ({}, None)))
    is_part = bool(prefix or after or page["next"])
    made = Sheet(
        place=say("Devices"),
        title=pages.list_sentence(page["items"], catalog, is_part=is_part)
        if page["items"] or not is_part
        else say("No hub device of {catalog} matches.", catalog=catalog),
        detail=pages.others_sentence(ask(visit, "fleet", catalog=catalog)["tiers"], catalog),
        once=once,
        buttons=(Button(label=say("New hub device"), href=f"{pages.NEW}?catalog={catalog}"),)
        if may(visit, "make_hub_device")
        else (),
        links=_catalog_links(names, catalog) if 1 < len(names) <= pages.MOST_LINKS else (),
        search=pages.search_form(catalog, prefix, names),
        sections=(
            pages.devices_section(page, catalog, prefix, admission, visit.now, bulk_of(visit, "hub-devices")),
            access.admission_section(admission, catalog, may_change=may(visit, "change_admission"), now=visit.now),
            access.enrolments_section(
                ask(visit, "list_hub_enrolments", catalog=catalog), catalog, form=enrols, now=visit.now
            ),
            access.keys_section(keys, catalog, visit.operator.role, form=form, now=visit.now),
        ),
    )
    # Keys that are shown this once, and what was wrong with a form, stay.
    made = ordered_sheet(made, found, keeps_up=once is None and wrong is None)
    return show(visit, made, 400 if wrong else 200)


def new_device(visit: Visit) -> Response:
    """The form of a new hub device."""
    return new_page(visit, {}, None)


def new_page(visit: Visit, sent: Mapping[str, str], wrong: Wrong | None) -> Response:
    """The form as it was sent, and what was wrong with it."""
    names = catalogs(visit)
    if not names:
        return show(visit, pages.no_catalog_sheet())
    chosen = sent.get("catalog") or _chosen(visit)
    return show(visit, pages.new_sheet(names, chosen, sent, wrong), 400 if wrong else 200)


def device(visit: Visit, subject: Subject) -> Response:
    """The overview of a hub device."""
    return _device_page(visit, subject)


def device_page(
    visit: Visit,
    device_id: str,
    *,
    once: Once | None = None,
    sent: Mapping[str, str] | None = None,
    wrong: Wrong | None = None,
) -> Response:
    """The overview; ``once`` are keys that were just made, ``wrong`` what was wrong with the form of a module."""
    return _device_page(visit, subject_of(visit, OVERVIEW, device_id), once=once, sent=sent, wrong=wrong)


def _device_page(
    visit: Visit,
    subject: Subject,
    *,
    once: Once | None = None,
    sent: Mapping[str, str] | None = None,
    wrong: Wrong | None = None,
) -> Response:
    found = subject.found
    device_id = subject.device_id
    can = may(visit, "make_hub_device")
    made = pages.device_sheet(
        found,
        subject.verdict,
        ask(visit, "show_device_template", device_id=device_id),
        catalog_name(visit, found["catalog_id"]),
        admission_of(visit, found),
        sections=overview_sections(visit, subject),
        may_change=can,
        module_form=pages.module_form(device_id, sent or {}, wrong) if can else None,
        once=once,
        name_form=name_form(device_id, found["name"], is_named=found["is_named"])
        if may(visit, "name_device")
        else None,
        now=visit.now,
    )
    if once is None and wrong is None:
        made = replace(made, every_s=SEEN_EVERY_S)
    return show_tab(visit, subject, made, 400 if wrong else 200)


def enrolment(visit: Visit) -> Response:
    """One enrolment and what registered by it."""
    return enrolment_page(visit)


def enrolment_page(visit: Visit, sent: Mapping[str, str] | None = None, wrong: Wrong | None = None) -> Response:
    """The page of an enrolment; ``wrong`` is what was wrong with the proof of its authority."""
    found, scope = asked_enrolment(visit)
    catalog = visit.params["catalog"]
    number = UUID(found["enrolment_id"])
    registered = ask(visit, "list_hub_registrations", catalog=catalog, enrolment_id=number)["items"]
    can = may(visit, "change_hub_enrolment")
    proof = None
    if can and not found["verified"]:
        proof = access.proof_form(catalog, found["enrolment_id"], sent or {}, wrong)
    made = access.enrolment_sheet(found, registered, catalog, scope, may_change=can, proof=proof, now=visit.now)
    return show(visit, made, 400 if wrong else 200)


def asked_enrolment(visit: Visit) -> tuple[dict[str, Any], str]:
    """The enrolment of an address, and its catalog's id scope."""
    page = ask(visit, "list_hub_enrolments", catalog=visit.params["catalog"])
    for each in page["items"]:
        if each["enrolment_id"] == visit.params["enrolment_id"]:
            return each, page["id_scope"]
    raise NotFoundError("there is no such enrolment", remedy="Reload the list.")


def _chosen(visit: Visit) -> str:
    names, asked = catalogs(visit), visit.query.get("catalog", "")
    if not asked:
        return names[0] if names else ""
    for each in names:
        if each.lower() == asked.lower():
            return each
    raise NotFoundError(f"there is no catalog {asked[:60]!r}", remedy="Choose one of the list.")


def _catalog_links(names: Sequence[str], chosen: str) -> tuple[tuple[str, str, bool], ...]:
    return tuple((each, pages.list_href(each), each == chosen) for each in names)
