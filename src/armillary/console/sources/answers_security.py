# SPDX-License-Identifier: Apache-2.0
"""Answers about what is known of devices' security, and what it rests on."""

from __future__ import annotations

from armillary.api.views import assessment as views
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document


def assess_fleet(by: RequestContext, catalog: str | None) -> Document:
    """How many devices show each of the seven properties, of a catalog or of all that the operator speaks for."""
    return views.of_fleet(by.service, catalog=by.catalog or catalog)


def assess_device(by: RequestContext, device_id: str) -> Document:
    """Which of the seven properties a device shows."""
    return views.of_device(by.service, device_id)
