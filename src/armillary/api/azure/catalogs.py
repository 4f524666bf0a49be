# SPDX-License-Identifier: Apache-2.0
"""Management routes of catalogs, products and device groups.

PUT creates or changes and answers 200 with the finished resource at once, as the public service did; DELETE answers
204 when there was nothing to delete. Subscriptions and resource groups are kept for the paths; names of catalogs are
unique in the whole service, so a catalog answers under any resource group and is listed under its own.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from armillary.api.azure import bodies, names
from armillary.api.azure.call import AzureCall, Call, deleted, get_or_create, whole
from armillary.api.azure.requests import CatalogBody, DeviceGroupBody, ListDeviceGroupsBody, ProductBody
from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.engines.records.schema.rows import DeviceFilter, DeviceGroup

Body = bodies.Body


def list_subscription_catalogs(call: Call) -> Body:
    """All catalogs."""
    rows = call.service.registry.catalogs.list()
    return whole(call, [bodies.catalog(row, {**call.parts, "resource_group": row.resource_group}) for row in rows])


def list_catalogs(call: Call) -> Body:
    """Catalogs of a resource group."""
    rows = call.service.registry.catalogs.list(resource_group=call.parts["resource_group"])
    return whole(call, [bodies.catalog(row, call.parts) for row in rows])


def get_catalog(call: Call) -> Body:
    """A catalog."""
    return bodies.catalog(call.service.registry.catalogs.get(call.catalog), call.parts)


def put_catalog(call: Call, body: CatalogBody) -> Body:
    """Make a catalog, or replace its tags."""
    name, catalogs, group = call.catalog, call.service.registry.catalogs, call.parts["resource_group"]
    row, made = get_or_create(
        lambda: catalogs.get(name),
        lambda: catalogs.create(name, actor=call.actor, tags=body.tags, resource_group=group),
    )
    if not made and body.tags is not None:
        row = catalogs.update(name, tags=body.tags, actor=call.actor)
    return bodies.as_put(bodies.catalog(row, call.parts))


def patch_catalog(call: Call, body: CatalogBody) -> Body:
    """Replace a catalog's tags."""
    name, registry = call.catalog, call.service.registry
    if body.tags is None:
        return bodies.catalog(registry.catalogs.get(name), call.parts)
    return bodies.catalog(registry.catalogs.update(name, tags=body.tags, actor=call.actor), call.parts)


def delete_catalog(call: Call) -> Response:
    """Delete a catalog without devices and images."""
    return deleted(lambda: call.service.registry.catalogs.delete(call.catalog, actor=call.actor))


def count_devices(call: Call) -> Body:
    """Count the devices of a catalog, a product or a device group."""
    product, group = call.parts.get("product"), call.parts.get("device_group")
    registry = call.service.registry
    if group is not None:
        registry.groups.get(call.catalog, call.parts["product"], group)
    elif product is not None:
        registry.products.get(call.catalog, product)
    else:
        registry.catalogs.get(call.catalog)
    chosen = DeviceFilter(catalog=call.catalog, product=product, group=group)
    return {"value": registry.devices.count(chosen)}


def list_products(call: Call) -> Body:
    """Products of a catalog."""
    rows = call.service.registry.products.list(call.catalog)
    return whole(call, [bodies.product(row, call.parts) for row in rows])


def get_product(call: Call) -> Body:
    """A product."""
    return bodies.product(call.service.registry.products.get(call.catalog, call.parts["product"]), call.parts)


def put_product(call: Call, body: ProductBody) -> Body:
    """Make a product, or change its description."""
    catalog, name, registry = call.catalog, call.parts["product"], call.service.registry
    description = body.properties.description if body.properties else None
    row, made = get_or_create(
        lambda: registry.products.get(catalog, name),
        lambda: registry.products.create(catalog, name, actor=call.actor, description=description or ""),
    )
    if not made and description is not None:
        row = registry.products.update(catalog, name, description=description, actor=call.actor)
    return bodies.as_put(bodies.product(row, call.parts))


def patch_product(call: Call, body: ProductBody) -> Body:
    """Change a product's description."""
    description = body.properties.description if body.properties else None
    if description is None:
        return get_product(call)
    row = call.service.registry.products.update(
        call.catalog, call.parts["product"], description=description, actor=call.actor
    )
    return bodies.product(row, call.parts)


def delete_product(call: Call) -> Response:
    """Delete a product whose groups have no devices."""
    registry = call.service.registry
    registry.catalogs.get(call.catalog)
    return deleted(lambda: registry.products.delete(call.catalog, call.parts["product"], actor=call.actor))


def generate_default_device_groups(call: Call) -> Body:
    """Make the five usual device groups of a product."""
    rows = call.service.registry.groups.create_defaults(call.catalog, call.parts["product"], actor=call.actor)
    return whole(call, [_listed_group(row, call) for row in rows])


def list_device_groups(call: Call) -> Body:
    """Device groups of a product."""
    rows = call.service.registry.groups.list(call.catalog, call.parts["product"])
    return whole(call, [_listed_group(row, call) for row in rows])


def list_catalog_device_groups(call: Call, body: ListDeviceGroupsBody | None = None) -> Body:
    """Device groups of a catalog, all or those of a name."""
    return _catalog_groups(call, body.deviceGroupName if body is not None else None)


def next_catalog_device_groups(
    call: Call, name: Annotated[str | None, Query(alias="deviceGroupName", max_length=1024)] = None
) -> Body:
    """The next page of them, by the address that the page before named."""
    return _catalog_groups(call, name)


def get_device_group(call: Call) -> Body:
    """A device group."""
    row = call.service.registry.groups.get(*call.group)
    return bodies.device_group(row, call.parts, in_list=False)


def put_device_group(call: Call, body: DeviceGroupBody) -> Body:
    """Make a device group, or change the named properties of one."""
    groups, values = call.service.registry.groups, _group_values(body)
    row, made = get_or_create(
        lambda: groups.get(*call.group), lambda: groups.create(*call.group, actor=call.actor, **values)
    )
    if not made and values:
        row = groups.update(*call.group, actor=call.actor, **values)
    return bodies.as_put(bodies.device_group(row, call.parts, in_list=False))


def patch_device_group(call: Call, body: DeviceGroupBody) -> Body:
    """Change the named properties of a device group."""
    groups, values = call.service.registry.groups, _group_values(body)
    row = groups.update(*call.group, actor=call.actor, **values) if values else groups.get(*call.group)
    return bodies.device_group(row, call.parts, in_list=False)


def delete_device_group(call: Call) -> Response:
    """Delete a device group without devices."""
    registry = call.service.registry
    registry.products.get(*call.group[:2])
    return deleted(lambda: registry.groups.delete(*call.group, actor=call.actor))


def _catalog_groups(call: AzureCall, name: str | None) -> Body:
    rows = call.service.registry.groups.list(call.catalog, name=name)
    carried = {} if name is None else {"deviceGroupName": name}
    return whole(call, [_listed_group(row, call) for row in rows], carried)


def _listed_group(row: DeviceGroup, call: AzureCall) -> Body:
    return bodies.device_group(row, call.parts, in_list=True)


def _group_values(body: DeviceGroupBody) -> dict[str, str]:
    given = body.properties
    if given is None:
        return {}
    values = {
        "description": given.description,
        "os_feed": given.osFeedType,
        "update_policy": given.updatePolicy,
        "allow_crash_dumps": given.allowCrashDumpsCollection,
        "regional_data_boundary": given.regionalDataBoundary,
    }
    return {name: value for name, value in values.items() if value is not None}


ROUTES = (
    Route("GET", f"{names.SUBSCRIPTION}/providers/{names.PROVIDER}/catalogs", list_subscription_catalogs, READER),
    Route("GET", names.CATALOGS, list_catalogs, READER),
    Route("GET", names.CATALOG, get_catalog, READER),
    Route("PUT", names.CATALOG, put_catalog, CONTRIBUTOR),
    Route("PATCH", names.CATALOG, patch_catalog, CONTRIBUTOR),
    Route("DELETE", names.CATALOG, delete_catalog, ADMINISTRATOR),
    Route("POST", names.CATALOG + "/countDevices", count_devices, READER),
    Route("POST", names.CATALOG + "/listDeviceGroups", list_catalog_device_groups, READER),
    Route("GET", names.CATALOG + "/listDeviceGroups", next_catalog_device_groups, READER),
    Route("GET", names.CATALOG + "/products", list_products, READER),
    Route("GET", names.PRODUCT, get_product, READER),
    Route("PUT", names.PRODUCT, put_product, CONTRIBUTOR),
    Route("PATCH", names.PRODUCT, patch_product, CONTRIBUTOR),
    Route("DELETE", names.PRODUCT, delete_product, CONTRIBUTOR),
    Route("POST", names.PRODUCT + "/countDevices", count_devices, READER),
    Route("POST", names.PRODUCT + "/generateDefaultDeviceGroups", generate_default_device_groups, CONTRIBUTOR),
    Route("GET", names.PRODUCT + "/deviceGroups", list_device_groups, READER),
    Route("GET", names.DEVICE_GROUP, get_device_group, READER),
    Route("PUT", names.DEVICE_GROUP, put_device_group, CONTRIBUTOR),
    Route("PATCH", names.DEVICE_GROUP, patch_device_group, CONTRIBUTOR),
    Route("DELETE", names.DEVICE_GROUP, delete_device_group, CONTRIBUTOR),
    Route("POST", names.DEVICE_GROUP + "/countDevices", count_devices, READER),
)
