# SPDX-License-Identifier: Apache-2.0
"""What operators do with a device's log: ask the device for it, see where the request stands, read the answer.

Each request and each reading is an audit entry in its own transaction. Contributors do both: a log may hold what an
application worked on, which Readers see nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.queries.security import device_logs as log_rows
from armillary.engines.records.queries.security.device_logs import LogAnswer, LogRequest, Owned
from armillary.engines.records.schema.rows import Device
from armillary.errors import ConflictError, NotFoundError
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.names import no_such_device
from armillary.wire.device.update_status import LOG
from armillary.wire.hub.credentials import UNATTESTED

# A device that was away for a long weekend still answers; whoever asked before that has forgotten why.
REQUEST_S: Final = 7 * 86_400
# Long enough to look into a fault, short for what may belong to a person.
KEPT_S: Final = 7 * 86_400
# A request whose time is over is shown as not answered for so long.
UNANSWERED_S: Final = 30 * 86_400

NEVER, WAITING, ANSWERED, UNANSWERED = "never", "waiting", "answered", "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStanding:
    """Where a device's log stands; times in Unix seconds UTC.

    Attributes:
        state: Of the newest request: ``never`` asked, ``waiting``, ``answered``, or ``unanswered`` within its time.
        answers: Whether the device answers such requests, as it said at its last check-in; None before its first.
        refused: Why the device cannot be asked now, in words; empty where it can.
        request: The newest request that was not answered.
        answer: The newest answer, which may be to a request before.
    """

    device_id: str
    state: str
    answers: bool | None
    refused: str
    request: LogRequest | None
    answer: LogAnswer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogText:
    """An answer with its lines, oldest first."""

    device_id: str
    answer: LogAnswer
    lines: tuple[str, ...]


class DeviceLogs:
    """Operations on the logs of devices."""

    def __init__(self, context: Context, notices: Notices) -> None:
        self._context = context
        self._notices = notices

    def standing(self, device_id: str) -> LogStanding:
        """Where the log of a device stands; NotFoundError for no such device."""
        return self._context.records.read(lambda c: self._standing(c, self._device(c, device_id)))

    def ask(self, device_id: str, *, actor: str) -> LogStanding:
        """Ask a device for the newest lines of its log. It is told at its next check-in, and asked to make it now.

        Raises:
            NotFoundError: no such device.
            ConflictError: it is asked already, or cannot be asked; the message says which.
        """
        now = self._context.now()

        def change(connection: Connection) -> LogStanding:
            device = self._device(connection, device_id)
            before = self._standing(connection, device)
            if before.refused or device.catalog_id is None:
                raise ConflictError(
                    f"device {device.device_id[:16]}... {before.refused}",
                    remedy="Read what it sent last: armillary device log --device ID.",
                )
            request = LogRequest(
                request_id=uuid4(),
                catalog_id=device.catalog_id,
                asked_at=now,
                asked_by=actor,
                ends_at=now + REQUEST_S,
            )
            log_rows.ask(connection, self._owned(connection, device), request)
            device_rows.change(connection, device.device_id, {"check_now_at": now})
            self._context.audit(
                connection, actor, "device.ask-log", device.device_id, {"request_id": str(request.request_id)}
            )
            return self._standing(connection, device)

        made = self._context.records.write(change)
        self._notices.devices_asked((made.device_id,))
        return made

    def read(self, device_id: str, *, actor: str) -> LogText:
        """The newest answer of a device; the reading is audited before anything is returned.

        Raises:
            NotFoundError: no such device, or nothing of its log is kept.
        """
        now = self._context.now()

        def change(connection: Connection) -> LogText:
            device = self._device(connection, device_id)
            owned = self._owned(connection, device)
            answer = log_rows.answer_of(connection, owned, now=now)
            if answer is None:
                raise NotFoundError(
                    f"nothing of the log of device {device.device_id[:16]}... is kept",
                    remedy="Ask the device for it: armillary device log --device ID --ask.",
                )
            detail = {"answered_at": answer.answered_at, "lines": answer.line_count}
            self._context.audit(connection, actor, "device.read-log", device.device_id, detail)
            content = log_rows.content_of(connection, owned).decode()
            lines = tuple(content.split("\n")) if answer.line_count else ()
            return LogText(device_id=device.device_id, answer=answer, lines=lines)

        return self._context.records.write(change)

    def remove_ended(self) -> None:
        """Delete what is kept no longer."""
        now = self._context.now()
        self._context.records.write(lambda c: log_rows.remove_ended(c, kept=now, asked=now - UNANSWERED_S))

    def _device(self, connection: Connection, device_id: str) -> Device:
        found = device_rows.one(connection, device_id.lower(), **self._context.as_of)
        if found is None:
            raise no_such_device(device_id)
        return found

    def _owned(self, connection: Connection, device: Device) -> Owned:
        found = log_rows.owned(connection, device.device_id)
        if found is None:
            raise no_such_device(device.device_id)
        return found

    def _standing(self, connection: Connection, device: Device) -> LogStanding:
        now, owned = self._context.now(), self._owned(connection, device)
        request = log_rows.request_of(connection, owned)
        answer = log_rows.answer_of(connection, owned, now=now)
        state = NEVER if answer is None else ANSWERED
        if request is not None:
            state = WAITING if request.ends_at > now else UNANSWERED
        answers = _answers(device)
        return LogStanding(
            device_id=device.device_id,
            state=state,
            answers=answers,
            refused=_refusal(device, answers, request if state == WAITING else None),
            request=request,
            answer=answer,
        )


def _answers(device: Device) -> bool | None:
    if device.trust_tier == UNATTESTED:
        return False
    if device.last_check_in_at is None:
        return None
    return device.update_status is not None and LOG in device.update_status.abilities


def _refusal(device: Device, answers: bool | None, waiting: LogRequest | None) -> str:  # noqa: FBT001 - None too
    """Why a device cannot be asked; empty where it can."""
    if device.catalog_id is None:
        return "belongs to no catalog"
    if device.revoked_at is not None:
        return "was revoked: it is let in for nothing"
    if answers is False:
        return "does not answer such requests: its software does not send its log"
    if waiting is not None:
        return f"was asked by {waiting.asked_by} and has not answered yet"
    return ""
