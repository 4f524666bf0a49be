# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products and device groups made, devices claimed: each with its audit line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from armillary.console.add_devices import claim_list, pages_add_devices as pages, pages_one_command as one_command, read
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.hub_devices import connect as connect_pages
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError

_REMEDY: Final = "Choose one of the list."


def connect(visit: Visit, form: Form) -> Response:
    """Make a hub device with a symmetric key, and show how it connects."""
    try:
        return connect_pages.make(visit, form)
    except (InvalidArgumentError, ConflictError, NotFoundError) as error:
        return read.page_of(visit, form, (pages.CONNECT, wrong_of(error)))


def make_catalog(visit: Visit, form: Form) -> Response:
    """Make a catalog."""
    try:
        ask(visit, "make_catalog", catalog=_typed(form, "name", "Name"))
    except ArmillaryError as error:
        return read.page_of(visit, form, (pages.CATALOG, wrong_of(error)))
    return done(f"{pages.HERE}#{pages.PRODUCT}", "catalog-made")


def make_product(visit: Visit, form: Form) -> Response:
    """Make a product, with the usual device groups where they are wished."""
    try:
        ask(
            visit,
            "make_product",
            catalog=_typed(form, "catalog", "Catalog"),
            product=_typed(form, "name", "Name"),
            description=form.get("description", "").strip(),
            has_groups=bool(form.get("groups")),
        )
    except ArmillaryError as error:
        return read.page_of(visit, form, (pages.PRODUCT, wrong_of(error)))
    return done(f"{pages.HERE}#{pages.CLAIM}", "product-made")


def make_group(visit: Visit, form: Form) -> Response:
    """Make a device group."""
    try:
        catalog, product = _parts(form, "product", 2)
        ask(
            visit,
            "make_device_group",
            catalog=catalog,
            product=product,
            device_group=_typed(form, "name", "Name"),
            description=form.get("description", "").strip(),
            os_feed=form.get("os_feed", ""),
            update_policy=form.get("update_policy", ""),
        )
    except ArmillaryError as error:
        return read.page_of(visit, form, (pages.GROUP, wrong_of(error)))
    return done(f"{pages.HERE}#{pages.CLAIM}", "group-made")


def claim(visit: Visit, form: Form, files: Mapping[str, bytes]) -> Response:
    """Claim devices that were typed and those of a file, each once; the page says what became of each."""
    try:
        catalog, product, group = _parts(form, "target", 3)
        named = [*form.get("ids", "").split(), *claim_list.ids_of(files.get("file", b""))]
        ids = list(dict.fromkeys(each.lower() for each in named))
        if not 1 <= len(ids) <= pages.MAX_IDS:
            raise InvalidArgumentError(
                f"Device ids: expected 1 to {pages.MAX_IDS}, got {len(ids)}",
                remedy="Write one on each line, or choose a file with one on each line.",
            )
        found = ask(visit, "claim_devices", catalog=catalog, product=product, device_group=group, device_ids=ids)
    except ArmillaryError as error:
        return read.page_of(visit, form, (pages.CLAIM, wrong_of(error)))
    return read.page_of(visit, claimed=found["items"])


def make_command(visit: Visit, form: Form) -> Response:
    """Make an enrolment token for one device, and show the command with it on this answer only."""
    try:
        catalog, product, group = _parts(form, "target", 3)
        known = ask(visit, "list_registry", catalog=catalog)["groups"]
        if not any((each["product"], each["name"]) == (product, group) for each in known):
            raise NotFoundError(f"device group {product} / {group} does not exist in {catalog}", remedy=_REMEDY)
        wish = {"product": product, "group": group, "uses": one_command.USES, "lifetime_s": one_command.LIFE_S}
        made = visit.sources.settings.create_enrolment_token(catalog, wish)
    except ArmillaryError as error:
        return read.page_of(visit, form, (one_command.ONE, wrong_of(error)))
    shown = one_command.once(made, ask(visit, "service_addresses"), visit.now)
    return read.page_of(visit, command=(shown, read.of_command(visit, visit.now, made["token"]["token_id"])))


def _typed(form: Form, name: str, label: str) -> str:
    typed = form.get(name, "").strip()
    if not typed:
        raise InvalidArgumentError(f"{label}: expected a text, got nothing", remedy="Fill it in.")
    return typed


def _parts(form: Form, name: str, count: int) -> list[str]:
    """The names of a choice, none of which holds a slash."""
    parts = form.get(name, "").split("/")
    if len(parts) != count or not all(parts):
        raise InvalidArgumentError(f"{name}: expected a choice, got {form.get(name, '')[:60]!r}", remedy=_REMEDY)
    return parts
