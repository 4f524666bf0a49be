# SPDX-License-Identifier: Apache-2.0
"""What the routes of the DDI share: their root, who calls, and the addresses of answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, cast
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from fastapi import Path
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.callers import CLIENT_CERTIFICATE
from armillary.api.http.route import CONTROLLER, OfOrganisation, Reach, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.engines.records.schema.bridge_rows import BridgeAdmission, BridgeDevice
from armillary.engines.records.schema.rows import Token
from armillary.service.bridge.callers import not_admitted

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService
    from armillary.service.bridge.actions import ControllerActions

ROOT: Final = "/{tenant}/controller/v1/{controller}"
FILE: Final = ROOT + "/softwaremodules/{module}/artifacts/{filename}"
_IS_DDI: Final = re.compile(r"/[^/]+/controller/v1(/.*)?")
# Numbers of actions are rows of the records: 18 digits at most, whatever a path says.
ActionPath = Annotated[int, Path(ge=1, lt=10**18)]
row = partial(Route, role=CONTROLLER, reach=Reach.CALLER, organisation=OfOrganisation.NOTHING)


def is_ddi(path: str) -> bool:
    """Whether a path is one of this shape."""
    return _IS_DDI.fullmatch(path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerToken(Token):
    """Stands for the token of a request that a controller has authenticated: of its catalog, without a role."""

    device: BridgeDevice = field(repr=False)
    admission: BridgeAdmission = field(repr=False)


async def by_controller(request: Request, asked: Route, service: SecurityService) -> Token:
    """The controller that sends a request. Raises UnauthenticatedError if it shows nothing that its catalog admits.

    RateLimitedError if it asks too often.
    """
    given = request.headers.getlist("authorization")
    if len(given) > 1:  # two could mean two devices
        raise not_admitted()
    certificate = request.scope.get("state", {}).get(CLIENT_CERTIFICATE)
    tenant, controller = request.path_params.get("tenant", ""), request.path_params.get("controller", "")
    admission, device = await run_in_threadpool(
        service.bridge.callers.authenticate, tenant, controller, given[0] if given else "", certificate
    )
    if asked.path == FILE:
        service.bridge.rates.take_read(device.number)
    else:
        service.bridge.rates.take(device.number, writes=request.method in ("POST", "PUT"))
    return ControllerToken(
        token_id=uuid5(NAMESPACE_URL, f"urn:armillary:controller:{device.device_id}"),
        name=f"controller {controller}",
        role=CONTROLLER,
        created_at=device.created_at,
        created_by="bridge",
        expires_at=None,
        last_used_at=None,
        revoked_at=None,
        catalog_id=device.catalog_id,
        device=device,
        admission=admission,
    )


def caller(request: Request) -> ControllerToken:
    """The controller that was admitted."""
    return cast("ControllerToken", operator_of(request))


def actions(request: Request) -> ControllerActions:
    """Operations on actions."""
    return service_of(request).bridge.actions


def root_of(request: Request) -> str:
    """The address of the controller, as it asked for it: links lead back the way by which it came."""
    tenant, controller = quote(request.path_params["tenant"]), quote(request.path_params["controller"], safe=":~@+=")
    return f"{request.url.scheme}://{request.url.netloc}/{tenant}/controller/v1/{controller}"
