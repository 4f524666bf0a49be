# SPDX-License-Identifier: Apache-2.0
"""Which firmware the owner of a catalog states to be good, and what a device's firmware measured last.

Statements are part of what a catalog demands: they are audited, and hold from each device's next check-in on through
the book of ``attestation_policy.py``.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.attest import firmware_reference as rules
from armillary.engines.records.queries import firmware as firmware_rows
from armillary.engines.records.queries.firmware import DeviceFirmware, StoredStatement
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.service.verifier.attestation_policy import AttestationPolicies
from armillary.wire.encoding.cbor_fields import MAX_TIME

MAX_NOTE_CHARS: Final = 200

_LIST: Final = "List them: armillary attestation-policy firmware list."


class FirmwareReferences:
    """Stores the statements. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, chips: Chips, policies: AttestationPolicies) -> None:
        self._context = context
        self._chips = chips
        self._policies = policies

    def list(self, catalog: str) -> tuple[StoredStatement, ...]:
        """A catalog's statements, oldest first."""
        return self._context.records.read(
            lambda c: firmware_rows.of_catalog(c, catalog_or_raise(c, catalog).catalog_id)
        )

    def add(
        self, catalog: str, chip: str, values: Any, *, actor: str, note: str = "", expires_at: int | None = None
    ) -> StoredStatement:
        """State which firmware is good on a chip, from each device's next check-in on.

        With the first statement for a chip every device of it with a TPM has to send its firmware's log. ``values`` are
        the JSON form of ``attest/firmware_reference.py``, ``note`` says where they come from, ``expires_at`` (Unix
        seconds UTC) until when they are good; None for no end.

        Raises:
            NotFoundError: no such catalog or chip.
            InvalidArgumentError: a value is not of this form, the note is too long, or the end is in the past.
            ConflictError: the catalog has as many statements as it may have.
        """
        profile = self._chips.get(chip)
        stated = rules.from_json(values)
        now = self._context.now()
        if len(note) > MAX_NOTE_CHARS or not note.isprintable():
            raise InvalidArgumentError(f"note: expected at most {MAX_NOTE_CHARS} printable characters", remedy=_LIST)
        if expires_at is not None and not now < expires_at <= MAX_TIME:
            raise InvalidArgumentError(
                f"expires_at: expected a time after now ({now}), got {expires_at}",
                remedy="Values that are over shut devices out; remove them instead.",
            )

        def write(connection: Connection) -> StoredStatement:
            found = catalog_or_raise(connection, catalog)
            if len(firmware_rows.of_catalog(connection, found.catalog_id)) >= rules.MAX_LISTS:
                raise ConflictError(
                    f"catalog {found.name} has {rules.MAX_LISTS} lists of firmware reference values",
                    remedy="Remove one that no device needs: armillary attestation-policy firmware remove.",
                )
            made = StoredStatement(
                statement_id=uuid4(),
                catalog_id=found.catalog_id,
                chip=profile.name,
                note=note,
                values=stated,
                expires_at=expires_at,
                stated_at=now,
                stated_by=actor,
            )
            firmware_rows.add(connection, made)
            self._context.audit(connection, actor, "attestation-policy.firmware-add", found.name, _detail(made))
            return made

        made = self._context.records.write(write)
        self._policies.refresh()
        return made

    def remove(self, catalog: str, statement_id: UUID, *, actor: str) -> StoredStatement:
        """Remove a statement. Without any left for a chip, firmware is not compared there.

        NotFoundError if the catalog has no such statement.
        """

        def write(connection: Connection) -> StoredStatement:
            found = catalog_or_raise(connection, catalog)
            stated = firmware_rows.of_catalog(connection, found.catalog_id)
            gone = next((one for one in stated if one.statement_id == statement_id), None)
            if gone is None:
                raise NotFoundError(
                    f"catalog {found.name} has no firmware reference values {statement_id}", remedy=_LIST
                )
            firmware_rows.remove(connection, statement_id)
            self._context.audit(connection, actor, "attestation-policy.firmware-remove", found.name, _detail(gone))
            return gone

        gone = self._context.records.write(write)
        self._policies.refresh()
        return gone

    def of_device(self, device_id: str) -> DeviceFirmware:
        """What a device's firmware measured when its TPM last quoted it; NotFoundError if it never reported any."""
        found = self._context.records.read(lambda c: firmware_rows.of_device(c, device_id))
        if found is None:
            raise NotFoundError(
                f"device {device_id[:16]}... has no recorded log of its firmware",
                remedy="Devices with a TPM and a log that replays send it at their next check-in: "
                "docs/concepts/roots-of-trust.md.",
            )
        return found


def _detail(stated: StoredStatement) -> dict[str, object]:
    """Details of the audit line; with the values, because they decide which devices are attested."""
    return {
        "statement_id": str(stated.statement_id),
        "chip": stated.chip,
        "note": stated.note,
        "expires_at": stated.expires_at,
        "values": rules.to_json(stated.values),
    }
