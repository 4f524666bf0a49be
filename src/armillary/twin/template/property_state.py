# SPDX-License-Identifier: Apache-2.0
"""Compares the properties of a device with its template: desired and reported values, and the state of both.

Conventions of IoT Plug and Play: a component's properties are in an object with the marker ``"__t": "c"``; a device
acknowledges a desired value with ``{"value": v, "ac": code, "av": version, "ad": text}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.document.document import Twin
from armillary.twin.template.schema import Mismatch, mismatches
from armillary.twin.template.template import Capability, Template, limit_mismatch, limits_of
from armillary.wire.dtdl.model import Property

MARKER: Final = "__t"
COMPONENT: Final = "c"

# Codes of an acknowledgement (IoT Central) that mean "in progress"; all others below 400 mean "done".
_IN_PROGRESS: Final = frozenset((201, 202, 203))
_FIRST_FAILURE: Final = 400


class PropertyState(StrEnum):
    """How the desired value of a property compares with the reported one."""

    UNSET = "unset"  # neither desired nor reported
    REPORTED = "reported"  # not desired, but reported
    PENDING = "pending"  # desired, and not acknowledged yet or in progress
    ACCEPTED = "accepted"  # desired, and acknowledged as done
    FAILED = "failed"  # desired, and acknowledged as failed


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyView:
    """A property of a device."""

    name: str  # ``[component.]name``
    display_name: str  # for people
    is_writable: bool  # operators may set a desired value
    state: PropertyState  # of both values
    desired: Any = None
    reported: Any = None
    code: int | None = None  # of the acknowledgement
    description: str = ""  # of the acknowledgement
    fault: Mismatch | None = None  # how the reported value differs from its schema


@dataclass(frozen=True, slots=True)
class TwinJudgement:
    """A twin judged by a template."""

    properties: tuple[PropertyView, ...]  # of the template, in its order
    unmodelled: Mapping[str, Any]  # reported names that the template does not have -> values
    unmarked: tuple[str, ...]  # components that are reported without their marker


def judge_twin(template: Template, twin: Twin) -> TwinJudgement:
    """Every property of a template with the twin's values, and reported properties that the template lacks."""
    views = tuple(
        _view(each, each.content, twin) for each in template.capabilities.values() if isinstance(each.content, Property)
    )
    unmodelled: dict[str, Any] = {}
    unmarked: list[str] = []
    for key, value in twin.reported.properties.items():
        if key in template.components:
            if not isinstance(value, Mapping):
                unmodelled[key] = value
                continue
            if value.get(MARKER) != COMPONENT:
                unmarked.append(key)
            unmodelled |= {
                f"{key}.{name}": inner
                for name, inner in value.items()
                if name != MARKER and not _is_property(template, f"{key}.{name}")
            }
        elif not _is_property(template, key):
            unmodelled[key] = value
    return TwinJudgement(views, unmodelled, tuple(unmarked))


def desired_patch(template: Template, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A patch of desired properties from values by ``[component.]name``; null deletes the desired value.

    Raises InvalidArgumentError for no such property, one that is not writable, or a value beyond schema and limits.
    """
    patch: dict[str, Any] = {}
    for name, value in wanted.items():
        found = template.capabilities.get(name)
        if found is None or not isinstance(found.content, Property):
            raise _refused(name, "a property of the template", "none of that name")
        if not found.content.writable:
            raise _refused(name, "a writable property", "one that only the device sets")
        if value is not None:
            wrong = mismatches(found.content.schema, value, name)
            over = wrong[0] if wrong else limit_mismatch(limits_of(found.content), value, name)
            if over is not None:
                raise _refused(over.name, over.expected, over.got)
        if found.component:
            patch.setdefault(found.component, {MARKER: COMPONENT})[found.content.name] = value
        else:
            patch[name] = value
    return patch


def _view(capability: Capability, content: Property, twin: Twin) -> PropertyView:
    desired = _inside(twin.desired.properties, capability)
    answered = _inside(twin.reported.properties, capability)
    acknowledgement = answered if _is_acknowledgement(answered) else None
    reported = answered if acknowledgement is None else acknowledgement["value"]
    code = None if acknowledgement is None else _integer(acknowledgement.get("ac"))
    text = "" if acknowledgement is None else acknowledgement.get("ad")
    wrong = [] if reported is None else mismatches(content.schema, reported, capability.name)
    return PropertyView(
        name=capability.name,
        display_name=capability.display_name,
        is_writable=content.writable,
        state=_state(desired, answered, acknowledgement, _wanted_version(twin, capability)),
        desired=desired,
        reported=reported,
        code=code,
        description=text if isinstance(text, str) else "",
        fault=wrong[0] if wrong else None,
    )


def _state(
    desired: Any, answered: Any, acknowledgement: Mapping[str, Any] | None, wanted_version: int | None
) -> PropertyState:
    if desired is None:
        return PropertyState.UNSET if answered is None else PropertyState.REPORTED
    if acknowledgement is None:  # a device that does not acknowledge has done it when it says the same
        return PropertyState.ACCEPTED if answered == desired else PropertyState.PENDING
    version, code = _integer(acknowledgement.get("av")), _integer(acknowledgement.get("ac"))
    if version is not None and wanted_version is not None and version < wanted_version:
        return PropertyState.PENDING  # it answers an older desired value
    if code is None or code in _IN_PROGRESS:
        return PropertyState.PENDING
    return PropertyState.FAILED if code >= _FIRST_FAILURE else PropertyState.ACCEPTED


def _wanted_version(twin: Twin, capability: Capability) -> int | None:
    """Version of the desired properties that set the value."""
    stamp = _inside(twin.desired.metadata, capability)
    return _integer(stamp.get("$lastUpdatedVersion")) if isinstance(stamp, Mapping) else None


def _inside(document: Mapping[str, Any], capability: Capability) -> Any:
    if not capability.component:
        return document.get(capability.content.name)
    inner = document.get(capability.component)
    return inner.get(capability.content.name) if isinstance(inner, Mapping) else None


def _is_acknowledgement(value: object) -> bool:
    """An object is an answer when it has a value and a code; a model's own object may have a field ``value``."""
    return isinstance(value, Mapping) and "value" in value and "ac" in value


def _is_property(template: Template, name: str) -> bool:
    found = template.capabilities.get(name)
    return found is not None and isinstance(found.content, Property)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refused(name: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"property {name[:64]!a}: expected {expected}, got {got}",
        remedy="armillary template show --template NAME lists the properties.",
    )
