# SPDX-License-Identifier: Apache-2.0
"""Reads a device that the endpoint has not cached for its check-in: two statements, straight to the driver.

After a restart no device is cached, and in a large fleet few are. Through SQLAlchemy the two statements cost 300 us,
more than the rest of the check-in; this way they cost 30.
"""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, select

from armillary.engines.records.queries.devices import AskedLog, BootDetails, Enrolled
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.lineage import lineage_from

_device, _status, _check_in, _tpm_key = schema.device, schema.device_status, schema.check_in, schema.tpm_key
_asked = schema.device_log_request


class DeviceLookup:
    """Reads devices for the endpoint on a connection of its own. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._device = dialect.positional(
            select(
                _device.c.number,
                _device.c.chip,
                _device.c.trust_tier,
                _device.c.manufacturing_state,
                _device.c.catalog_id,
                _device.c.group_id,
                _device.c.revoked_at,
                _device.c.check_now_at,
                _status.c.checked_in_at,
                _status.c.update_status,
                _status.c.boot_count,
                _status.c.installed,
                _status.c.sandbox,
                _status.c.enforcement,
                _status.c.endorsement,
                _status.c.security_versions,
                _status.c.certificate_serial,
                _status.c.lineage,
                _status.c.held_at,
                _status.c.quarantined_at,
                _tpm_key.c.attestation_key,
                _asked.c.request_id,
                _asked.c.catalog_id,
                _asked.c.ends_at,
            )
            .join(_status, _status.c.device_number == _device.c.number)
            .join(_tpm_key, _tpm_key.c.device_number == _device.c.number, isouter=True)
            .join(_asked, _asked.c.device_number == _device.c.number, isouter=True)
            .where(_device.c.device_id == bindparam("device_id")),
            engine,
            ("device_id",),
        )
        self._spent = dialect.positional(
            select(_check_in.c.challenge_id, _check_in.c.challenge_expires_at)
            .where(_check_in.c.device_number == bindparam("number"))
            .where(_check_in.c.challenge_expires_at >= bindparam("now")),
            engine,
            ("number", "now"),
        )
        self._lock = threading.Lock()
        self._connection: Connection = engine.connect()

    def device(self, device_id: str) -> Enrolled | None:
        """What the verifier needs; None for a device that was never manufactured here."""
        with self._lock:
            row = dialect.fetch(self._connection, self._device, (device_id,))
        if not row:
            return None
        number, chip, tier, state, catalog_id, group_id, revoked_at, *more = row[0]
        check_now_at, checked_in_at, update_status, boot_count, installed, *details = more
        sandbox, enforcement, endorsement, security_versions, serial, lineage, held_at, *last = details
        quarantined_at, attestation_key, request_id, asker, ends_at = last
        return Enrolled(
            number=number,
            device_id=device_id,
            chip=chip,
            trust_tier=tier,
            manufacturing_state=state,
            catalog_id=_uuid(catalog_id),
            group_id=_uuid(group_id),
            revoked=revoked_at is not None,
            boot_count=boot_count,
            installed=installed,
            details=BootDetails(sandbox, enforcement, bytes(endorsement), security_versions),
            attestation_key=bytes(attestation_key or b""),
            lineage=lineage_from(serial, lineage, held_at),
            is_asked=check_now_at is not None and (checked_in_at is None or check_now_at >= checked_in_at),
            update_status=update_status,
            is_quarantined=quarantined_at is not None,
            log_request=None if asker != catalog_id else _asked_log(request_id, ends_at),
        )

    def spent_challenges(self, device_number: int, *, now: int) -> dict[bytes, int]:
        """Challenges this device has spent that have not expired: id to expiry."""
        with self._lock:
            rows = dialect.fetch(self._connection, self._spent, (device_number, now))
        return {bytes(challenge_id): expires_at for challenge_id, expires_at in rows}

    def close(self) -> None:
        """Return the connection to its pool."""
        self._connection.close()


def _asked_log(request_id: Any, ends_at: int | None) -> AskedLog | None:
    asked = _uuid(request_id)
    return None if asked is None or ends_at is None else AskedLog(asked, ends_at)


def _uuid(value: Any) -> UUID | None:
    """A UUID from a driver's value: text without dashes, or a UUID."""
    return value if value is None or isinstance(value, UUID) else UUID(hex=value)
