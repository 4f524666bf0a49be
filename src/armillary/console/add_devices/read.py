# SPDX-License-Identifier: Apache-2.0
"""The page of first devices, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from armillary.console.add_devices import pages_add_devices as pages, pages_one_command as one_command
from armillary.console.frame.asking import ask, catalogs, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.console.frame.sheet import Once, Section, Sheet
from armillary.console.frame.words import DAY_S
from armillary.console.language.say import say


def page(visit: Visit) -> Response:
    """How devices come into the service."""
    return page_of(visit)


def progress(visit: Visit) -> Response:
    """How far the device is that somebody makes: the section alone, for the page that waits."""
    since, token_id = _since(visit), visit.query.get("token", "")
    section = of_command(visit, since, token_id) if token_id else _of_steps(visit, since)
    crumbs = ((say("Fleet"), "/fleet"), (say("Add devices"), pages.HERE), (say("Progress"), ""))
    title = say("How far the device is that you make.")
    return show(visit, Sheet(place=say("Fleet"), title=title, crumbs=crumbs, sections=(section,), within=""))


def _of_steps(visit: Visit, since: int) -> Section:
    groups: list[dict[str, Any]] = []
    for name in catalogs(visit):
        groups += ask(visit, "list_registry", catalog=name)["groups"]
    found = ask(visit, "newly_claimed", since=since)["items"]
    return pages.attesting(ask(visit, "service_addresses"), groups, found, since)


def of_command(visit: Visit, since: int, token_id: str) -> Section:
    """How far the device is that a command with this enrolment token makes."""
    here = f"{pages.PROGRESS}?{urlencode({'since': since, 'token': token_id})}"
    found = ask(visit, "newly_claimed", since=since)["items"]
    return one_command.progress(found, here, token_id, pages.PROGRESS_EVERY_S)


def _since(visit: Visit) -> int:
    """When the page was opened, as its address says; now where it says nothing that can be."""
    asked = visit.query.get("since", "")
    is_time = asked.isascii() and asked.isdigit() and len(asked) <= len(str(visit.now))
    return int(asked) if is_time and visit.now - DAY_S <= int(asked) <= visit.now else visit.now


def page_of(
    visit: Visit,
    sent: Mapping[str, str] = MappingProxyType({}),
    wrong: tuple[str, Wrong] | None = None,
    claimed: Sequence[Mapping[str, Any]] | None = None,
    command: tuple[Once, Section] | None = None,
) -> Response:
    """The page; ``wrong`` is the kind of the form that was refused, and why; ``claimed`` what became of a claim.

    ``command`` is one that was just made, and how far its device is.
    """
    names, is_of_one = catalogs(visit), visit.operator.catalog is not None
    products: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    feeds: list[str] = []
    for name in names:
        found = ask(visit, "list_registry", catalog=name)
        products, groups, feeds = [*products, *found["products"]], [*groups, *found["groups"]], found["feeds"]
    made = pages.page(
        groups=groups,
        products=products,
        catalogs=names,
        feeds=feeds,
        may={
            "use": may(visit, "use_application_template"),
            "hub": may(visit, "make_hub_device"),
            "catalog": may(visit, "make_catalog") and not is_of_one,
            "product": may(visit, "make_product"),
            "group": may(visit, "make_device_group"),
            "claim": may(visit, "claim_devices"),
            "enrol": may(visit, "settings.create_enrolment_token"),
        },
        shut=[each for each in names if not ask(visit, "show_admission", catalog=each)["symmetric_keys"]]
        if may(visit, "change_admission")
        else [],
        addresses=ask(visit, "service_addresses") if may(visit, "service_addresses") else None,
        sent=sent,
        wrong=wrong,
        claimed=claimed,
        since=visit.now,
        made=command,
    )
    return show(visit, made, 400 if wrong else 200)
