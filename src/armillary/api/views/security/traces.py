# SPDX-License-Identifier: Apache-2.0
"""What is said of the whole life of a device, and of the uses of a key."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import as_document, row_document

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def of_device(service: SecurityService, device_id: str, *, since: int, with_audit: bool) -> Document:
    """The ``events`` of a device, oldest first, its client ``certificates``, ``findings`` and ``audit`` lines."""
    from armillary.service.tracing.device_trace import DeviceTraces  # noqa: PLC0415 - a service at rest does without

    traces = DeviceTraces(service.registry, service.audit, service.watch)
    found = traces.of(device_id, since=since, with_audit=with_audit)
    return {
        "device": row_document(found.device),
        "events": [asdict(each) for each in found.events],
        "certificates": [asdict(each) for each in found.certificates],
        "findings": [as_document(each) for each in found.findings],
        "audit": [as_document(each) for each in found.audit],
        "cut": list(found.cut),
    }


def of_key(service: SecurityService, serial: str) -> Document:
    """A ``certificate``, the ``uses`` of its key, oldest first, how many there are (``counts``), ``audit`` lines.

    ``period``: how long it signs what devices install; ``ends_at``: when it ends or was revoked.
    """
    from armillary.service.tracing.key_trace import KeyTraces  # noqa: PLC0415 - as above

    found = KeyTraces(service.context, service.audit, service.chips).of(serial)
    return {
        "certificate": row_document(found.certificate),
        "period": as_document(found.period),
        "ends_at": found.ends_at,
        "uses": [asdict(each) for each in found.uses],
        "counts": found.counts,
        "audit": [as_document(each) for each in found.audit],
    }


def of_repository_key(service: SecurityService, key_id: str) -> Document:
    """The ``roles`` of a key of the repository, the ``roots`` that name it, what it has ``signed``, ``audit`` lines."""
    from armillary.service.tracing.repository_key_trace import RepositoryKeyTraces  # noqa: PLC0415 - as above

    return row_document(RepositoryKeyTraces(service.repository, service.audit).of(key_id))


def of_product(service: SecurityService, catalog: str, product: str, *, with_audit: bool) -> Document:
    """A ``product`` with its groups, devices, certificates, keys, releases, images, components, advisories."""
    from armillary.service.tracing.product_trace import ProductTraces  # noqa: PLC0415 - as above

    traces = ProductTraces(service.context, service.chips, service.audit, service.advisories)
    found: Document = as_document(traces.of(catalog, product, with_audit=with_audit))
    said = found["product"]
    return {**found, "product": {**said["product"], "support": said["support"], "days_left": said["days_left"]}}
