# SPDX-License-Identifier: Apache-2.0
"""Where a certificate of this service and its key were used, by whom, until when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows, releases as release_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.engines.records.queries.security import traces as rows
from armillary.engines.records.schema.rows import AuditLine
from armillary.errors import NotFoundError
from armillary.service.authority.issued import serial_text
from armillary.service.context.context import Context
from armillary.service.registry.audit import AuditLog

_SERIAL: Final = re.compile("[0-9A-Fa-f]{1,40}")
# Uses of one kind that are listed; ``counts`` has them all.
MAX_USES: Final = 500
MAX_LINES: Final = 1000


@dataclass(frozen=True, slots=True)
class Use:
    """What a key signed, or who presents the certificate.

    Attributes:
        what: ``release``, ``image``, ``trust store`` or ``device``.
        name: Which one, for people.
        record: Its id.
        at: When it was signed, made or enrolled, Unix seconds.
    """

    what: str
    name: str
    record: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrace:
    """A certificate, what its key was used for, and the audit lines about it, oldest first.

    Attributes:
        uses: Oldest first, at most :data:`MAX_USES` of a kind.
        counts: Kind of use -> how many there are.
    """

    certificate: CertificateRecord
    uses: tuple[Use, ...]
    counts: dict[str, int]
    audit: tuple[AuditLine, ...]


class KeyTraces:
    """Traces of the keys whose certificates this service issued."""

    def __init__(self, context: Context, audit: AuditLog) -> None:
        self._context = context
        self._audit = audit

    def of(self, serial: str) -> KeyTrace:
        """The trace of a certificate by its serial, hex.

        Raises:
            NotFoundError: this service issued none of this serial, or it is a device's client certificate, of which
                the trace of the device tells.
        """
        number = serial_text(int(serial, 16)) if _SERIAL.fullmatch(serial) else ""

        def query(connection: Connection) -> tuple[CertificateRecord, list[Use], dict[str, int]]:
            record = certificate_rows.by_serial(connection, number)
            if record is None:
                raise NotFoundError(
                    f"this service keeps no certificate with the serial {serial[:40]!a}",
                    remedy="armillary authority list and armillary release signing-keys show have serials; of a "
                    "device's client certificates tells armillary trace device.",
                )
            uses, counts = _uses(connection, record)
            return record, uses, counts

        record, uses, counts = self._context.records.read(query)
        lines = self._audit.list(target=record.serial, limit=MAX_LINES).items
        return KeyTrace(certificate=record, uses=tuple(uses), counts=counts, audit=tuple(reversed(lines)))


def _uses(connection: Connection, record: CertificateRecord) -> tuple[list[Use], dict[str, int]]:
    found: dict[str, list[Use]] = {
        "release": [
            Use("release", f"{one.chip} {one.version}", str(one.release_id), one.signed_at or one.created_at)
            for one in release_rows.every(connection, drafts=True)
            if one.signer == record.serial
        ],
        "image": [
            Use("image", f"{one.catalog}: {one.name}", str(one.image_id), one.uploaded_at)
            for one in rows.images_signed_by(connection, record.serial)
        ],
        "trust store": [
            Use("trust store", f"{one.kind} {one.number}", f"{one.kind} {one.number}", one.created_at)
            for one in store_rows.every(connection)
            if any(record.serial in serials for serials in one.trusted.values())
        ],
        "device": [Use("device", record.subject[:12], record.subject, record.issued_at)]
        if record.kind == "identity"
        else [],
    }
    counts = {what: len(uses) for what, uses in found.items() if uses}
    shown = [use for uses in found.values() for use in sorted(uses, key=lambda one: one.at)[-MAX_USES:]]
    return sorted(shown, key=lambda one: one.at), counts
