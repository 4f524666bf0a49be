# SPDX-License-Identifier: Apache-2.0
"""A fleet to act on: many devices at once, findings about them, and requests in few words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from tests.service.advisories.fleet import AdvisoryFleet

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.schema.security.response_rows import Action
from armillary.service.response.aims import Request
from armillary.service.watch.detections import Observation
from armillary.wire.device.finding import Finding


class ActedOn(AdvisoryFleet):
    """The fleet of the tests of advisories, acted on."""

    @property
    def actions(self) -> Any:
        return self.service.response.actions

    def many(self, count: int, *, catalog: str = "Contoso", first: int = 1, group: str = "Production") -> list[str]:
        """So many devices, claimed into a group; their ids."""
        ids = [f"{first + number:0128x}" for number in range(1 << 40, (1 << 40) + count)]
        values = {"chip": "mt3620", "chip_sku": "x", "trust_tier": "software", "manufacturing_state": "DeviceComplete"}
        product, now = "Kettle" if catalog == "Contoso" else "Pump", int(self.clock())
        owner = self.service.registry.groups.get(catalog, product, group)

        def make(connection: Connection) -> None:
            for device_id in ids:
                device_rows.enrol(connection, device_id=device_id, now=now, **values)
                device_rows.claim(connection, device_id, catalog_id=owner.catalog_id, group_id=owner.group_id, now=now)

        self.service.context.records.write(make)
        return ids

    def finding(self, kind: str, *device_ids: str, catalog: str | None = "Contoso", **more: Any) -> Finding:
        """A finding of the watch about these devices."""
        catalog_id = None if catalog is None else self.service.registry.catalogs.get(catalog).catalog_id
        values: dict[str, Any] = {
            "severity": "high", "key": (kind, *device_ids), "title": f"{kind} was seen", "cause": "c",
            "proposed_action": "p", "at": int(self.clock()),
        } | more  # fmt: skip
        return self.service.watch.observe(
            Observation(kind=kind, device_ids=device_ids, catalog_id=catalog_id, **values)
        )

    def request(self, kind: str, *, catalog: str | None = "Contoso", reason: str = "r", **said: Any) -> Request:
        """A request; what is an option of its kind is one, the rest is the target."""
        options = {name: said.pop(name) for name in ("ends_after_s", "channel", "message", "images") if name in said}
        return Request(kind=kind, catalog=catalog, target=said, reason=reason, options=options)

    def run(self, kind: str, *, actor: str = "anna", **said: Any) -> Action:
        return self.actions.run(self.request(kind, **said), actor=actor)

    def look(self) -> None:
        """What the loop of the service does after the watch."""
        self.service.response.run_once()

    def healths(self, ids: list[str]) -> list[str]:
        return [self.service.registry.devices.get(each).health for each in ids]

    def quarantined(self, ids: list[str]) -> list[str]:
        return [each for each in ids if self.service.registry.devices.get(each).quarantined_at is not None]

    def lines(self, operation: str) -> list[Any]:
        return [each for each in self.service.audit.list(limit=500).items if each.operation == operation]

    def of_finding(self, finding_id: UUID) -> list[Action]:
        return list(self.actions.list(finding_id=finding_id).items)
