# SPDX-License-Identifier: Apache-2.0
"""Where files of devices go, in IoT Central's shape: the service keeps them itself, and nothing is to be set."""

from __future__ import annotations

from typing import Any

from armillary.api.central.call import Call, quoted
from armillary.errors import ConflictError
from armillary.hub.devices.files import CONTAINER, LIFETIME_S


def get_storage(_: Call) -> dict[str, Any]:
    """Where files of devices go: the service itself, which has no account."""
    return {
        "account": "",
        "connectionString": "",
        "container": CONTAINER,
        "sasTtl": f"PT{LIFETIME_S // 3600}H",
        "state": "succeeded",
        "etag": quoted("files"),
    }


def no_storage(_: Call) -> dict[str, Any]:
    """409: the service keeps files of devices itself."""
    raise ConflictError(
        "files of devices are kept by the service itself: there is no storage account to set",
        remedy="List and fetch them: armillary device file list.",
    )
