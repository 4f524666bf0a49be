# SPDX-License-Identifier: Apache-2.0
"""Operations on a device's template, its cloud properties and its writable properties.

Whoever calls them has checked that the actor may change the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from armillary.engines.database.outbox import AuditEntry
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.ports import Directory, Twins
from armillary.platform.templates.device_templates import DeviceTemplate, DeviceTemplates
from armillary.platform.templates.templates import Templates
from armillary.twin.document.section import check_patch
from armillary.twin.template.name import not_published

if TYPE_CHECKING:
    from armillary.twin.template.change import Migration


@dataclass(eq=False)
class DeviceTemplateOperations:
    """Operations on single devices. Methods block for the disk: call them from threads."""

    _templates: Templates
    _kept: DeviceTemplates
    _directory: Directory
    _twins: Twins

    def assign(
        self, actor: Operator, device_id: str, name: str, version: int | None, *, dry_run: bool = False
    ) -> tuple[int, Migration]:
        """Give a device a published version of a template (None: the newest); that version, and what the device loses.

        Raises:
            NotFoundError: there is no such version, or it is of another catalog than the device.
        """
        chosen, migration = self._kept.assign(device_id, name, version, by=actor.name, dry_run=True)
        owner = self._templates.get(name, chosen).template.catalog
        if owner is not None:  # another catalog's is as good as none
            fields = self._directory.of((device_id,)).get(device_id, {})
            if str(fields.get("catalog") or "").lower() != owner.lower():
                raise not_published(name, version)
        if not dry_run:
            chosen, migration = self._give(actor, device_id, name, chosen)
        return chosen, migration

    def assign_resolved(self, actor: Operator, device_id: str, name: str, version: int) -> None:
        """Give a device a published version that was found for its catalog; nothing where it has it already."""
        now = self._kept.get(device_id)
        if (now.name, now.version) != (name, version):
            self._give(actor, device_id, name, version)

    def unassign(self, actor: Operator, device_id: str) -> None:
        """Take a device's template away; its data stays, unmodelled."""
        entry = AuditEntry(actor.name, "device.template", device_id, {"template": None})
        self._kept.unassign(device_id, by=entry)

    def set_cloud(
        self, actor: Operator, device_id: str, change: Mapping[str, Any], if_match: str | None = None
    ) -> None:
        """Change cloud properties, as the device's template allows; null takes one away.

        Raises:
            NotFoundError: the device has no template.
            InvalidArgumentError: the template does not have such a property, or it does not take the value.
            ConflictError: somebody changed the device since ``if_match``.
        """
        entry = AuditEntry(actor.name, "device.cloud-properties", device_id, {"names": sorted(change)})
        self._kept.set_cloud(device_id, change, by=entry, if_match=if_match)

    def patch_of(self, device_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The patch of desired properties that wants values of writable properties.

        Raises:
            NotFoundError: the device has no template.
            InvalidArgumentError: the template does not have such a property, or it does not take the value.
        """
        from armillary.twin.template.property_state import desired_patch  # noqa: PLC0415 - a megabyte that a hub without templates does not need

        ready = self._kept.get(device_id).ready
        if ready is None:
            raise NotFoundError(
                f"device {device_id[:12]}... has no template", remedy="Patch its twin instead, or give it a template."
            )
        return desired_patch(ready.template, values)

    def want(self, actor: Operator, device_id: str, values: Mapping[str, Any], if_match: str | None = None) -> None:
        """Want values of writable properties, by ``[component.]name``; null wants none. Raises as :meth:`patch_of`."""
        self._merge(actor, device_id, self.patch_of(device_id, values), values, if_match)

    def want_both(
        self, actor: Operator, device_id: str, kept: DeviceTemplate, cloud: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        """Change cloud properties and writable properties, or neither where one is not as the template says.

        ``cloud``: null removes a property. ``values``: by ``[component.]name``.
        """
        from armillary.twin.template.property_state import desired_patch  # noqa: PLC0415 - as above
        from armillary.twin.template.template import changed_cloud  # noqa: PLC0415 - as above

        if kept.ready is None:  # its callers have looked
            raise InvalidArgumentError("the device has no template", remedy="Give it one.")
        patch = check_patch(desired_patch(kept.ready.template, values), "desired")
        changed_cloud(kept.ready.template, kept.cloud, cloud)
        if cloud:
            self.set_cloud(actor, device_id, cloud)
        if patch:
            self._merge(actor, device_id, patch, values)

    def _merge(
        self,
        actor: Operator,
        device_id: str,
        patch: Mapping[str, Any],
        values: Mapping[str, Any],
        if_match: str | None = None,
    ) -> None:
        detail = {"section": "desired", "names": sorted(values)}
        entry = AuditEntry(actor.name, "device.twin", device_id, detail)
        self._twins.change(device_id, desired=patch, if_match=if_match, entry=entry)

    def _give(self, actor: Operator, device_id: str, name: str, version: int) -> tuple[int, Migration]:
        entry = AuditEntry(actor.name, "device.template", device_id, {"template": name, "version": version})
        return self._kept.assign(device_id, name, version, by=entry)
