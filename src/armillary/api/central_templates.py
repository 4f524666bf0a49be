# SPDX-License-Identifier: Apache-2.0
"""Device templates in the shape of IoT Central's public REST API, api-version 2022-07-31, below `/api/deviceTemplates`.

An id there is a model identifier (``dtmi:contoso:mythermostat;1``); ours is made of it (``contoso-mythermostat-1``), or
is the name itself. PUT makes a template and publishes it, as there. Bodies, etags and lists have the shape of that API;
errors are problem details, as everywhere here.
"""

from __future__ import annotations

import contextlib
import re
from typing import Annotated, Any

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.authored import DocumentBody, IfMatch
from armillary.api.routes import add_route, hub_of, operator_of, service_of
from armillary.engines.application.document import changed_since
from armillary.errors import InvalidArgumentError, ModelError, NotFoundError
from armillary.hub.templates import Ready
from armillary.twin.template_name import MAX_NAME_CHARACTERS, check_name

KIND = "template"
PATH = "/api/deviceTemplates"
VERSION = "2022-07-31"

IdPath = Annotated[str, Path(min_length=1, max_length=2048, description="Model identifier, or name")]


def list_device_templates(request: Request) -> dict[str, Any]:
    """Device templates: those that are published, in their newest version."""
    _check_version(request)
    templates = hub_of(request).templates
    found = []
    for name, versions in templates.names().items():
        if versions:
            with contextlib.suppress(ModelError, InvalidArgumentError):  # one that cannot be read stops no other
                found.append(central_document(templates.get(name, versions[-1]), name))
    return {"value": found}


def get_device_template(request: Request, template_id: IdPath) -> dict[str, Any]:
    """A device template in its newest published version."""
    _check_version(request)
    name = name_of(template_id)
    return central_document(_newest(request, name), name)


def put_device_template(
    request: Request, template_id: IdPath, body: DocumentBody, if_match: IfMatch = None
) -> dict[str, Any]:
    """Make or change a device template, and publish it."""
    from armillary.twin import template_json  # noqa: PLC0415 - a megabyte that a hub without templates does not need

    _check_version(request)
    if not template_json.is_central(body):
        raise InvalidArgumentError("capabilityModel: expected an interface", remedy="Send a device template's JSON.")
    name, hub, actor = name_of(template_id), hub_of(request), operator_of(request).name
    made = template_json.body_of_central(body)
    if template_id.startswith("dtmi:"):
        made["identifier"] = template_id
    present = hub.application.find(KIND, name)
    if present is not None:
        made, _ = template_json.with_kept(made, {**present.content, "cloud_properties": []})
    if if_match is not None and if_match.strip('"') != "*":
        newest = _newest(request, name)
        if newest.document.etag != if_match.strip('"'):
            raise changed_since(KIND, name, if_match, newest.document.etag)
    draft = hub.templates.put(name, made, by=actor)
    versions = hub.templates.versions(name)
    if not versions or {**versions[0].content, "version": 0} != {**draft.content, "version": 0}:
        hub.templates.publish(name, by=actor)
    service_of(request).audit.append(actor, "template.publish", name, {})
    return central_document(_newest(request, name), name)


def delete_device_template(request: Request, template_id: IdPath) -> Response:
    """Delete a device template; not while a device has it."""
    _check_version(request)
    name, actor = name_of(template_id), operator_of(request).name
    hub_of(request).templates.delete(name, by=actor)
    service_of(request).audit.append(actor, "template.delete", name, {})
    return Response(status_code=204)


def central_document(ready: Ready, name: str) -> dict[str, Any]:
    """A template in IoT Central's form."""
    from armillary.twin.template_central import central_of_body  # noqa: PLC0415 - as above

    word = re.sub(r"[^a-z0-9]+", "_", name).strip("_")
    identifier = f"dtmi:armillary:template_{word};{max(1, ready.template.version)}"
    return central_of_body(ready.document.content, etag=ready.document.etag, identifier=identifier)


def name_of(template_id: str) -> str:
    """Our name of a template: made of an identifier, or the name itself."""
    if not template_id.startswith("dtmi:"):
        return check_name(template_id)
    found = re.sub(r"[^a-z0-9_]+", "-", template_id.removeprefix("dtmi:").lower()).strip("-_")
    return check_name(found[:MAX_NAME_CHARACTERS])


def _newest(request: Request, name: str) -> Ready:
    templates = hub_of(request).templates
    versions = templates.names().get(name, [])
    if not versions:
        raise NotFoundError(f"there is no published template {name!a}", remedy="List them: armillary template list.")
    return templates.get(name, versions[-1])


def _check_version(request: Request) -> None:
    given = request.query_params.get("api-version")
    if given not in (None, VERSION, "1.0"):
        raise InvalidArgumentError(
            f"api-version: expected {VERSION}, got {given[:40]!a}", remedy="Send ?api-version=2022-07-31."
        )


def mount(app: FastAPI) -> None:
    """Mount the routes."""
    options: dict[str, Any] = {"tags": ["device templates"]}
    one = PATH + "/{template_id}"
    add_route(app, "GET", PATH, list_device_templates, **options)
    add_route(app, "GET", one, get_device_template, **options)
    add_route(app, "PUT", one, put_device_template, **options)
    add_route(app, "DELETE", one, delete_device_template, status_code=204, **options)
