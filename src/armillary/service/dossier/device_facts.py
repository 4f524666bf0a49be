# SPDX-License-Identifier: Apache-2.0
"""Facts of devices: the seven properties over the fleet, what keeps their identity, and clients with shared secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection

from armillary.engines.records.queries.security import evidence as rows
from armillary.regulation.statement import (
    ABSENT,
    OUT_OF_SCOPE,
    PRESENT,
    STALE,
    Fact,
    absent,
    out_of_scope,
    present,
    stale as stale_fact,
)
from armillary.service.assessment.assessment import FleetAssessment, PropertyCount
from armillary.service.cases.scope import devices
from armillary.service.dossier.held import Held, Sources, Subject

HARDWARE: Final = ("tpm", "silicon")


def gather(sources: Sources, subject: Subject) -> Iterator[Held]:
    """All of them. The assessment is of the whole catalog, whatever product a dossier is about."""
    found = sources.assessment.of_fleet(subject.catalog)
    for each in found.properties:
        yield Held(_property(each, found.devices))
    yield Held(_identity(found))
    catalog_id = subject.scope.catalog_id

    def query(connection: Connection) -> dict[str, int]:
        return rows.hub_clients(connection, catalog_id)

    yield Held(_secrets(sources.context.records.read(query)))


def _property(found: PropertyCount, total: int) -> Fact:
    name = f"property-{found.each.name}"
    states = {state: number for state, number in found.states.items() if number}
    value: dict[str, Any] = {
        "property": found.each.title,
        "devices": total,
        "states": states,
        "reasons": [
            {"state": one.answer.state, "says": one.answer.says, "devices": one.devices} for one in found.reasons
        ],
    }
    why = "; ".join(f"{devices(one.devices)}: {one.answer.says.rstrip('.')}" for one in found.reasons[:3])
    says = f"{found.each.title}: {states.get(PRESENT, 0)} of {devices(total)} show it. {why}."
    if not states:
        return absent(name, f"{found.each.title}: there is no device.", value)
    if states.get(ABSENT):
        return absent(name, says, value, "armillary assess")
    if states.get(STALE):
        return stale_fact(name, says, value, "armillary assess")
    if set(states) == {OUT_OF_SCOPE}:
        return out_of_scope(name, says)
    return present(name, says, value, "armillary assess")


def _identity(found: FleetAssessment) -> Fact:
    counts = ", ".join(f"{number} {tier}" for tier, number in sorted(found.tiers.items()))
    if not found.devices:
        return absent("device-identity", "There is no device.")
    says = f"Each of {devices(found.devices)} was enrolled with a key of its own; kept by tier: {counts}."
    return present("device-identity", says, {"tiers": found.tiers, "devices": found.devices}, "enrolment records")


def _secrets(clients: dict[str, int]) -> Fact:
    shared = clients.get("sas", 0)
    value = {"clients": clients}
    if shared:
        says = f"{shared} clients of the hub use symmetric keys: armillary hub-device list shows them."
        return absent("no-shared-secrets", says, value)
    says = "Devices authenticate by certificates only; no client of the hub has a symmetric key or a password."
    return present("no-shared-secrets", says, value, "identities of the hub")
