# SPDX-License-Identifier: Apache-2.0
"""The device that a page is about, of either kind: asked once, with the head that all its pages share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from armillary.console.device import pages_device, pages_hub, pages_tabs
from armillary.console.device.pages_device_data import place, root_crumb
from armillary.console.device.pages_fleet import where
from armillary.console.frame.asking import ask, may, meant, show
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import Sheet
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.wire.hub.credentials import is_attested_id

# Open alerts that are counted in the tab and shown on the overview; the alerts page has all.
ALERTS = 100


@dataclass(frozen=True, slots=True)
class Subject:
    """One device.

    Attributes:
        found: As the fleet has it, or for a hub device as the hub does.
        attests: Whether it has an identity that can attest; a hub device has none.
        proves: Whether it attests now or ever did, or could: not one that a simulator plays.
        values: Last values.
        alerts: Open alerts, newest first.
    """

    device_id: str
    found: dict[str, Any]
    name: str
    attests: bool
    proves: bool
    verdict: pages_device.Verdict
    values: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    twin: dict[str, Any]
    head: pages_tabs.Head


def found_of(visit: Visit, asked: str) -> dict[str, Any]:
    """A device by its whole id, as the fleet has it, or a hub device as the hub does. Raises NotFoundError."""
    return (
        visit.sources.fleet.device(asked) if is_attested_id(asked) else ask(visit, "show_hub_device", device_id=asked)
    )


def subject_of(visit: Visit, tab: str, device_id: str = "") -> Subject:
    """A device, by default that of the address, for one of its tabs. Raises NotFoundError."""
    sources = visit.sources
    found = found_of(visit, device_id or visit.params["device_id"])
    device_id = str(found["device_id"])
    attests = is_attested_id(device_id)
    values = sources.hub.last_values(device_id)
    heard_ms = max((each["at_ms"] for each in values), default=None)
    proves = False
    if attests:
        records = sources.fleet.records(device_id, limit=1)
        last = records["check_ins"][0] if records["check_ins"] else None
        verdict = pages_device.verdict(found, last, visit.now)
        proves = found["trust_tier"] != pages_device.SIMULATED
        if found["health"] == "simulated":
            verdict = pages_tabs.simulated(heard_ms, visit.now, verdict.detail)
        above: tuple[tuple[str, str], ...] = (root_crumb(device_id), (where(found), ""))
    else:
        verdict = pages_tabs.by_key(found, admission_of(visit, found), heard_ms, visit.now)
        above = (root_crumb(device_id),)
    alerts = []
    if may(visit, "list_alerts"):
        alerts = ask(visit, "list_alerts", limit=ALERTS, status="open", of_device=device_id).get("items", [])
    twin = sources.hub.twin(device_id)
    guardian = f"/guardians/{device_id}" if pages_hub.is_guardian(twin) and may(visit, "show_guardian") else ""
    every = pages_tabs.tabs(device_id, tab, attests=attests, open_alerts=len(alerts), guardian_href=guardian)
    head = pages_tabs.head_of(device_id, found["name"], verdict, tab, above, every)
    return Subject(device_id, found, found["name"], attests, proves, verdict, values, alerts, twin, head)


def admission_of(visit: Visit, found: dict[str, Any]) -> dict[str, Any]:
    """What the catalog of a hub device lets in; empty for an operator who may not know."""
    if not may(visit, "show_admission"):
        return {}
    return ask(visit, "show_admission", catalog=catalog_name(visit, found["catalog_id"]))


def catalog_of(visit: Visit, found: dict[str, Any]) -> str | None:
    """The name of a device's catalog; None for one that nobody has claimed."""
    if is_attested_id(found["device_id"]):
        return None if found["catalog"] is None else str(found["catalog"])
    return catalog_name(visit, found["catalog_id"])


def catalog_name(visit: Visit, catalog_id: str) -> str:
    """The name of a device's catalog. NotFoundError where it was deleted."""
    if visit.operator.catalog_name is not None:  # the device is of no other
        return visit.operator.catalog_name
    for each in visit.sources.settings.catalog_names():
        if each["catalog_id"] == catalog_id:
            return str(each["name"])
    raise NotFoundError("its catalog was deleted", remedy="Reload the list of hub devices.")


def show_tab(visit: Visit, subject: Subject, made: Sheet, status: int = 200) -> Response:
    """A page below the head of its device."""
    head = subject.head
    framed = replace(made, head=head, crumbs=head.crumbs, heading=head.heading, within="")
    return show(visit, framed, status)


def named(tab: str, page: Callable[[Visit, Subject], Response]) -> Callable[[Visit], Response]:
    """A tab that takes a device by name, by id or by the first digits of one: these lead to its own address."""

    def read(visit: Visit) -> Response:
        asked = visit.params["device_id"]
        try:
            subject = subject_of(visit, tab)
        except (NotFoundError, InvalidArgumentError):
            if not may(visit, "find_device"):
                raise
            device_id = meant(visit, asked)
            if device_id == asked:  # it is there, and something that its page needs is not
                raise
        else:
            device_id = subject.device_id
            root = "/devices/" if subject.attests else "/hub-devices/"
            if device_id == asked and visit.here.startswith(root):
                return page(visit, subject)
        query = f"?{urlencode(visit.query)}" if visit.query else ""
        return RedirectResponse(place(device_id, *((tab,) if tab else ())) + query, 303)

    return read
