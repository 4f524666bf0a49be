# SPDX-License-Identifier: Apache-2.0
"""Rows as resources of the Azure Sphere management API, odd replies included.

Source: the models of the public azure-mgmt-sphere 1.0.0 client and the public service's answers: ``image`` holds the
image's name on reading, ``hasDeployment`` is null on a single device group and a bool in lists, and the type's case
differs between PUT and GET.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from cryptography import x509

from armillary.api.azure import names
from armillary.api.azure.operations import utc
from armillary.engines.records.schema.rows import (
    CaCertificate,
    Catalog,
    Deployment,
    Device,
    DeviceGroup,
    ErrorReportRow,
    Image,
    Product,
)
from armillary.service.authority.issued import thumbprint

# Image type -> word of the management API (public client's ImageType).
IMAGE_TYPES: Mapping[int, str] = {
    0: "InvalidImageType", 1: "OneBl", 2: "PlutonRuntime", 3: "WifiFirmware", 4: "SecurityMonitor",
    5: "NormalWorldLoader", 6: "NormalWorldDtb", 7: "NormalWorldKernel", 8: "RootFs", 9: "Services",
    10: "Applications", 13: "FwConfig", 16: "BootManifest", 17: "Nwfs", 19: "TrustedKeystore", 20: "Policy",
    21: "CustomerBoardConfig", 22: "UpdateCertStore", 23: "BaseSystemUpdateManifest", 24: "FirmwareUpdateManifest",
    25: "CustomerUpdateManifest", 26: "RecoveryManifest", 27: "ManifestSet", 28: "Other",
}  # fmt: skip
SUCCEEDED = "Succeeded"

Body = dict[str, Any]


def _resource(template: str, parts: Mapping[str, str], kind: str, name: str, properties: Body) -> Body:
    return {
        "id": names.resource_id(template, **parts),
        "name": name,
        "type": f"{names.PROVIDER}/catalogs{kind}",
        "systemData": None,
        "properties": properties,
    }


def _made(at: int) -> Body:
    """When it was made; the names are null, as the audit log and not the resource says by whom."""
    return {
        "createdBy": None,
        "createdByType": "User",
        "createdAt": utc(at),
        "lastModifiedBy": None,
        "lastModifiedByType": "User",
        "lastModifiedAt": utc(at),
    }


def as_put(body: Body) -> Body:
    """The reply to a PUT: the provider's name is in lower case there."""
    return {**body, "type": body["type"].replace(names.PROVIDER, names.PROVIDER.lower())}


def catalog(row: Catalog, parts: Mapping[str, str]) -> Body:
    """A catalog; ``tenantId`` is its id, as in Azure Sphere's legacy interface."""
    body = _resource(
        names.CATALOG,
        {**parts, "catalog": row.name},
        "",
        row.name,
        {"tenantId": str(row.catalog_id), "provisioningState": SUCCEEDED},
    )
    return {**body, "location": "Global", "tags": dict(row.tags), "systemData": _made(row.created_at)}


def product(row: Product, parts: Mapping[str, str]) -> Body:
    """A product."""
    properties = {"description": row.description, "provisioningState": SUCCEEDED}
    body = _resource(names.PRODUCT, {**parts, "product": row.name}, "/products", row.name, properties)
    return {**body, "systemData": _made(row.created_at)}


def device_group(row: DeviceGroup, parts: Mapping[str, str], *, in_list: bool) -> Body:
    """A device group; ``hasDeployment`` is null when one is read and a bool in lists."""
    properties = {
        "description": row.description,
        "osFeedType": row.os_feed,
        "updatePolicy": row.update_policy,
        "allowCrashDumpsCollection": row.allow_crash_dumps,
        "regionalDataBoundary": row.regional_data_boundary,
        "hasDeployment": row.has_deployment if in_list else None,
        "provisioningState": SUCCEEDED,
    }
    filled = {**parts, "product": row.product, "device_group": row.name}
    body = _resource(names.DEVICE_GROUP, filled, "/products/deviceGroups", row.name, properties)
    return body if in_list else {**body, "systemData": _made(row.created_at)}


def device(row: Device, parts: Mapping[str, str], *, available_os: str | None) -> Body:
    """A claimed device. Its id is lower case in ``name`` and ``deviceId``."""
    properties = {
        "deviceId": row.device_id,
        "chipSku": row.chip_sku,
        "lastAvailableOsVersion": available_os or row.os_version or None,
        "lastInstalledOsVersion": row.os_version or None,
        "lastOsUpdateUtc": utc(row.last_update_at),
        "lastUpdateRequestUtc": utc(row.last_check_in_at),
        "provisioningState": SUCCEEDED,
    }
    filled = {
        **parts,
        "product": row.product or names.DEFAULT,
        "device_group": row.group or names.UNASSIGNED,
        "device": row.device_id,
    }
    return _resource(names.DEVICE, filled, "/products/deviceGroups/devices", row.device_id, properties)


def image(row: Image, parts: Mapping[str, str], *, uri: str | None = None) -> Body:
    """An image. ``image`` holds the image's name when read, as in the public service."""
    properties = {
        "image": row.name,
        "imageId": str(row.image_id),
        "imageName": row.name,
        "regionalDataBoundary": row.regional_data_boundary,
        "uri": uri,
        "description": "",
        "componentId": str(row.component_id),
        "imageType": IMAGE_TYPES.get(row.image_type, "Other"),
        "provisioningState": SUCCEEDED,
    }
    if row.version:  # ours, where somebody said one; the public service's images have none
        properties["version"] = row.version
    name = str(row.image_id)
    return _resource(names.IMAGE, {**parts, "image": name}, "/images", name, properties)


def deployment(row: Deployment, parts: Mapping[str, str]) -> Body:
    """A deployment with its images; ``parts`` name the device group."""
    name = str(row.deployment_id)
    properties = {
        "deploymentId": name,
        "deployedImages": [image(item, parts) for item in row.images],
        "deploymentDateUtc": utc(row.in_force_at if row.in_force_at is not None else row.created_at),
        "provisioningState": SUCCEEDED,
    }
    kind = "/products/deviceGroups/deployments"
    return _resource(names.DEPLOYMENT, {**parts, "deployment": name}, kind, name, properties)


def certificate_properties(der: bytes, status: str) -> Body:
    """The properties of a CA certificate, or of a proof of possession."""
    parsed = x509.load_der_x509_certificate(der)
    return {
        "certificate": base64.b64encode(der).decode(),
        "status": status,
        "subject": parsed.subject.rfc4514_string(),
        "thumbprint": thumbprint(der),
        "expiryUtc": utc(int(parsed.not_valid_after_utc.timestamp())),
        "notBeforeUtc": utc(int(parsed.not_valid_before_utc.timestamp())),
        "provisioningState": SUCCEEDED,
    }


def certificate(row: CaCertificate, parts: Mapping[str, str]) -> Body:
    """A CA certificate; its name is the serial number."""
    filled = {**parts, "serial": row.serial}
    return _resource(
        names.CERTIFICATE, filled, "/certificates", row.serial, certificate_properties(row.der, row.status)
    )


def insight(row: ErrorReportRow) -> Body:
    """An error report as a device insight."""
    return {
        "deviceId": row.device_id,
        "description": row.description,
        "startTimestampUtc": utc(row.start),
        "endTimestampUtc": utc(row.end),
        "eventCategory": row.event_category,
        "eventClass": row.event_class,
        "eventType": row.event_type,
        "eventCount": row.count,
    }


def listed(items: list[Body], next_link: str | None) -> Body:
    """A page of a list."""
    return {"value": items, "nextLink": next_link}
