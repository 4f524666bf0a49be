# SPDX-License-Identifier: Apache-2.0
"""Where a certificate of this service and its key were used, by whom, until when."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows, releases as release_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.engines.records.queries.security import traces as rows
from armillary.engines.records.schema.rows import AuditLine
from armillary.errors import NotFoundError
from armillary.service.authority.issued import serial_text
from armillary.service.authority.signing_keys import KINDS
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.registry.audit import AuditLog
from armillary.service.tracing.issued_under import AUTHORITIES, uses_of_authority
from armillary.service.tracing.use import Use
from armillary.wire.image.naming import image_label

_SERIAL: Final = re.compile("[0-9A-Fa-f]{1,40}")
# Uses of one kind that are listed; ``counts`` has them all.
MAX_USES: Final = 500
MAX_LINES: Final = 1000
# Operations by which somebody had a key sign something. A release that was published at once was signed by that.
_PUBLISHED_BY: Final = frozenset({"release.publish"})
_SIGNED_BY: Final = frozenset(
    {
        "image.upload", "image.sign-again", "release.sign", "authority.renew", "device.manufacture", "device.recover",
        "device.reprovision", "device.identity-renew",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Period:
    """How long a signing key signs, and is trusted, Unix seconds; None: not yet.

    Attributes:
        since: When it began to sign.
        until: When another began to sign in its place.
        dropped_at: When the first trust store was made that does not name it any more.
    """

    since: int | None
    until: int | None
    dropped_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrace:
    """A certificate, what its key was used for, and the audit lines about it, oldest first.

    Attributes:
        uses: Oldest first, at most :data:`MAX_USES` of a kind.
        counts: Kind of use -> how many there are.
        period: Of a key that signs what devices install; None for others, which the certificate's times are said of.
        ends_at: When nobody takes anything of it any more: its end, or when it was revoked, Unix seconds.
    """

    certificate: CertificateRecord
    period: Period | None
    ends_at: int
    uses: tuple[Use, ...]
    counts: dict[str, int]
    audit: tuple[AuditLine, ...]


class KeyTraces:
    """Traces of the keys whose certificates this service issued."""

    def __init__(self, context: Context, audit: AuditLog, chips: Chips) -> None:
        self._context = context
        self._audit = audit
        self._chips = chips

    def of(self, serial: str) -> KeyTrace:
        """The trace of a certificate by its serial, hex.

        Raises:
            NotFoundError: this service issued none of this serial, or it is a device's client certificate, of which
                the trace of the device tells.
        """
        number = serial_text(int(serial, 16)) if _SERIAL.fullmatch(serial) else ""

        def query(connection: Connection) -> KeyTrace:
            record = certificate_rows.by_serial(connection, number)
            if record is None:
                raise NotFoundError(
                    f"this service keeps no certificate with the serial {serial[:40]!a}",
                    remedy="armillary authority list and armillary release signing-keys show have serials; of a "
                    "device's client certificates tells armillary trace device.",
                )
            found, counts = self._uses(connection, record)
            uses = [use for each in found.values() for use in sorted(each, key=lambda one: one.at)[-MAX_USES:]]
            targets = sorted({use.record for use in uses})
            by = rows.actors(connection, targets, _PUBLISHED_BY) | rows.actors(connection, targets, _SIGNED_BY)
            return KeyTrace(
                certificate=record,
                period=_period(connection, record),
                ends_at=record.not_after if record.revoked_at is None else min(record.revoked_at, record.not_after),
                uses=tuple(sorted((replace(use, by=by.get(use.record, "")) for use in uses), key=lambda use: use.at)),
                counts=counts,
                audit=(),
            )

        found = self._context.records.read(query)
        lines = self._audit.list(target=found.certificate.serial, limit=MAX_LINES).items
        return replace(found, audit=tuple(reversed(lines)))

    def _uses(self, connection: Connection, record: CertificateRecord) -> tuple[dict[str, list[Use]], dict[str, int]]:
        """Uses by kind, and how many there are of each."""
        if record.kind in AUTHORITIES:
            return uses_of_authority(connection, record, self._chips, limit=MAX_USES)
        found = _uses_of_leaf(connection, record)
        return found, {what: len(uses) for what, uses in found.items() if uses}


def _uses_of_leaf(connection: Connection, record: CertificateRecord) -> dict[str, list[Use]]:
    return {
        "release": [
            Use("release", f"{one.chip} {one.version}", str(one.release_id), one.signed_at or one.created_at)
            for one in release_rows.every(connection, drafts=True)
            if one.signer == record.serial
        ],
        "image": [
            Use("image", f"{one.catalog}: {image_label(one.name, one.version)}", str(one.image_id), one.uploaded_at)
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


def _period(connection: Connection, record: CertificateRecord) -> Period | None:
    """From when until when a key signed, by the trusted key stores, of which the newest in force says who signs."""
    purpose = next((purpose for purpose, kind in KINDS.items() if kind == record.kind), None)
    if purpose is None:
        return None
    stores = store_rows.every(connection, store_rows.KEYS)
    signers = [(one.in_force_at, one.trusted[purpose][-1]) for one in stores if one.in_force_at is not None]
    mine = [place for place, (_, serial) in enumerate(signers) if serial == record.serial]
    after = signers[mine[-1] + 1 :] if mine else []
    named = [place for place, one in enumerate(stores) if record.serial in one.trusted[purpose]]
    dropped = stores[named[-1] + 1 :] if named else []
    return Period(
        since=signers[mine[0]][0] if mine else None,
        until=after[0][0] if after else None,
        dropped_at=dropped[0].created_at if dropped else None,
    )
