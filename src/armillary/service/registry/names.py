# SPDX-License-Identifier: Apache-2.0
"""Names in the registry: Azure Sphere's rules for them, and look-ups by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import Catalog, DeviceGroup, Product
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.wire.hub.credentials import is_attested_id
from armillary.wire.text.device_name import MIN_ID_DIGITS, id_prefix
from armillary.wire.text.given_text import check_given_name, check_given_text

# Azure Sphere's name rules (management API 2024-04-01).
CATALOG_PATTERN: Final = "^[A-Za-z0-9_-]{1,50}$"  # for descriptions (JSON Schema)
CATALOG_NAME: Final = re.compile(CATALOG_PATTERN)
PRODUCT_NAME: Final = re.compile(r"\w[\w\s]{1,48}\w")
GROUP_NAME: Final = re.compile(r"[A-Za-z0-9]{1,2}|[A-Za-z0-9][A-Za-z0-9\s]{1,48}[A-Za-z0-9]")

MAX_DESCRIPTION_LENGTH: Final = 100
MAX_TAGS: Final = 50  # Azure's limit


def no_such_device(device_id: str) -> NotFoundError:
    """The error for a device that does not exist, or is another catalog's than the caller's."""
    return NotFoundError(
        f"device {device_id[:20]!r}... was never manufactured here",
        remedy="Check the 128 digits, or make it: armillary device create.",
    )


def no_such_identity(identity: str) -> NotFoundError:
    """The error for a hub device or module that does not exist, or is another catalog's."""
    device, _, module = identity.partition("/")
    name = f"module {module!a:.80} of device {device[:12]!a}" if module else f"hub device {device!a:.80}"
    return NotFoundError(f"{name} does not exist", remedy="List them: armillary hub-device list.")


def no_device(text: str) -> NotFoundError:
    """The error for an id that no device has."""
    if id_prefix(text) is not None and len(text) >= MIN_ID_DIGITS:
        return NotFoundError(
            f"no device has the id {text!a:.40}; it looks like the first digits of one",
            remedy="Give all 128 digits, or look for it: GET /api/v1/device-names?text=DIGITS.",
        )
    return NotFoundError(
        f"there is no device {text!a:.80}", remedy="List them: armillary device list, armillary hub-device list."
    )


def absent_device(device_id: str) -> NotFoundError:
    """The error for a device of either kind that does not exist, or is another catalog's than the caller's."""
    return no_such_device(device_id.lower()) if is_attested_id(device_id) else no_device(device_id)


def catalog_or_raise(connection: Connection, name: str) -> Catalog:
    """The catalog of a name; NotFoundError if there is none."""
    found = catalog_rows.catalog_named(connection, name)
    if found is None:
        raise NotFoundError(f"catalog {name!r} does not exist", remedy="List them: armillary catalog list.")
    return found


def product_or_raise(connection: Connection, catalog: str, name: str) -> Product:
    """The product of a name in a catalog; NotFoundError if either does not exist."""
    owner = catalog_or_raise(connection, catalog)
    found = catalog_rows.product_named(connection, owner.catalog_id, name)
    if found is None:
        raise NotFoundError(
            f"product {name!r} does not exist in catalog {owner.name}", remedy="List them: armillary product list."
        )
    return found


def group_or_raise(connection: Connection, catalog: str, product: str, name: str) -> DeviceGroup:
    """The device group of a name in a product; NotFoundError if one of the three does not exist."""
    owner = product_or_raise(connection, catalog, product)
    found = catalog_rows.group_named(connection, owner.product_id, name)
    if found is None:
        raise NotFoundError(
            f"device group {name!r} does not exist in product {owner.name}",
            remedy="List them: armillary device-group list.",
        )
    return found


def check_name(noun: str, name: str, pattern: re.Pattern[str], rule: str) -> None:
    """Raise InvalidArgumentError unless a name follows the rule."""
    check_given_name(name, f"{noun} name")
    if not pattern.fullmatch(name):
        raise InvalidArgumentError(f"{noun} name: expected {rule}, got {name!r:.80}", remedy="Choose such a name.")


def check_description(text: str) -> None:
    """Raise InvalidArgumentError unless a description is short enough and of visible characters."""
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise InvalidArgumentError(
            f"description: expected at most {MAX_DESCRIPTION_LENGTH} characters, got {len(text)}", remedy="Shorten it."
        )
    check_given_text(text, "description")


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags within Azure's limits; InvalidArgumentError for too many or too long ones."""
    if len(tags) > MAX_TAGS or any(len(name) > 512 or len(value) > 256 for name, value in tags.items()):
        raise InvalidArgumentError(
            f"tags: expected at most {MAX_TAGS} with names up to 512 and values up to 256 characters",
            remedy="Use fewer or shorter tags.",
        )
    return dict(tags)


def refuse_hidden(name: str) -> None:
    """Raise ConflictError for a product or group that the catalog itself made: its name starts with a dot."""
    if name.startswith("."):
        raise ConflictError(f"{name!r} belongs to the catalog itself", remedy="It goes when the catalog goes.")
