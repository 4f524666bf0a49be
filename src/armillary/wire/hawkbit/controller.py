# SPDX-License-Identifier: Apache-2.0
"""Names in the paths of the DDI: tenants and controllers; and the device id of a bridged device.

A bridged device has no identity key, so its id in the records cannot be one. It is a digest of its catalog and its
controller id, of the same length: whoever owns the catalog can compute it, and no device that attests has it, because
a device id of those is a public key of the service's own enrolment.
"""

from __future__ import annotations

import re
from hashlib import sha512
from typing import Final
from uuid import UUID

from armillary.errors import InvalidArgumentError

# hawkBit allows 256 characters; device names here have 128 at most. No slash and no percent sign: swupdate puts the id
# into paths as it is.
CONTROLLER_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._:~@+=-]{0,127}$"
# A tenant of hawkBit, compared without case; a catalog's name always is one.
TENANT_PATTERN: Final = "^[A-Za-z0-9_-]{1,50}$"

_CONTROLLER: Final = re.compile(CONTROLLER_PATTERN)
_TENANT: Final = re.compile(TENANT_PATTERN)
_DOMAIN: Final = b"armillary bridged device 1\0"  # separates this digest from others of the same bytes


def is_controller(text: str) -> bool:
    """Whether a text can be the id of a controller."""
    return _CONTROLLER.fullmatch(text) is not None


def checked_controller(text: str) -> str:
    """A controller id; InvalidArgumentError if it cannot be one."""
    if not is_controller(text):
        raise InvalidArgumentError(
            f"controller id: expected 1 to 128 of letters, digits and . _ : ~ @ + = -, got {text[:60]!a}",
            remedy="Use the id that the device sends: swupdate's -i, target_name of RAUC's updater.",
        )
    return text


def tenant_key(text: str) -> str:
    """A tenant as it is compared; InvalidArgumentError if it cannot be one."""
    if _TENANT.fullmatch(text) is None:
        raise InvalidArgumentError(
            f"tenant: expected 1 to 50 letters, digits, _ and -, got {text[:60]!a}",
            remedy="Use the tenant that the devices send: swupdate's -t, tenant_id of RAUC's updater.",
        )
    return text.lower()


def device_id_of(catalog_id: UUID, controller: str) -> str:
    """The device id (128 hex digits) of a bridged device: SHA-512 of its catalog and its controller id."""
    return sha512(_DOMAIN + catalog_id.bytes + controller.encode("utf-8")).hexdigest()
