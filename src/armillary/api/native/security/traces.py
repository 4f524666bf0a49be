# SPDX-License-Identifier: Apache-2.0
"""Native routes of traces: a device's life, the uses of a key, what a product is made of, each with its proof."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from starlette.requests import Request

from armillary.api.http.route import READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.http.tenure import since_ms
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import CATALOG, DEVICE, V1, CatalogPath
from armillary.api.native.service.products import ProductPath
from armillary.api.native.service.signing_keys import SerialPath
from armillary.api.views.security import traces as views

RepositoryKeyPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        description="Id of a key of the repository, hex",
        json_schema_extra={"pattern": "^[0-9A-Fa-f]{64}$"},
    ),
]


def trace_device(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A device from the factory run to now: operations, boots, certificates, updates, failures, findings.

    Audit lines come with it for who may read the audit log; an owner sees nothing from before owning the device.
    """
    known = attesting_device(request, device_id)
    operator = operator_of(request)
    may_read_audit = operator.catalog_id is None and operator.organisation is None
    since = -(-since_ms(request, known) // 1000)
    return views.of_device(service_of(request), known, since=since, with_audit=may_read_audit)


def trace_key(request: Request, key_serial: SerialPath) -> dict[str, Any]:
    """A certificate of this service and everywhere its key was used: what it signed, by whom, since and until when."""
    return views.of_key(service_of(request), key_serial)


def trace_repository_key(request: Request, repository_key: RepositoryKeyPath) -> dict[str, Any]:
    """A key of the repository: its roles, the versions of root that name it, and what in force it has signed."""
    return views.of_repository_key(service_of(request), repository_key)


def trace_product(request: Request, catalog: CatalogPath, product: ProductPath) -> dict[str, Any]:
    """A product: keys, certificates in force, releases, images, components, open advisories, groups, devices.

    Audit lines come with it for who may read the audit log.
    """
    operator = operator_of(request)
    may_read_audit = operator.catalog_id is None and operator.organisation is None
    return views.of_product(service_of(request), catalog, product, with_audit=may_read_audit)


_row = partial(Route, tag="traces")
ROUTES = (
    _row("GET", DEVICE + "/trace", trace_device, READER),
    _row("GET", V1 + "/certificates/{key_serial}/trace", trace_key, READER),
    _row("GET", V1 + "/repository/keys/{repository_key}/trace", trace_repository_key, READER),
    _row("GET", CATALOG + "/products/{product}/trace", trace_product, READER),
)
