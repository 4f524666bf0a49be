# SPDX-License-Identifier: Apache-2.0
"""Native routes of enrolments: which hub devices may register themselves in a catalog."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.bodies import HubEnrolmentBody, Pem
from armillary.api.native.parameters import CATALOG, CatalogPath, StrictBody
from armillary.api.views import hub_devices as views_hub


class HubEnrolmentChange(StrictBody):
    """Whether devices may register by it."""

    enabled: bool


class ProofBody(StrictBody):
    """A certificate that the group's authority signed over the nonce of the enrolment, PEM."""

    certificate: Pem


def list_hub_enrolments(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """A catalog's enrolments by name, and its id scope."""
    return views_hub.enrolments(service_of(request), catalog)


def make_hub_enrolment(request: Request, catalog: CatalogPath, body: HubEnrolmentBody) -> dict[str, Any]:
    """Let one device, or a group of them, register; symmetric keys are in the answer and nowhere else."""
    enrolments, actor = service_of(request).hub_access.enrolments, operator_of(request).name
    return views_hub.made_enrolment(*enrolments.create(catalog, body.form(), actor=actor))


def verify_hub_enrolment(request: Request, catalog: CatalogPath, enrolment_id: UUID, body: ProofBody) -> dict[str, Any]:
    """Prove possession of a group's authority: a certificate that it signed, its common name the enrolment's nonce."""
    actor = operator_of(request).name
    return views_hub.enrolment(
        service_of(request).hub_access.enrolments.verify(catalog, enrolment_id, body.certificate, actor=actor)
    )


def change_hub_enrolment(
    request: Request, catalog: CatalogPath, enrolment_id: UUID, body: HubEnrolmentChange
) -> dict[str, Any]:
    """Enable or disable an enrolment."""
    actor = operator_of(request).name
    made = service_of(request).hub_access.enrolments.set_enabled(
        catalog, enrolment_id, enabled=body.enabled, actor=actor
    )
    return views_hub.enrolment(made)


def delete_hub_enrolment(request: Request, catalog: CatalogPath, enrolment_id: UUID) -> dict[str, Any]:
    """Delete an enrolment; devices that registered with certificates of its authority are let in no more."""
    return views_hub.enrolment(
        service_of(request).hub_access.enrolments.remove(catalog, enrolment_id, actor=operator_of(request).name)
    )


def list_hub_registrations(request: Request, catalog: CatalogPath, enrolment_id: UUID) -> dict[str, Any]:
    """What registered by an enrolment, newest first."""
    return views_hub.registrations(service_of(request), catalog, enrolment_id)


_row = partial(Route, tag="hub devices")
_ENROLMENTS = CATALOG + "/hub-enrolments"
_ONE = _ENROLMENTS + "/{enrolment_id}"
ROUTES = (
    _row("GET", _ENROLMENTS, list_hub_enrolments, READER),
    _row("POST", _ENROLMENTS, make_hub_enrolment, CONTRIBUTOR),
    _row("PATCH", _ONE, change_hub_enrolment, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_hub_enrolment, CONTRIBUTOR),
    _row("POST", _ONE + "/verify", verify_hub_enrolment, CONTRIBUTOR),
    _row("GET", _ONE + "/registrations", list_hub_registrations, READER),
)
