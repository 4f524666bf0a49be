# SPDX-License-Identifier: Apache-2.0
"""Answers about where devices belong: catalogs with what they demand, products, device groups, claims."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from armillary.api.azure import names
from armillary.api.http.documents import as_document, row_document
from armillary.api.views import policy as views_policy
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document
from armillary.engines.records.schema.rows import DeviceFilter
from armillary.errors import NotFoundError, OperatorError

# Audit lines among which claims are looked for: a page that waits asks again every two seconds.
_LOOKED_AT = 50
# Hub devices of a catalog that are counted.
_COUNTED = 1000


def make_catalog(by: RequestContext, catalog: str) -> Document:
    """Make a catalog."""
    return row_document(by.service.registry.catalogs.create(catalog, actor=by.operator.name))


def make_product(by: RequestContext, catalog: str, product: str, description: str, *, has_groups: bool) -> Document:
    """Make a product, and the five usual device groups where they are wished."""
    registry, actor = by.service.registry, by.operator.name
    made = row_document(registry.products.create(catalog, product, actor=actor, description=description))
    if has_groups:
        registry.groups.create_defaults(catalog, product, actor=actor)
    return made


def make_device_group(by: RequestContext, catalog: str, product: str, device_group: str, **values: Any) -> Document:
    """Make a device group; ``values`` as ``Groups.create`` takes them."""
    groups = by.service.registry.groups
    return row_document(groups.create(catalog, product, device_group, actor=by.operator.name, **values))


def list_registry(by: RequestContext, catalog: str) -> Document:
    """The products of a catalog, and its device groups."""
    registry = by.service.registry
    return {
        "products": [as_document(each) for each in registry.products.list(catalog)],
        "groups": [as_document(each) for each in registry.groups.list(catalog)],
        "feeds": [each.name for each in registry.os_feeds.list()],
    }


def move_device(by: RequestContext, device_id: str, owner: str, product: str, device_group: str) -> Document:
    """A device, put into another group of the catalog ``owner``. Raises WrongCatalogError: it is another's."""
    devices = by.service.registry.devices
    return row_document(devices.move(owner, device_id, product=product, group=device_group, actor=by.operator.name))


def claim_devices(by: RequestContext, catalog: str, product: str, device_group: str, device_ids: list[str]) -> Document:
    """Claim devices one by one: for each its id, why it could not be claimed or "", whether it was theirs before."""
    devices, actor, items = by.service.registry.devices, by.operator.name, list[Document]()
    for typed in device_ids:
        wrong, is_old = "", False
        try:
            known = names.checked("device", typed)
            is_old = _is_of(by, known, catalog)
            devices.claim(catalog, [known], actor=actor, product=product, group=device_group)
        except OperatorError as error:
            wrong = f"{error.message}. {error.remedy}"
        items.append({"device_id": typed, "wrong": wrong, "is_old": is_old})
    return {"items": items}


def newly_claimed(by: RequestContext, since: int) -> Document:
    """Devices that were claimed since a moment (Unix seconds), newest first, as far as the newest audit lines tell."""
    found: dict[str, Document] = {}
    for line in by.service.audit.list(limit=_LOOKED_AT).items:
        if line.operation != "device.claim" or line.at < since or line.target in found:
            continue
        try:
            device = by.service.registry.devices.get(line.target)
        except NotFoundError:
            continue
        if by.catalog is None or (device.catalog or "").lower() == by.catalog.lower():
            found[line.target] = {
                "device_id": device.device_id,
                "health": device.health,
                "last_check_in": device.last_check_in_at,
                "claimed_by": line.actor,
            }
    names_of = by.service.registry.names.of(list(found))
    return {"items": [{**each, "name": names_of.get(key, key)} for key, each in found.items()]}


def _is_of(by: RequestContext, device_id: str, catalog: str) -> bool:
    try:
        return (by.service.registry.devices.get(device_id).catalog or "").lower() == catalog.lower()
    except NotFoundError:  # the claim says it, in the words that it has for another's
        return False


def service_addresses(by: RequestContext) -> Document:
    """Where commands reach the API, and the SHA-256 of the root certificate that it is verified with now."""
    pem = service_root(by)["pem"]
    first = x509.load_pem_x509_certificates(pem.encode("ascii"))[0]
    return {"api": f"https://{by.hub.storage_host}", "root_sha256": first.fingerprint(hashes.SHA256()).hex()}


def service_root(by: RequestContext) -> Document:
    """The certificates that clients verify the service with, PEM."""
    return {"pem": by.service.authority.server.files().root.read_text("ascii")}


def hub_address(by: RequestContext) -> Document:
    """Where devices reach the hub."""
    host, port = by.service.hub_address
    return {"host": host, "port": port}


# One catalog -------------------------------------------------------------------------------------------------------


def show_catalog(by: RequestContext, catalog: str) -> Document:
    """A catalog with its policy, products, device groups (each with its number of devices), and how many it has."""
    service, registry = by.service, by.service.registry
    found = registry.catalogs.get(catalog)
    groups = registry.groups.list(found.name)
    return {
        **as_document(found),
        "attestation_policy": views_policy.policy(service, found.name),
        "products": [as_document(each) for each in registry.products.list(found.name)],
        "groups": [
            {**as_document(each), "devices": registry.groups.devices(found.name, each.product, each.name)}
            for each in groups
        ],
        "devices": registry.devices.count(DeviceFilter(catalog=found.name)),
        "hub_devices": len(service.hub_access.identities.list(found.name, after="", limit=_COUNTED)),
    }


def known_chips(by: RequestContext) -> Document:
    """Chip profiles that the service knows."""
    return {"items": list(by.service.chips.names)}


def change_attestation_policy(by: RequestContext, catalog: str, change: Document, if_version: int) -> Document:
    """Change what a catalog demands of its devices."""
    policies, actor = by.service.attestation.policies, by.operator.name
    return {"version": policies.revise(catalog, change, actor=actor, if_version=if_version).version}


def drop_catalog(by: RequestContext, catalog: str) -> Document:
    """Delete a catalog without devices and images."""
    by.service.registry.catalogs.delete(catalog, actor=by.operator.name)
    return {"deleted": catalog}


def change_product(by: RequestContext, catalog: str, product: str, description: str) -> Document:
    """Change a product's description."""
    products = by.service.registry.products
    return row_document(products.update(catalog, product, description=description, actor=by.operator.name))


def drop_product(by: RequestContext, catalog: str, product: str) -> Document:
    """Delete a product with its device groups, none of which may be in use."""
    by.service.registry.products.delete(catalog, product, actor=by.operator.name)
    return {"deleted": product}


def change_device_group(by: RequestContext, catalog: str, product: str, device_group: str, **values: Any) -> Document:
    """Change a device group; ``values`` as ``Groups.update`` takes them."""
    groups = by.service.registry.groups
    return row_document(groups.update(catalog, product, device_group, actor=by.operator.name, **values))


def drop_device_group(by: RequestContext, catalog: str, product: str, device_group: str) -> Document:
    """Delete a device group that is not in use."""
    by.service.registry.groups.delete(catalog, product, device_group, actor=by.operator.name)
    return {"deleted": device_group}
