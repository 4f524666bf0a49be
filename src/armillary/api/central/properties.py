# SPDX-License-Identifier: Apache-2.0
"""Properties, components, modules and last telemetry of devices in IoT Central's shape.

What may be written is what the device's template says: writable properties and cloud properties. A device without a
template, and a module, take any desired properties, as their twins do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armillary.api.central.call import Call, body_object
from armillary.api.central.devices import find, find_identity
from armillary.api.http.tenure import since_ms
from armillary.api.iot_hub import call as iot_hub_call
from armillary.errors import NotFoundError
from armillary.twin.document.document import timestamp
from armillary.twin.document.replacement import replacement_patch
from armillary.twin.document.section import check_patch

if TYPE_CHECKING:
    from armillary.platform.templates.device_templates import DeviceTemplate


def get_properties(call: Call) -> dict[str, Any]:
    """All properties of a device or module, cloud properties beside them."""
    from armillary.twin.central.properties import properties_of  # noqa: PLC0415 - a megabyte that is rarely needed

    identity, kept = _about(call)
    components = () if kept.ready is None else kept.ready.template.components
    return properties_of(call.hub.twins.get(identity), components, kept.cloud)


def update_properties(call: Call) -> dict[str, Any]:
    """Want values of properties, and set cloud properties; null takes one away."""
    return _write(call, replaces=False)


def replace_properties(call: Call) -> dict[str, Any]:
    """The same; what the body does not name is wanted no more, cloud properties included."""
    return _write(call, replaces=True)


def get_component(call: Call) -> dict[str, Any]:
    """All properties of a component."""
    from armillary.twin.central.properties import component_properties  # noqa: PLC0415 - as above

    identity, kept = _about(call)
    component = _component(call, identity, kept)
    return component_properties(call.hub.twins.get(identity), component)


def update_component(call: Call) -> dict[str, Any]:
    """Want values of a component's properties; null takes one away."""
    return _write_component(call, replaces=False)


def replace_component(call: Call) -> dict[str, Any]:
    """The same; what the body does not name is wanted no more."""
    return _write_component(call, replaces=True)


def list_components(call: Call) -> dict[str, Any]:
    """Components of a device's template, or those that its twin marks."""
    identity, kept = _about(call)
    return {"value": [_shown(name, model) for name, model in sorted(_components(call, identity, kept).items())]}


def list_modules(call: Call) -> dict[str, Any]:
    """Modules of a device."""
    device = iot_hub_call.identity_of(find(call))
    found = call.service.hub_access.identities.modules(device)
    return {"value": [{"@type": ["Module"], "name": each.identity.partition("/")[2]} for each in found]}


def telemetry(call: Call) -> dict[str, Any]:
    """The last value of a telemetry; empty where there is none yet."""
    from armillary.twin.central.properties import telemetry_of  # noqa: PLC0415 - as above

    identity, kept = _about(call)
    component = call.parameters.get("component")
    name = call.parameters["telemetry"] if component is None else f"{component}.{call.parameters['telemetry']}"
    try:
        since, kept_values = since_ms(call.request, identity), call.hub.series.last_values(identity)
        lasts = [(each.metric, each.value, each.at_ms) for each in kept_values if each.at_ms >= since]
    except NotFoundError:  # it was never connected
        lasts = []
    found = telemetry_of(name, lasts)
    if found is not None:
        return {"value": found[0], "timestamp": timestamp(found[1])}
    capability = None if kept.ready is None else kept.ready.template.capabilities.get(name)
    if kept.ready is not None and (capability is None or capability.kind != "telemetry"):
        raise NotFoundError(
            f"the device's template has no telemetry {name!a:.100}",
            remedy="GET /api/deviceTemplates shows what it has.",
        )
    return {}


def _about(call: Call) -> tuple[str, DeviceTemplate]:
    """The identity that a path names, with its template and cloud properties (a module has none)."""
    identity = find_identity(call)
    return identity, call.platform.device_templates.get(identity)


def _write(call: Call, *, replaces: bool) -> dict[str, Any]:
    from armillary.twin.central import properties as form  # noqa: PLC0415 - as above

    identity, kept = _about(call)
    body = body_object(call)
    if kept.ready is None:
        _write_raw(call, identity, {name: value for name, value in body.items() if name != form.METADATA}, replaces)
        return get_properties(call)
    template = kept.ready.template
    cloud, wanted = form.split_body(template, body)
    if replaces:
        wanted = form.replacing(template, call.hub.twins.get(identity), wanted)
        cloud = {**dict.fromkeys(kept.cloud), **cloud}
    call.platform.device_template_operations.want_both(call.actor, identity, kept, cloud, wanted)
    return get_properties(call)


def _write_component(call: Call, *, replaces: bool) -> dict[str, Any]:
    from armillary.twin.central import properties as form  # noqa: PLC0415 - as above
    from armillary.twin.template.property_state import COMPONENT, MARKER  # noqa: PLC0415 - as above

    identity, kept = _about(call)
    component = _component(call, identity, kept)
    wanted = form.component_body(component, body_object(call))
    if kept.ready is None:
        inner = {name.partition(".")[2]: value for name, value in wanted.items()}
        if replaces:
            present = call.hub.twins.get(identity).desired.properties.get(component)
            inner = dict(replacement_patch(present if isinstance(present, Mapping) else {}, inner))
        _write_raw(call, identity, {component: {**inner, MARKER: COMPONENT}}, replaces=False)
        return get_component(call)
    if replaces:
        wanted = form.replacing(kept.ready.template, call.hub.twins.get(identity), wanted, component)
    call.platform.device_template_operations.want_both(call.actor, identity, kept, {}, wanted)
    return get_component(call)


def _write_raw(call: Call, identity: str, body: Mapping[str, Any], replaces: bool) -> None:  # noqa: FBT001 - only here
    patch: Mapping[str, Any] = check_patch(body, "desired")
    if replaces:
        patch = replacement_patch(call.hub.twins.get(identity).desired.properties, patch)
    if patch:
        detail = {"section": "desired", "names": sorted(patch)}
        call.hub.operations.change_twin(call.actor, identity, desired=patch, detail=detail)


def _component(call: Call, identity: str, kept: DeviceTemplate) -> str:
    name = call.parameters["component"]
    if name not in _components(call, identity, kept):
        if kept.ready is None and call.request.method != "GET":  # nobody says what it has
            return name
        raise NotFoundError(f"the device has no component {name!a:.80}", remedy="List them: GET .../components.")
    return name


def _components(call: Call, identity: str, kept: DeviceTemplate) -> dict[str, str | None]:
    from armillary.twin.central.properties import components_of  # noqa: PLC0415 - as above

    marked: dict[str, str | None] = dict.fromkeys(components_of(call.hub.twins.get(identity)))
    return marked if kept.ready is None else {**kept.ready.template.components}


def _shown(name: str, model: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"@type": ["Component"], "name": name}
    return shown if model is None else {"@id": model, **shown}
