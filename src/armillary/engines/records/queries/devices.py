# SPDX-License-Identifier: Apache-2.0
"""Devices: enrolment, ownership, and the status that their check-ins set; the fleet in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, insert, literal, or_, select, update

from armillary.attest.lineage import NO_LINEAGE, Lineage
from armillary.engines.records.queries import names as name_rows
from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.lineage import BEGINS, lineage_from
from armillary.engines.records.schema.rows import HEALTHS, SIMULATED_TIER, Device, FleetSummary, from_row
from armillary.engines.records.schema.update_rows import DeviceUpdateStatus
from armillary.wire.device.checkin import InstalledImage
from armillary.wire.device.finding import SEVERITIES
from armillary.wire.text.device_name import default_name

_device, _status, _tpm_key = schema.device, schema.device_status, schema.tpm_key
_catalog, _product, _group = schema.catalog, schema.product, schema.device_group
_name, _directive = schema.device_name, schema.device_directive


@dataclass(frozen=True, slots=True)
class BootDetails:
    """What is written once per boot, because it stays the same until the next."""

    sandbox: str
    enforcement: str  # JSON text of (mechanism, state) pairs
    endorsement: bytes  # SHA-256 of the boot's endorsement, empty before the first attested check-in
    security_versions: str  # JSON text, image type to the highest version ever attested


class AskedLog(NamedTuple):
    """A request for a device's log that its owner made, and when it ends."""

    request_id: UUID
    ends_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What the verifier needs of a device, in one read."""

    number: int
    device_id: str
    chip: str
    trust_tier: str
    manufacturing_state: str
    catalog_id: UUID | None
    group_id: UUID | None
    revoked: bool
    boot_count: int
    installed: str  # JSON text as stored
    details: BootDetails  # As stored at the last attested check-in
    attestation_key: bytes = b""  # X || Y of its TPM's attestation key, 64 bytes; empty without a TPM
    lineage: Lineage = NO_LINEAGE  # What the next proof has to continue
    is_asked: bool = False  # Whether somebody asked it to check in at once since it did last
    update_status: str | None = None  # What it says about its update, as stored
    is_quarantined: bool = False  # Whether it gets update certificates only, by an operator's or a playbook's decision
    log_request: AskedLog | None = None  # Read by the check-in's look-up alone
    # Since when it has its owner; the check-in's look-up does not read this and the next two
    claimed_at: int | None = None
    decommissioned_at: int | None = None  # When it was taken out of service, None otherwise
    reprovision_until: int | None = None  # Until when it may come back; for a device that has come back: when it did


def installed_text(installed: Sequence[InstalledImage]) -> str:
    """The JSON text that ``device_status.installed`` holds."""
    return json.dumps(
        [[str(i.component_id), str(i.image_id), i.image_type, i.name, i.state] for i in installed],
        separators=(",", ":"),
    )


def enforcement_text(enforcement: Sequence[tuple[str, str]]) -> str:
    """The JSON text that ``device_status.enforcement`` holds."""
    return json.dumps([list(pair) for pair in enforcement], separators=(",", ":"))


def update_status_text(status: DeviceUpdateStatus) -> str:
    """The JSON text that ``device_status.update_status`` holds."""
    return json.dumps(asdict(status), separators=(",", ":"))


def update_status_from(document: str) -> DeviceUpdateStatus:
    """The update status in a stored JSON text."""
    found = json.loads(document)
    return DeviceUpdateStatus(**{**found, "abilities": tuple(found["abilities"])})


def installed_from(document: str) -> tuple[InstalledImage, ...]:
    """The images in a stored JSON text."""
    return tuple(
        InstalledImage(
            component_id=UUID(component), image_id=UUID(image), image_type=image_type, name=name, state=state
        )
        for component, image, image_type, name, state in json.loads(document)
    )


def enrol(
    connection: Connection,
    *,
    device_id: str,
    chip: str,
    chip_sku: str,
    trust_tier: str,
    manufacturing_state: str,
    now: int,
) -> int:
    """Record a manufactured device; returns its row number."""
    key = connection.execute(
        insert(_device).values(
            device_id=device_id,
            chip=chip,
            chip_sku=chip_sku,
            trust_tier=trust_tier,
            manufacturing_state=manufacturing_state,
            enrolled_at=now,
            revoked_reason="",
        )
    ).inserted_primary_key
    if key is None:
        raise AssertionError("an insert gave no row number")
    number = int(key[0])
    connection.execute(
        insert(_status).values(
            device_number=number,
            refusal="",
            boot_count=0,
            endorsement=b"",
            security_versions="{}",
            os_version="",
            sandbox="",
            installed="[]",
            enforcement="[]",
            certificate_serial="",
        )
    )
    return number


def enrolled(connection: Connection, device_id: str) -> Enrolled | None:
    """What the verifier needs, or None for a device that was never manufactured here."""
    query = (
        select(_device, _status, _tpm_key.c.attestation_key)
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_tpm_key, _tpm_key.c.device_number == _device.c.number, isouter=True)
        .where(_device.c.device_id == device_id)
    )
    return first(connection, query, _as_enrolled)


def keep_tpm_key(
    connection: Connection,
    device_number: int,
    *,
    attestation_key: bytes,
    endorsement_certificate: bytes,
    manufacturer: str,
    model: str,
) -> None:
    """Record the attestation key that a new device's TPM has proven, and whose TPM it is."""
    connection.execute(
        insert(_tpm_key).values(
            device_number=device_number,
            attestation_key=attestation_key,
            endorsement_certificate=endorsement_certificate,
            manufacturer=manufacturer,
            model=model,
        )
    )


def directive_version(connection: Connection, device_number: int) -> int:
    """The version of the device's last directive; 0 if it was never given one."""
    query = select(_directive.c.version).where(_directive.c.device_number == device_number)
    return connection.execute(query).scalar_one_or_none() or 0


def keep_directive(connection: Connection, device_number: int, version: int) -> None:
    """Record that the device is given a directive of this version; a lower one changes nothing."""
    dialect.insert_new(connection, _directive, [{"device_number": device_number, "version": 0}])
    row = (_directive.c.device_number == device_number) & (_directive.c.version < version)
    connection.execute(update(_directive).where(row).values(version=version))


def one(connection: Connection, device_id: str, *, now: int, silent_after_s: int) -> Device | None:
    """The device of an id."""
    return first(connection, devices_query(now, silent_after_s).where(_device.c.device_id == device_id), as_device)


def some(connection: Connection, device_ids: Sequence[str], *, now: int, silent_after_s: int) -> tuple[Device, ...]:
    """The devices of a few hundred ids (one parameter of a query each); unknown ids are left out."""
    return every(connection, devices_query(now, silent_after_s).where(_device.c.device_id.in_(device_ids)), as_device)


def held(connection: Connection) -> tuple[str, ...]:
    """Ids of the devices that are held because two machines seem to have their identity."""
    joined = _device.join(_status, _status.c.device_number == _device.c.number)
    query = select(_device.c.device_id).select_from(joined).where(_status.c.held_at.is_not(None))
    return tuple(connection.execute(query).scalars())


def claim(connection: Connection, device_id: str, *, catalog_id: UUID, group_id: UUID, now: int) -> None:
    """Give a device to a catalog; a name that an earlier owner gave it is deleted."""
    name_rows.hand_over(connection, device_id, catalog_id)
    connection.execute(
        update(_device)
        .where(_device.c.device_id == device_id)
        .values(catalog_id=catalog_id, group_id=group_id, claimed_at=now)
    )


def second_hand(connection: Connection, catalog_id: UUID | None, device_id: str | None = None) -> dict[str, int]:
    """Devices that were transferred, or came back into service: id -> when they came to their owner, Unix seconds.

    Of one catalog or (None) of all; with ``device_id`` at most this device.
    """
    transfer = schema.transfer
    brought = select(transfer.c.device_number).where(transfer.c.state == "accepted")
    query = select(_device.c.device_id, _device.c.claimed_at).where(
        _device.c.claimed_at.is_not(None),
        or_(_device.c.number.in_(brought), _device.c.reprovision_until.is_not(None)),
    )
    if catalog_id is not None:
        query = query.where(_device.c.catalog_id == catalog_id)
    if device_id is not None:
        query = query.where(_device.c.device_id == device_id)
    return {row.device_id: row.claimed_at for row in connection.execute(query)}


def change(connection: Connection, device_id: str, values: Mapping[str, object]) -> None:
    """Set columns of the table ``device``: group_id, revoked_at, revoked_reason, manufacturing_state..."""
    connection.execute(update(_device).where(_device.c.device_id == device_id).values(dict(values)))


def ask_group(connection: Connection, group_id: UUID, *, now: int, limit: int) -> tuple[str, ...]:
    """Note that somebody asked the devices of a group that are let in to check in at once; their ids.

    Of more than ``limit`` none is noted; one more is in the answer.
    """
    chosen = (_device.c.group_id == group_id) & _device.c.revoked_at.is_(None)
    query = select(_device.c.device_id).where(chosen).order_by(_device.c.number).limit(limit + 1)
    found = tuple(connection.execute(query).scalars())
    if len(found) <= limit:
        connection.execute(update(_device).where(chosen).values(check_now_at=now))
    return found


def let_back_in(connection: Connection, device_id: str, *, now: int) -> None:
    """Put a decommissioned device into service again, without an owner; its storage is new, so its lineage begins anew.

    ``reprovision_until`` becomes now: ``revocations.py`` lists the certificates that were issued before.
    """
    values = {"revoked_at": None, "revoked_reason": "", "decommissioned_at": None, "reprovision_until": now}
    change(connection, device_id, values)
    release(connection, device_id)


def release(connection: Connection, device_id: str) -> None:
    """Release a held device: its lineage begins anew with its next proof. Security versions stay."""
    known = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    connection.execute(
        update(_status)
        .where(_status.c.device_number == known)
        .values(held_at=None, lineage=BEGINS, boot_count=0, endorsement=b"")
    )


def quarantine(connection: Connection, device_id: str, *, at: int, until: int | None, reason: str) -> None:
    """Record that a device is in quarantine since ``at``, and until when at most."""
    _set_quarantine(connection, device_id, quarantined_at=at, quarantined_until=until, quarantine_reason=reason)


def end_quarantine(connection: Connection, device_id: str) -> None:
    """Record that a device is in quarantine no more."""
    _set_quarantine(connection, device_id, quarantined_at=None, quarantined_until=None, quarantine_reason=None)


def _set_quarantine(connection: Connection, device_id: str, **values: object) -> None:
    known = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    connection.execute(update(_status).where(_status.c.device_number == known).values(values))


def quarantines_over(connection: Connection, *, now: int, limit: int) -> tuple[str, ...]:
    """Ids of devices whose quarantine has lasted until its end."""
    joined = _device.join(_status, _status.c.device_number == _device.c.number)
    over = _status.c.quarantined_at.is_not(None) & (_status.c.quarantined_until <= now)
    return tuple(connection.execute(select(_device.c.device_id).select_from(joined).where(over).limit(limit)).scalars())


def summary(connection: Connection, catalog_id: UUID | None, *, now: int, silent_after_s: int) -> FleetSummary:
    """The fleet in numbers, of one catalog or of all."""
    mine: list[ColumnElement[bool]] = [] if catalog_id is None else [_device.c.catalog_id == catalog_id]
    health = health_word(now, silent_after_s).label("health")
    query = (
        select(health, _device.c.trust_tier, _status.c.os_version, func.count().label("devices"))
        .join(_status, _status.c.device_number == _device.c.number)
        .where(*mine)
        .group_by(health, _device.c.trust_tier, _status.c.os_version)
    )
    by_health = dict.fromkeys(HEALTHS, 0)
    tiers: dict[str, int] = {}
    versions: dict[str, int] = {}
    for row in connection.execute(query):
        by_health[row.health] += row.devices
        tiers[row.trust_tier] = tiers.get(row.trust_tier, 0) + row.devices
        versions[row.os_version] = versions.get(row.os_version, 0) + row.devices
    findings = dict.fromkeys(SEVERITIES, 0)
    table = schema.finding
    asked = select(table.c.severity, func.count().label("findings")).where(table.c.status != "closed")
    if catalog_id is not None:
        asked = asked.where(table.c.catalog_id == catalog_id)
    for row in connection.execute(asked.group_by(table.c.severity)):
        findings[row.severity] = row.findings
    unclaimed = 0
    if catalog_id is None:
        unclaimed = connection.execute(
            select(func.count()).select_from(_device).where(_device.c.catalog_id.is_(None))
        ).scalar_one()
    return FleetSummary(
        devices=sum(by_health.values()),
        health=by_health,
        tiers=tiers,
        os_versions=versions,
        open_findings=findings,
        unclaimed=unclaimed,
    )


def silent(connection: Connection, *, now: int, silent_after_s: int, limit: int) -> list[Device]:
    """Claimed devices that should have checked in and did not, longest silent first."""
    query = (
        devices_query(now, silent_after_s)
        .where(_heard(now, silent_after_s) == "silent", _device.c.catalog_id.is_not(None))
        .order_by(_status.c.checked_in_at)
        .limit(limit)
    )
    return [as_device(row) for row in connection.execute(query)]


def health_word(now: int, silent_after_s: int) -> ColumnElement[str]:
    """The health of a device (:data:`HEALTHS`), the most important first."""
    return case(
        (_device.c.revoked_at.is_not(None), literal("revoked")),
        (_status.c.held_at.is_not(None), literal("held")),
        (_status.c.quarantined_at.is_not(None), literal("quarantined")),
        else_=_heard(now, silent_after_s),
    )


def _heard(now: int, silent_after_s: int) -> ColumnElement[str]:
    """The health without regard to holds and revocations: a held device can be silent too."""
    seen, refusal = _status.c.checked_in_at, _status.c.refused_at
    return case(
        (and_(refusal.is_not(None), seen.is_(None)), literal("refused")),
        (refusal > seen, literal("refused")),
        (and_(seen.is_(None), _device.c.trust_tier == SIMULATED_TIER), literal("simulated")),
        (seen.is_(None), literal("never")),
        (seen < now - silent_after_s, literal("silent")),
        else_=_status.c.verdict,
    )


def _attested_at() -> ColumnElement[int | None]:
    """When the device was attested last; searched among its check-ins only where the newest was not attested."""
    table = schema.check_in
    newest = (
        select(table.c.at)
        .where(table.c.device_number == _device.c.number, table.c.verdict == "attested")
        .order_by(table.c.number.desc())
        .limit(1)
        .correlate(_device)
        .scalar_subquery()
    )
    seen = _status.c.checked_in_at
    return case((seen.is_(None), seen), (_status.c.verdict == "attested", seen), else_=newest)


def devices_query(now: int, silent_after_s: int) -> Select[Any]:
    """The query for all columns that a :class:`Device` is made of, of all devices."""
    return (
        select(
            _device,
            _status,
            health_word(now, silent_after_s).label("health"),
            _attested_at().label("attested_at"),
            _catalog.c.name.label("catalog"),
            _product.c.name.label("product"),
            _group.c.name.label("group"),
            _name.c.name.label("given_name"),
        )
        .select_from(_device)
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_group, _group.c.group_id == _device.c.group_id, isouter=True)
        .join(_product, _product.c.product_id == _group.c.product_id, isouter=True)
        .join(_catalog, _catalog.c.catalog_id == _device.c.catalog_id, isouter=True)
        .join(_name, _name.c.identity == _device.c.device_id, isouter=True)
    )


def _as_enrolled(row: Row[Any]) -> Enrolled:
    return from_row(
        Enrolled,
        row,
        revoked=row.revoked_at is not None,
        details=BootDetails(row.sandbox, row.enforcement, bytes(row.endorsement), row.security_versions),
        attestation_key=bytes(row.attestation_key or b""),
        lineage=lineage_from(row.certificate_serial, row.lineage, row.held_at),
        is_asked=row.check_now_at is not None and (row.checked_in_at is None or row.check_now_at >= row.checked_in_at),
        is_quarantined=row.quarantined_at is not None,
        log_request=None,
    )


def as_device(row: Row[Any]) -> Device:
    """The device of a row of :func:`devices_query`."""
    return from_row(
        Device,
        row,
        last_check_in_at=row.checked_in_at,
        last_refused_at=row.refused_at,
        last_refusal=row.refusal,
        installed=installed_from(row.installed),
        enforcement=tuple((name, state) for name, state in json.loads(row.enforcement)),
        last_update_at=row.updated_at,
        update_status=None if row.update_status is None else update_status_from(row.update_status),
        last_attested_at=row.attested_at,
        name=row.given_name or default_name(row.device_id, product=row.product, chip=row.chip_sku),
        is_named=row.given_name is not None,
    )


def chips_of_group(connection: Connection, group_id: UUID) -> tuple[str, ...]:
    """Names of the chips of a group's devices."""
    query = select(_device.c.chip).where(_device.c.group_id == group_id).distinct().order_by(_device.c.chip)
    return tuple(connection.execute(query).scalars())
