# SPDX-License-Identifier: Apache-2.0
"""Differences of two templates, and the migration of a device from one to the other.

A migration deletes nothing but cloud properties that the new template lacks or whose values it refuses: telemetry,
reported properties and messages stay, and those that the new template lacks are unmodelled from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from armillary.twin.document.document import Twin
from armillary.twin.template.payload import PayloadTable
from armillary.twin.template.property_state import judge_twin
from armillary.twin.template.schema import Mismatch, shape
from armillary.twin.template.template import Capability, Template, cloud_mismatch, initial_cloud
from armillary.wire.dtdl.model import Command, Content, Property, Telemetry


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of capabilities and cloud properties that differ between two templates."""

    added: tuple[str, ...]  # only in the new one
    removed: tuple[str, ...]  # only in the old one
    # In both, with another kind, schema, unit or right to write: name -> difference in words.
    changed: Mapping[str, str]

    @property
    def is_compatible(self) -> bool:
        """Whether everything of the old template is in the new one with the same meaning."""
        return not self.removed and not self.changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The result of a migration of one device."""

    cloud: Mapping[str, Any]  # cloud properties afterwards
    lost_cloud: Mapping[str, str]  # dropped cloud properties: name -> why
    unmodelled_telemetry: tuple[str, ...] = ()  # names that the new template does not have
    unmodelled_properties: tuple[str, ...] = ()  # reported, and not in the new template
    broken_properties: tuple[Mismatch, ...] = ()  # reported, and not as the new template says

    @property
    def loses_nothing(self) -> bool:
        """Whether the new template has everything that the device has."""
        return not (
            self.lost_cloud or self.unmodelled_telemetry or self.unmodelled_properties or self.broken_properties
        )


def differences(old: Template, new: Template) -> Difference:
    """The differences between two templates."""
    before: dict[str, Any] = {**old.capabilities, **old.cloud}
    after: dict[str, Any] = {**new.capabilities, **new.cloud}
    changed = {
        name: how for name in before if name in after and (how := _difference_of(before[name], after[name])) is not None
    }
    return Difference(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=changed,
    )


def migrate(new: Template, *, twin: Twin, cloud: Mapping[str, Any], metrics: Iterable[str]) -> Migration:
    """The migration of a device with these cloud properties and names of telemetry to a template."""
    kept: dict[str, Any] = initial_cloud(new)
    lost: dict[str, str] = {}
    for name, value in cloud.items():
        found = new.cloud.get(name)
        if found is None:
            lost[name] = "the template has no such cloud property"
            continue
        wrong = cloud_mismatch(found, value)
        if wrong is None:
            kept[name] = value
        else:
            lost[name] = f"expected {wrong.expected}, got {wrong.got}"
    table = PayloadTable(new)
    judged = judge_twin(new, twin)
    return Migration(
        cloud=kept,
        lost_cloud=lost,
        unmodelled_telemetry=tuple(name for name in metrics if table.leaf(name) is None),
        unmodelled_properties=tuple(judged.unmodelled),
        broken_properties=tuple(view.fault for view in judged.properties if view.fault is not None),
    )


def _difference_of(before: Any, after: Any) -> str | None:
    """How a capability or cloud property differs, in words; None when it does not."""
    if isinstance(before, Capability) != isinstance(after, Capability):
        return "it became a cloud property" if isinstance(before, Capability) else "it is no cloud property any more"
    if not isinstance(before, Capability):
        limits = ("minimum", "maximum", "minimum_length", "maximum_length")
        return _first_difference(before, after, limits)
    if before.kind != after.kind:
        return f"it was {before.kind} and is {after.kind}"
    return _content(before.content, after.content)


def _content(before: Content, after: Content) -> str | None:
    if isinstance(before, Command) and isinstance(after, Command):
        if _payload(before, "request") != _payload(after, "request"):
            return "request differs"
        return "response differs" if _payload(before, "response") != _payload(after, "response") else None
    if isinstance(before, Property) and isinstance(after, Property):
        return _first_difference(before, after, ("unit", "writable"))
    if isinstance(before, Telemetry) and isinstance(after, Telemetry):
        return _first_difference(before, after, ("unit",))
    return None


def _payload(command: Command, member: str) -> object:
    payload = getattr(command, member)
    return None if payload is None else shape(payload.schema)


def _first_difference(before: Any, after: Any, members: tuple[str, ...]) -> str | None:
    if shape(before.schema) != shape(after.schema):
        return "schema differs"
    return next((f"{name} differs" for name in members if getattr(before, name) != getattr(after, name)), None)
