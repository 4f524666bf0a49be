# SPDX-License-Identifier: Apache-2.0
"""Assesses a device, a catalog's devices or all: gathers the facts and asks the seven properties."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.queries.security import assessments as rows
from armillary.engines.records.queries.security.assessments import AlikeDevices
from armillary.engines.records.schema.rows import OsRelease
from armillary.service.assessment.properties import PROPERTIES, STATES, Answer, Facts, Property, TrustedSoftware, assess
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise, no_such_device

# Reasons that are listed for a property; the rest is counted in the states.
MAX_REASONS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAssessment:
    """Each property's answer for one device; ``tier`` is the enrolment record's."""

    device_id: str
    tier: str
    health: str
    answers: tuple[tuple[Property, Answer], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """An answer that ``devices`` devices got, and the id of the first of them."""

    answer: Answer
    devices: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyCount:
    """How many devices show a property: by state, and by reason, the most frequent first."""

    each: Property
    states: dict[str, int]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAssessment:
    """All properties over ``devices`` devices, of which ``tiers`` says what keeps their identity."""

    devices: int
    tiers: dict[str, int]
    properties: tuple[PropertyCount, ...]


class Assessment:
    """The seven properties of devices, as of now."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of_device(self, device_id: str) -> DeviceAssessment:
        """One device; NotFoundError if it was never manufactured here, or was decommissioned."""
        known = device_id.lower()
        found = self._context.records.read(lambda c: self._kinds(c, None, known))
        if not found:
            raise no_such_device(device_id)
        ((kind, facts),) = found
        answers = tuple((each, assess(each, facts)) for each in PROPERTIES)
        return DeviceAssessment(device_id=known, tier=kind.tier, health=kind.health, answers=answers)

    def of_fleet(self, catalog: str | None = None) -> FleetAssessment:
        """The devices of a catalog, or all."""
        found = self._context.records.read(lambda c: self._kinds(c, catalog, None))
        tiers: Counter[str] = Counter()
        for kind, _ in found:
            tiers[kind.tier] += kind.devices
        return FleetAssessment(
            devices=tiers.total(),
            tiers=dict(tiers),
            properties=tuple(_count(each, found) for each in PROPERTIES),
        )

    def _kinds(
        self, connection: Connection, catalog: str | None, device_id: str | None
    ) -> list[tuple[AlikeDevices, Facts]]:
        catalog_id = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
        found = rows.alike(connection, catalog_id=catalog_id, device_id=device_id, **self._context.as_of)
        bases = trusted_bases(release_rows.every(connection), self._context.now())
        return [(kind, _facts(kind, bases.get((kind.chip, kind.os_version)))) for kind in found]


def _facts(kind: AlikeDevices, base: TrustedSoftware | None) -> Facts:
    return Facts(
        tier=kind.tier,
        health=kind.health,
        os_version=kind.os_version,
        sandbox=kind.sandbox,
        enforcement=kind.enforcement,
        base=base,
        has_certificate=kind.has_certificate,
        updates_os=kind.updates_os,
        takes_directives=kind.takes_directives,
    )


def _count(each: Property, found: list[tuple[AlikeDevices, Facts]]) -> PropertyCount:
    states, devices, examples = dict.fromkeys(STATES, 0), Counter[Answer](), dict[Answer, str]()
    for kind, facts in found:
        answer = assess(each, facts)
        states[answer.state] += kind.devices
        devices[answer] += kind.devices
        examples[answer] = min(examples.get(answer, kind.example), kind.example)
    reasons = (
        Reason(answer=one, devices=count, example=examples[one]) for one, count in devices.most_common(MAX_REASONS)
    )
    return PropertyCount(each=each, states=states, reasons=tuple(reasons))


def trusted_bases(releases: tuple[OsRelease, ...], now: int) -> dict[tuple[str, str], TrustedSoftware]:
    """(chip, version) -> the size of each release's components beside that of the one published before it.

    A withdrawn release is nothing that others are compared with.
    """
    found: dict[tuple[str, str], TrustedSoftware] = {}
    before: dict[str, tuple[int, str]] = {}
    for release in releases:
        size = sum(part.size for part in release.components)
        ends = release.expires_at
        found[release.chip, release.version] = TrustedSoftware(
            size=size,
            before=before.get(release.chip),
            in_force=release.withdrawn_at is None and (ends is None or ends > now),
        )
        if release.withdrawn_at is None:
            before[release.chip] = (size, release.version)
    return found
