# SPDX-License-Identifier: Apache-2.0
"""Recognises HTTP requests of IoT Hub's service API, and those of devices among them, by the target alone.

Source: the public REST reference of IoT Hub, operation groups "service" and "device" (api-version 2021-04-12). Both
begin with ``/devices``: a device asks below its own name, for files and messages, and a service for all the rest.
"""

from __future__ import annotations

import re
from typing import Final

# What the service API begins with; the console has pages of such names.
PREFIXES: Final = ("/devices", "/twins/", "/statistics/", "/configurations", "/jobs/", "/digitaltwins/", "/messages/")
# Every client names a version, and no page of the console has such a parameter.
_VERSION: Final = re.compile(r"(?:^|&)api-version=")
_OF_A_DEVICE: Final = re.compile(r"/devices/[^/]+/(?:files|messages)(?:/.*)?")


def is_service_path(path: str, query: str) -> bool:
    """Whether path and query are of the service API, where no device asks."""
    return path.startswith(PREFIXES) and _VERSION.search(query) is not None


def is_service_target(target: str) -> bool:
    """Whether a request's target, path and query, is of the service API and not one that devices use."""
    path, _, query = target.partition("?")
    return is_service_path(path, query) and _OF_A_DEVICE.fullmatch(path) is None
