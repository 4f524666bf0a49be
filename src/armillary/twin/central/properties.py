# SPDX-License-Identifier: Apache-2.0
"""Converts properties and telemetry of a device to and from IoT Central's form (REST API 2022-07-31).

::

    {"fanSpeed": 12.5, "Customer": "Contoso", "settings": {"voltage": 5, "$metadata": {...}},
     "$metadata": {"fanSpeed": {"desiredValue": 30, "desiredVersion": 2, "ackVersion": 1, "ackCode": 200,
                                "ackDescription": "..", "lastUpdateTime": ".."}}}

A property's value is the reported one; the desired one is in ``$metadata``, with the acknowledgement. A component is an
object with a ``$metadata`` of its own. Cloud properties are beside the properties of the root and have no metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.template.property_state import COMPONENT, MARKER

if TYPE_CHECKING:
    from armillary.twin.document.document import Section, Twin
    from armillary.twin.template.template import Template

METADATA: Final = "$metadata"


def properties_of(twin: Twin, components: Iterable[str], cloud: Mapping[str, Any]) -> dict[str, Any]:
    """All properties of a device, its cloud properties included.

    Components are those of its template and objects with the marker ``__t``.
    """
    names = {*components, *components_of(twin)}
    shown, metadata = _section(twin.desired, twin.reported, names)
    for name in sorted(names):
        inner = component_properties(twin, name)
        if inner:
            shown[name] = inner
    shown |= cloud
    return {**shown, METADATA: metadata} if metadata else shown


def component_properties(twin: Twin, component: str) -> dict[str, Any]:
    """All properties of one component."""
    shown, metadata = _section(_inner(twin.desired, component), _inner(twin.reported, component), ())
    return {**shown, METADATA: metadata} if metadata else shown


def components_of(twin: Twin) -> list[str]:
    """Components that a twin itself marks as such."""
    sides = (twin.desired.properties, twin.reported.properties)
    marked = (name for side in sides for name, value in side.items() if _is_component(value))
    return sorted(set(marked))


def telemetry_of(name: str, lasts: Sequence[tuple[str, Any, int]]) -> tuple[Any, int] | None:
    """The last value of a telemetry ``[component.]name``, and when it was measured (Unix milliseconds); None for none.

    ``lasts`` has (metric, value, time) of a device; the fields of an object are metrics of their own.
    """
    found: dict[str, Any] = {}
    newest = 0
    for metric, value, at_ms in lasts:
        if metric == name:
            return value, at_ms
        if metric.startswith(name + "."):
            newest, place = max(newest, at_ms), found
            *path, last = metric[len(name) + 1 :].split(".")
            for part in path:
                place = place.setdefault(part, {})
                if not isinstance(place, dict):  # a value and an object of one name, at different times
                    break
            else:
                place[last] = value
    return (found, newest) if found else None


def split_body(template: Template, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cloud properties, and desired values by ``[component.]name``, of a body in this form; metadata is ignored.

    Raises InvalidArgumentError for a component that is no object.
    """
    cloud: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    for name, value in body.items():
        if name == METADATA:
            continue
        if name in template.cloud:
            cloud[name] = value
        elif name in template.components:
            wanted |= component_body(name, value)
        else:
            wanted[name] = value
    return cloud, wanted


def component_body(component: str, body: object) -> dict[str, Any]:
    """Desired values by ``component.name`` of a component's body; raises InvalidArgumentError if that is no object."""
    if not isinstance(body, Mapping):
        raise InvalidArgumentError(
            f"{component[:64]!a}: expected an object, as it is a component", remedy="Name its properties inside."
        )
    return {f"{component}.{name}": value for name, value in body.items() if name not in (METADATA, MARKER)}


def replacing(template: Template, twin: Twin, wanted: Mapping[str, Any], component: str = "") -> dict[str, Any]:
    """``wanted``, desired values by ``[component.]name``, and null for every present one that it does not name.

    With ``component`` only its present values are replaced.
    """
    dropped: dict[str, Any] = {}
    for capability in template.capabilities.values():
        if capability.kind != "property" or (component and capability.component != component):
            continue
        inside: Any = twin.desired.properties
        if capability.component:
            inside = inside.get(capability.component)
        name = capability.content.name
        if isinstance(inside, Mapping) and inside.get(name) is not None and capability.name not in wanted:
            dropped[capability.name] = None
    return {**dropped, **wanted}


def _section(
    desired: Section | _Inner, reported: Section | _Inner, components: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    shown: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    apart = {*components, MARKER}
    for name in (*reported.properties, *(each for each in desired.properties if each not in reported.properties)):
        if name in apart:
            continue
        stands: dict[str, Any] = {}
        if name in desired.properties:
            stands["desiredValue"] = desired.properties[name]
            stands |= _member(desired.metadata, name, "$lastUpdatedVersion", "desiredVersion")
        if name in reported.properties:
            value = reported.properties[name]
            if isinstance(value, Mapping) and "value" in value and "ac" in value:
                words = {"ackVersion": "av", "ackCode": "ac", "ackDescription": "ad"}
                stands |= {word: value[key] for word, key in words.items() if value.get(key) is not None}
                value = value["value"]
            shown[name] = value
            stands |= _member(reported.metadata, name, "$lastUpdated", "lastUpdateTime")
        metadata[name] = stands
    return shown, metadata


class _Inner:
    """The part of a twin's section that is one component's."""

    def __init__(self, properties: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        self.properties = properties
        self.metadata = metadata


def _inner(section: Section, component: str) -> _Inner:
    found = section.properties.get(component)
    stamps = section.metadata.get(component)
    return _Inner(found if isinstance(found, Mapping) else {}, stamps if isinstance(stamps, Mapping) else {})


def _is_component(value: object) -> bool:
    return isinstance(value, Mapping) and value.get(MARKER) == COMPONENT


def _member(metadata: Mapping[str, Any], name: str, member: str, word: str) -> dict[str, Any]:
    stamp = metadata.get(name)
    found = stamp.get(member) if isinstance(stamp, Mapping) else None
    return {} if found is None else {word: found}
