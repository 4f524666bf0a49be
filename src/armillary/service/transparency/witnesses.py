# SPDX-License-Identifier: Apache-2.0
"""Witnesses of the logs: whose cosignatures the service keeps, and the cosignatures."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.transparency import checkpoints as checkpoint_rows
from armillary.engines.records.transparency.checkpoints import WitnessRow
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, SignatureError
from armillary.service.context.context import Context
from armillary.service.transparency.logs import Cosigned, TransparencyLogs
from armillary.wire.transparency import note as notes
from armillary.wire.transparency.note import UnverifiedNote, VerifierKey, parse_verifier_key

# So that a checkpoint with all cosignatures is a note that everybody reads (``note.MAX_SIGNATURES``).
MAX_WITNESSES: Final = 16


class Witnesses:
    """Operations on witnesses."""

    def __init__(self, context: Context, logs: TransparencyLogs) -> None:
        self._context = context
        self._logs = logs

    def list(self) -> tuple[WitnessRow, ...]:
        """All witnesses, by name."""
        return self._context.records.read(checkpoint_rows.witnesses)

    def add(self, verifier_key: str, *, actor: str) -> WitnessRow:
        """Hear a witness from now on.

        Raises:
            WireError: it is no verifier key.
            InvalidArgumentError: it is not for cosignatures.
            ConflictError: there is one of this name, or there are as many as may be.
        """
        key = parse_verifier_key(verifier_key)
        if key.algorithm != notes.COSIGNATURE:
            raise InvalidArgumentError(
                f"verifier key: expected one of a witness (algorithm {notes.COSIGNATURE}), got {key.algorithm}",
                remedy="Make one: armillary audit witness create.",
            )
        made = WitnessRow(name=key.name, verifier_key=key.text, added_at=self._context.now(), added_by=actor)

        def change(connection: Connection) -> None:
            present = checkpoint_rows.witnesses(connection)
            if any(each.name == key.name for each in present):
                raise ConflictError(f"there is a witness {key.name}", remedy="Remove it first, or choose another name.")
            if len(present) >= MAX_WITNESSES:
                raise ConflictError(f"there are {MAX_WITNESSES} witnesses already", remedy="Remove one first.")
            checkpoint_rows.add_witness(connection, made)
            self._context.audit(connection, actor, "witness.add", key.name, {"verifier_key": key.text})

        self._context.records.write(change)
        return made

    def remove(self, name: str, *, actor: str) -> None:
        """Hear a witness no more; what it has cosigned stays. NotFoundError if there is none of this name."""

        def change(connection: Connection) -> None:
            if not checkpoint_rows.remove_witness(connection, name):
                raise NotFoundError(
                    f"there is no witness {name!r:.80}", remedy="List them: armillary audit witness list."
                )
            self._context.audit(connection, actor, "witness.remove", name, {})

        self._context.records.write(change)

    def keep(self, log: str, size: int, line: str, *, actor: str) -> Cosigned:
        """Keep a witness's cosignature of a checkpoint.

        Raises:
            NotFoundError: no checkpoint of this size was signed.
            SignatureError: no witness of this service has signed that checkpoint with it.
            WireError: it is no signature line.
        """
        signature = notes.parse_signature(line)
        found = self._logs.checkpoint(log, size)
        text = found.row.note.rpartition("\n\n")[0] + "\n"
        signed = notes.verify(UnverifiedNote(text, (signature,)), self._keys())
        key, at = signed.by[0], signed.times[0]
        if at is None:
            raise SignatureError("cosignature", expected="a witness's cosignature", got="another signature")

        def change(connection: Connection) -> None:
            checkpoint_rows.keep_cosignature(connection, log, size, key.text, signature.line, now=self._context.now())
            said = {"log": log, "size": size, "at": at}
            self._context.audit(connection, actor, "witness.cosign", key.name, said)

        self._context.records.write(change)
        return self._logs.checkpoint(log, size)

    def _keys(self) -> tuple[VerifierKey, ...]:
        return tuple(parse_verifier_key(each.verifier_key) for each in self.list())
