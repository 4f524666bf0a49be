# SPDX-License-Identifier: Apache-2.0
"""Device templates in IoT Central's shape: a PUT makes one and publishes it, as there.

An id there is a model identifier (``dtmi:contoso:mythermostat;1``); ours is made of it (``contoso-mythermostat-1``), or
is the name itself. A token of one catalog sees its templates and those of all, and changes its own.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from armillary.api.central.call import Call, body_object, match, paged_list
from armillary.api.central.documents import narrowed
from armillary.api.central.template_id import Resolved, absent, name_for, resolve
from armillary.api.views.template import central_document
from armillary.errors import ArmillaryError, InvalidArgumentError, ModelError, NotFoundError
from armillary.platform.authored.documents import is_visible
from armillary.platform.templates.templates import Ready


def list_device_templates(call: Call) -> dict[str, Any]:
    """Published templates, each in its newest version."""
    templates, owner = call.platform.templates, narrowed(call)
    found: list[tuple[str, dict[str, Any]]] = []
    for name, versions in templates.names().items():
        if versions:
            with contextlib.suppress(ModelError, InvalidArgumentError):  # one that cannot be read stops no other
                ready = templates.get(name, versions[-1])
                if is_visible(ready.document, owner):
                    found.append((name, central_document(ready, name)))
    return paged_list(call, found, lambda each: each[0], lambda each: each[1])


def get_device_template(call: Call) -> dict[str, Any]:
    """A template."""
    name, ready = _visible(call)
    return central_document(ready, name)


def put_device_template(call: Call) -> dict[str, Any]:
    """Make or change a template, and publish it."""
    from armillary.twin.template import json_form as template_json  # noqa: PLC0415 - a megabyte that a hub without templates does not need

    body = body_object(call)
    if not template_json.is_central(body):
        raise InvalidArgumentError("capabilityModel: expected an interface", remedy="Send a device template's JSON.")
    template_id = call.parameters["template_id"]
    try:
        name = resolve(call, template_id).name
    except NotFoundError:
        name = name_for(template_id)
    made = template_json.body_of_central(body)
    if template_id.startswith("dtmi:"):
        made["identifier"] = template_id
    return _published(call, name, made)


def patch_device_template(call: Call) -> dict[str, Any]:
    """Change a template's name, description and cloud properties, and publish it; a merge patch of its JSON."""
    from armillary.twin.document.section import merge  # noqa: PLC0415 - as above
    from armillary.twin.template import json_form as template_json  # noqa: PLC0415 - as above

    name, ready = _visible(call)
    patch = {each: value for each, value in body_object(call).items() if each != "etag"}
    merged = merge(central_document(ready, name), patch)
    if not template_json.is_central(merged):
        raise InvalidArgumentError("capabilityModel: expected an interface", remedy="Correct the patch.")
    made = template_json.body_of_central(merged)
    made["identifier"] = str(ready.document.content.get("identifier") or merged.get("@id") or "")
    return _published(call, name, made)


def delete_device_template(call: Call) -> None:
    """Delete a template; not while a device has it."""
    name, ready = _visible(call)
    call.platform.template_operations.delete_seen(
        call.actor, name, ready.document, narrowed(call), partial(match, "template", call.if_match)
    )


def _visible(call: Call) -> tuple[str, Ready]:
    template_id = call.parameters["template_id"]
    found: Resolved = resolve(call, template_id)
    try:
        ready = call.platform.templates.get(*found)
    except ArmillaryError as error:
        raise absent(template_id) from error
    if not is_visible(ready.document, narrowed(call)):
        raise absent(template_id)
    return found.name, ready


def _published(call: Call, name: str, made: dict[str, Any]) -> dict[str, Any]:
    check = partial(match, "template", call.if_match)
    ready = call.platform.template_operations.put_published(
        call.actor, name, made, narrowed(call), call.if_match, check
    )
    return central_document(ready, name)
