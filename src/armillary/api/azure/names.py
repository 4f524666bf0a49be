# SPDX-License-Identifier: Apache-2.0
"""Names, resource ids and paths of the Azure Sphere management API (api-version 2024-04-01).

Source: the public azure-mgmt-sphere 1.0.0 client (paths and name patterns). Resource ids and the fixed words
of a path are case-insensitive, as in Azure Resource Manager; names keep the case they were made with.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

from armillary.errors import InvalidArgumentError

API_VERSION = "2024-04-01"
# Accepted api-versions: the current one and the preview whose shapes it kept.
API_VERSIONS = (API_VERSION, "2022-09-01-preview")
PROVIDER = "Microsoft.AzureSphere"
# Products and device groups with these names are the catalog's own: claimed devices that are in no group.
DEFAULT = ".default"
UNASSIGNED = ".unassigned"
CATALOG_LEVEL = (DEFAULT, UNASSIGNED)

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{resource_group}"
CATALOGS = f"{GROUP}/providers/{PROVIDER}/catalogs"
CATALOG = CATALOGS + "/{catalog}"
PRODUCT = CATALOG + "/products/{product}"
DEVICE_GROUP = PRODUCT + "/deviceGroups/{device_group}"
DEVICE = DEVICE_GROUP + "/devices/{device}"
DEPLOYMENT = DEVICE_GROUP + "/deployments/{deployment}"
IMAGE = CATALOG + "/images/{image}"
CERTIFICATE = CATALOG + "/certificates/{serial}"
OPERATIONS = f"/providers/{PROVIDER}/operations"
OPERATION_STATUS = f"{SUBSCRIPTION}/providers/{PROVIDER}/locations/{{location}}/operationStatuses/{{operation}}"
OPERATION_RESULT = f"{SUBSCRIPTION}/providers/{PROVIDER}/locations/{{location}}/operationResults/{{operation}}"

# Name -> what it must match. Patterns are the public client's; the ends are anchored here.
PATTERNS = {
    "subscription": re.compile(r"[A-Za-z0-9-]{1,64}"),
    "resource_group": re.compile(r"[A-Za-z0-9_.()-]{1,90}"),
    "catalog": re.compile(r"[A-Za-z0-9_-]{1,50}"),
    "product": re.compile(r"\w[\w\s]{1,48}\w|\.default|\.unassigned"),
    "device_group": re.compile(r"[A-Za-z0-9]{1,2}|[A-Za-z0-9][A-Za-z0-9\s]{1,48}[A-Za-z0-9]|\.default|\.unassigned"),
    "device": re.compile(r"[0-9a-fA-F]{128}"),
    "serial": re.compile(r"[0-9A-Fa-f]{1,40}|\.default|(?i:active|default)"),
}
WORDS = {
    "subscription": "a subscription id",
    "resource_group": "a resource group name (1 to 90 letters, digits, _ . ( ) -)",
    "catalog": "a catalog name (1 to 50 letters, digits, _ -)",
    "product": "a product name (3 to 50 letters, digits, spaces, _)",
    "device_group": "a device group name (1 to 50 letters, digits, spaces)",
    "device": "a device id (128 hexadecimal digits)",
    "serial": "a certificate serial number, .default or active",
}


def checked(kind: str, value: str) -> str:
    """``value`` when it is a well-formed name of ``kind``; device ids come back in lower case.

    The active certificate has several names in the public client's examples; it comes back as ``.default``.

    Raises:
        InvalidArgumentError: names the kind, the pattern in words and the value.
    """
    if PATTERNS[kind].fullmatch(value) is None:
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise InvalidArgumentError(f"expected {WORDS[kind]}, got {shown!r}", remedy="Correct the name.")
    if kind == "serial" and value.lower() in ("active", "default"):
        return DEFAULT
    return value.lower() if kind == "device" else value


def checked_uuid(kind: str, value: str) -> uuid.UUID:
    """``value`` as a UUID. Raises InvalidArgumentError if it is none."""
    try:
        return uuid.UUID(value)
    except ValueError as error:
        raise InvalidArgumentError(
            f"{kind}: expected a GUID, got {value[:60]!r}", remedy="Use the id that the service printed."
        ) from error


def resource_id(template: str, **names: str) -> str:
    """A resource id: ``template`` (one of the path constants) filled with ``names``."""
    return template.format(**names)


def catalog_of(resource: str) -> list[str]:
    """The catalog that a resource id names, wherever in it; none or several in one that was not made here."""
    parts = resource.strip("/").split("/")
    return [value for word, value in zip(parts[0::2], parts[1::2], strict=False) if word == "catalogs"]


@dataclass(frozen=True, slots=True)
class DeviceGroupId:
    """The parts of a device group's resource id that say which group it is."""

    catalog: str
    product: str
    device_group: str


def parse_device_group_id(value: str) -> DeviceGroupId:
    """Read a device group's resource id, such as a device's ``deviceGroupId``. Raises InvalidArgumentError."""
    parts = unquote(value).strip("/").split("/")
    fixed = ["subscriptions", "resourcegroups", "providers", "catalogs", "products", "devicegroups"]
    if len(parts) != 2 * len(fixed) or [part.lower() for part in parts[0::2]] != fixed:
        raise InvalidArgumentError(
            f"deviceGroupId: expected the resource id of a device group, got {value[:80]!r}",
            remedy="Send /subscriptions/S/resourceGroups/R/providers/Microsoft.AzureSphere"
            "/catalogs/C/products/P/deviceGroups/G.",
        )
    return DeviceGroupId(checked("catalog", parts[7]), checked("product", parts[9]), checked("device_group", parts[11]))
