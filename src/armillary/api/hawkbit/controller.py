# SPDX-License-Identifier: Apache-2.0
"""Routes of a controller: what it is to do, its deployment, its feedback, cancellations, its attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.hawkbit.call import ROOT, ActionPath, actions, caller, root_of, row
from armillary.engines.records.schema.bridge_rows import BridgeArtifact
from armillary.errors import NotFoundError
from armillary.wire.hawkbit import config_data, documents, feedback

Document = dict[str, Any]
JsonBody = Annotated[Document, Body()]


def chunk_of(found: BridgeArtifact) -> documents.Chunk:
    """An artifact as a chunk of a deployment."""
    return documents.Chunk(
        image_id=found.image_id,
        part=found.part,
        name=found.name,
        version=found.version,
        filename=found.filename,
        size=found.size,
        sha256=found.sha256,
        sha1=found.sha1,
        md5=found.md5,
    )


def poll(request: Request) -> Document:
    """What the controller is to do now, and when to ask again."""
    known = caller(request)
    links = actions(request).poll(known.device)
    return documents.controller_base(root_of(request), known.admission.polling_s, links)


def show_deployment(request: Request, action: ActionPath) -> Document:
    """The artifacts of an open action."""
    return _deployment(request, action, actions(request).deployment(caller(request).device, action))


def show_installed(request: Request, action: ActionPath) -> Document:
    """The artifacts of an action that ended well."""
    return _deployment(request, action, actions(request).installed(caller(request).device, action))


def tell_deployment(request: Request, action: ActionPath, body: JsonBody) -> Response:
    """Feedback about an update."""
    actions(request).feedback(caller(request).device, action, feedback.parse_feedback(body))
    return Response()


def show_cancellation(request: Request, action: ActionPath) -> Document:
    """An action that is to be canceled."""
    actions(request).cancellation(caller(request).device, action)
    return documents.cancel_action(action)


def tell_cancellation(request: Request, action: ActionPath, body: JsonBody) -> Response:
    """Feedback about a cancellation."""
    actions(request).cancel_feedback(caller(request).device, action, feedback.parse_feedback(body))
    return Response()


def put_config_data(request: Request, body: JsonBody) -> Response:
    """What the controller tells about itself."""
    actions(request).configure(caller(request).device, config_data.parse_config_data(body))
    return Response()


def show_confirmation(request: Request) -> Document:  # noqa: ARG001 - every endpoint has the request
    """Consent of a user before an update: never asked for here, so confirmation is automatic."""
    return {"autoConfirm": {"active": True, "initiator": "armillary"}, "_links": {}}


def show_module(request: Request, module: UUID) -> list[Document]:
    """The artifacts of a software module of an action: one."""
    found = actions(request).modules(caller(request).device, module)
    if not found:
        raise NotFoundError("this software module is not offered to this device", remedy="Poll again.")
    return [documents.artifact(root_of(request), chunk_of(found[0]))]


def _deployment(request: Request, action: int, found: Sequence[BridgeArtifact]) -> Document:
    return documents.deployment_base(root_of(request), action, [chunk_of(each) for each in found])


ROUTES = (
    row("GET", ROOT, poll),
    row("GET", ROOT + "/deploymentBase/{action}", show_deployment),
    row(
        "POST",
        ROOT + "/deploymentBase/{action}/feedback",
        tell_deployment,
        body_limit=feedback.MAX_BODY_BYTES,
        answer=Response,
    ),
    row("GET", ROOT + "/installedBase/{action}", show_installed),
    row("GET", ROOT + "/cancelAction/{action}", show_cancellation),
    row(
        "POST",
        ROOT + "/cancelAction/{action}/feedback",
        tell_cancellation,
        body_limit=feedback.MAX_BODY_BYTES,
        answer=Response,
    ),
    row("PUT", ROOT + "/configData", put_config_data, body_limit=config_data.MAX_BODY_BYTES, answer=Response),
    row("GET", ROOT + "/confirmationBase", show_confirmation),
    row("GET", ROOT + "/softwaremodules/{module}/artifacts", show_module),
)
