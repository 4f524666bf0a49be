# SPDX-License-Identifier: Apache-2.0
"""A fleet to act on: many devices at once, findings about them, and requests in few words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select
from tests.service.advisories.fleet import AdvisoryFleet

from armillary.engines.records.schema import schema
from armillary.engines.records.schema.security.response_rows import Action
from armillary.service.response.aims import ActionRequest
from armillary.service.watch.detections import Observation
from armillary.wire.device.finding import Finding


class ActedOn(AdvisoryFleet):
    """The fleet of the tests of advisories, acted on."""

    @property
    def actions(self) -> Any:
        return self.service.response.actions

    def many(self, number: int, *, catalog: str = "Contoso", first: int = 1, group: str = "Production") -> list[str]:
        """So many devices, claimed into a group; their ids."""
        ids = [f"{first + each:0128x}" for each in range(1 << 40, (1 << 40) + number)]
        product, now = "Kettle" if catalog == "Contoso" else "Pump", int(self.clock())
        owner = self.service.registry.groups.get(catalog, product, group)
        made = {
            "chip": "mt3620", "chip_sku": "x", "trust_tier": "software", "manufacturing_state": "DeviceComplete",
            "enrolled_at": now, "claimed_at": now, "catalog_id": owner.catalog_id, "group_id": owner.group_id,
            "revoked_reason": "",
        }  # fmt: skip
        status = {
            "refusal": "", "boot_count": 0, "endorsement": b"", "security_versions": "{}", "os_version": "",
            "sandbox": "", "installed": "[]", "enforcement": "[]", "certificate_serial": "",
        }  # fmt: skip

        def make(connection: Connection) -> None:
            connection.execute(insert(schema.device), [{"device_id": each, **made} for each in ids])
            mine = schema.device.c.device_id.between(ids[0], ids[-1])
            numbers = connection.execute(select(schema.device.c.number).where(mine)).scalars()
            connection.execute(insert(schema.device_status), [{"device_number": each, **status} for each in numbers])

        self.service.context.records.write(make)
        return ids

    def numbers(self) -> list[int]:
        """Row numbers of all devices, in order."""
        query = select(schema.device.c.number).order_by(schema.device.c.number)
        return list(self.service.context.records.read(lambda c: c.execute(query).scalars().all()))

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

    def request(self, kind: str, *, catalog: str | None = "Contoso", reason: str = "r", **said: Any) -> ActionRequest:
        """A request; what is an option of its kind is one, the rest is the target."""
        options = {name: said.pop(name) for name in ("ends_after_s", "channel", "message", "images") if name in said}
        return ActionRequest(kind=kind, catalog=catalog, target=said, reason=reason, options=options)

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
