# SPDX-License-Identifier: Apache-2.0
"""What a device's new owner sees: nothing of the time before the device was theirs.

A device that was transferred, or was out of service and came back, keeps its values, files, messages and reports. They
are its former owner's. So for a token of one catalog each read of a device begins when the device came to that
catalog, to the second; a token of all catalogs (an administrator of the service) sees everything. Data exports hold the
same rule (``twin/author/data_export.py``), and so do groups and rules about telemetry
(``platform/authored/device_facts.py``).

Time is the time that a record bears: of values that of their measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

from armillary.api.http.routes import operator_of, service_of
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.errors import NotFoundError

Document = dict[str, Any]


def tenures(request: Request) -> Mapping[str, int]:
    """Devices of the caller's catalog that had an earlier owner: id -> since when they are its (Unix milliseconds).

    Nothing for a token of all catalogs: it sees everything.
    """
    catalog_id = operator_of(request).catalog_id
    if catalog_id is None:
        return {}
    return {
        device_id: at * 1000 for device_id, at in service_of(request).registry.devices.second_hand(catalog_id).items()
    }


def since_ms(request: Request, identity: str) -> int:
    """From when on the caller sees a device, or a module of one (Unix milliseconds); 0 for all."""
    catalog_id, device_id = operator_of(request).catalog_id, identity.partition("/")[0]
    if catalog_id is None:
        return 0
    return service_of(request).registry.devices.second_hand(catalog_id, device_id).get(device_id, 0) * 1000


def whole_hours_since(since: int) -> int:
    """The first whole hour of a tenure: what is added up by the hour begins there."""
    return -(-since // HOUR_MS) * HOUR_MS


def own_through(device_ids: Iterable[str], since: Mapping[str, int], start_ms: int) -> tuple[str, ...]:
    """Devices that were the caller's during all of a range: sums over many devices are of these."""
    hour = start_ms - start_ms % HOUR_MS
    return tuple(each for each in device_ids if since.get(each, 0) <= hour)


def own_page(page: Document, since_s: float, at: str) -> Document:
    """A page, newest first, without what is older than a tenure; then it is the last one."""
    kept = [each for each in page["items"] if each[at] >= since_s]
    return {**page, "items": kept, "next": page["next"] if len(kept) == len(page["items"]) else None}


def check_own(request: Request, identity: str, at_ms: int, what: str) -> None:
    """Refuse something of a device that is of the time before; as if it did not exist.

    Raises:
        NotFoundError: it is.
    """
    if at_ms < since_ms(request, identity):
        raise NotFoundError(f"the device has no such {what}", remedy="List what it has.")
