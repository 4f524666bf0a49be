# SPDX-License-Identifier: Apache-2.0
"""Native routes of application templates: what is shipped, use one, take it away, its pictures.

What does the work lies above the API (it plays devices), so it is handed in: see :class:`Applications`.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Annotated, Any, Protocol, cast

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of
from armillary.api.native.parameters import V1, StrictBody
from armillary.content import application_templates as shipped
from armillary.errors import NotFoundError, RateLimitedError
from armillary.wire.picture.policy import PICTURE_POLICY

NamePath = Annotated[str, Path(min_length=1, max_length=64, description="Name of an application template")]
FilePath = Annotated[str, Path(min_length=1, max_length=64)]
# A picture of a template changes with the release only; its address carries no version, so it is asked for again.
_PICTURE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": PICTURE_POLICY,
    "X-Content-Type-Options": "nosniff",
}


class Applications(Protocol):
    """Application templates in use: ``sim/templates/applications.py``. May be called from any thread."""

    def catalog(self) -> list[dict[str, Any]]:
        """Every template that is shipped."""

    def describe(self, name: str) -> dict[str, Any]:
        """One, and what there is of it here."""

    def use(self, name: str, *, actor: str, catalog: str | None, devices: int | None) -> dict[str, Any]:
        """Make an application of one."""

    def unuse(self, name: str, *, actor: str) -> dict[str, Any]:
        """Take it away."""


class UseBody(StrictBody):
    """How to use an application template.

    Attributes:
        catalog: Who owns the simulated devices; `Simulated` by default, made when there is none.
        devices: How many simulated devices over all kinds; as the template says by default.
    """

    catalog: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    devices: Annotated[int, Field(ge=1, le=1000)] | None = None


def list_application_templates(request: Request) -> dict[str, Any]:
    """The application templates that are shipped, each with a line and whether it is in use here."""
    return {"items": _applications(request).catalog()}


def show_application_template(request: Request, name: NamePath) -> dict[str, Any]:
    """One application template and what there is of it here: its devices, its documents, what befalls it now."""
    return _applications(request).describe(name)


def use_application_template(request: Request, name: NamePath, body: UseBody) -> dict[str, Any]:
    """Make a running application of a template: simulated devices, dashboards, rules, jobs, groups.

    Called again it completes what is missing and changes nothing that its author has changed.
    """
    actor = operator_of(request).name
    return _applications(request).use(name, actor=actor, catalog=body.catalog, devices=body.devices)


def unuse_application_template(request: Request, name: NamePath) -> dict[str, Any]:
    """Take away what using a template made: documents are deleted, its simulated devices go out of service."""
    return _applications(request).unuse(name, actor=operator_of(request).name)


def application_template_image(name: NamePath, file: FilePath) -> Response:
    """A picture that a template's dashboards show."""
    images = shipped.load(name).images
    if file not in images:
        raise NotFoundError(f"{name} has no picture {file[:64]!a}", remedy=f"It has: {', '.join(images)}.")
    digest = hashlib.sha256(images[file]).hexdigest()[:32]
    return Response(images[file], media_type="image/svg+xml", headers={**_PICTURE_HEADERS, "ETag": f'"{digest}"'})


def _applications(request: Request) -> Applications:
    found = request.app.state.applications
    if found is None:
        raise RateLimitedError("simulated devices are not being played here yet", retry_after_s=2)
    return cast("Applications", found)


_row = partial(Route, tag="application templates")
_ONE = V1 + "/application-templates/{name}"
ROUTES = (
    _row("GET", V1 + "/application-templates", list_application_templates, READER),
    _row("GET", _ONE, show_application_template, READER),
    _row("POST", _ONE + "/use", use_application_template, CONTRIBUTOR),
    _row("POST", _ONE + "/unuse", unuse_application_template, CONTRIBUTOR),
    _row("GET", _ONE + "/images/{file}", application_template_image, READER),
)
