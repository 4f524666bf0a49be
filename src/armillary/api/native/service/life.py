# SPDX-License-Identifier: Apache-2.0
"""Native routes of a device's life: its manufacturing state, out of service, and in again."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import row_document
from armillary.api.http.route import CONTRIBUTOR, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import DEVICE, StrictBody
from armillary.api.native.service.requests import ReasonBody
from armillary.service.registry.device_lifecycle import DEFAULT_RETURN_S, MAX_RETURN_S

Document = dict[str, Any]


class ReprovisionBody(StrictBody):
    """A permission to come back.

    Attributes:
        lifetime_s: Seconds until it ends.
    """

    lifetime_s: Annotated[int, Field(ge=1, le=MAX_RETURN_S)] = DEFAULT_RETURN_S


class ManufacturingStateBody(StrictBody):
    """A manufacturing state to move forward to."""

    state: Literal["Module1Complete", "DeviceComplete"]


def decommission_device(request: Request, device_id: DevicePath, body: ReasonBody) -> Document:
    """Take a device out of service: revoked, disconnected, nobody's; its history stays."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.decommission(
        known, reason=body.reason, actor=operator_of(request).name
    )
    return row_document(row)


def allow_reprovision(request: Request, device_id: DevicePath, body: ReprovisionBody) -> Document:
    """Let a decommissioned device enrol again with its old key, until a time."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.allow_reprovision(
        known, actor=operator_of(request).name, lifetime_s=body.lifetime_s
    )
    return row_document(row)


def advance_manufacturing_state(request: Request, device_id: DevicePath, body: ManufacturingStateBody) -> Document:
    """Move a device's manufacturing state forward; it never moves back."""
    known = attesting_device(request, device_id)
    row = service_of(request).registry.lifecycle.advance_manufacturing_state(
        known, body.state, actor=operator_of(request).name
    )
    return row_document(row)


_row = partial(Route, tag="devices")
ROUTES = (
    _row("POST", DEVICE + "/decommission", decommission_device, CONTRIBUTOR),
    _row("POST", DEVICE + "/allow-reprovision", allow_reprovision, CONTRIBUTOR),
    _row("POST", DEVICE + "/manufacturing-state", advance_manufacturing_state, CONTRIBUTOR),
)
