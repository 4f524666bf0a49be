# SPDX-License-Identifier: Apache-2.0
"""Hides from a device's new owner what was recorded before the device was theirs.

A device that was transferred, or decommissioned and enrolled again, keeps its values, files, messages and reports; they
belong to its former owner. So for a token of one catalog each read begins at the second when the device came to that
catalog; a token of all catalogs sees everything. Data exports (``twin/author/data_export.py``), groups and rules about
telemetry (``platform/authored/device_facts.py``) follow the same rule.

The time that counts is the record's own: of values that of their measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.requests import Request

from armillary.api.http.routes import operator_of, service_of
from armillary.engines.series.values.chunks import HOUR_MS
from armillary.errors import NotFoundError

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def tenures(request: Request) -> Mapping[str, int]:
    """:func:`tenures_of` for the caller of a route."""
    return tenures_of(service_of(request), operator_of(request).catalog_id)


def tenures_of(service: SecurityService, catalog_id: UUID | None) -> Mapping[str, int]:
    """Devices of a catalog that had an earlier owner: id -> when they came to it (Unix milliseconds).

    Empty for who speaks for all catalogs (None): they see everything.
    """
    if catalog_id is None:
        return {}
    return {device_id: at * 1000 for device_id, at in service.registry.devices.second_hand(catalog_id).items()}


def since_ms(request: Request, identity: str) -> int:
    """:func:`since_ms_of` for the caller of a route."""
    return since_ms_of(service_of(request), operator_of(request).catalog_id, identity)


def since_ms_of(service: SecurityService, catalog_id: UUID | None, identity: str) -> int:
    """When the part of a device's or module's records begins that a catalog sees (Unix milliseconds); 0 for all."""
    if catalog_id is None:
        return 0
    device_id = identity.partition("/")[0]
    return service.registry.devices.second_hand(catalog_id, device_id).get(device_id, 0) * 1000


def whole_hours_since(since: int) -> int:
    """The first whole hour of a tenure, where hourly sums begin."""
    return -(-since // HOUR_MS) * HOUR_MS


def begun(since: Mapping[str, int], identity: str) -> int:
    """When the tenure of a device began, and with it that of its modules; 0 for one without an earlier owner."""
    return since.get(identity.partition("/")[0], 0)


def own_through(device_ids: Iterable[str], since: Mapping[str, int], start_ms: int) -> tuple[str, ...]:
    """Devices that were the caller's during all of a range; sums over several devices include only these."""
    hour = start_ms - start_ms % HOUR_MS
    return tuple(each for each in device_ids if begun(since, each) <= hour)


def own_page(page: Document, since_s: float, at: str) -> Document:
    """A page, newest first, without what is older than a tenure; then it is the last one."""
    kept = [each for each in page["items"] if each[at] >= since_s]
    return {**page, "items": kept, "next": page["next"] if len(kept) == len(page["items"]) else None}


def check_own(request: Request, identity: str, at_ms: int, what: str) -> None:
    """Raise NotFoundError for a record of a device from before the caller's tenure."""
    if at_ms < since_ms(request, identity):
        raise NotFoundError(f"the device has no such {what}", remedy="List what it has.")
