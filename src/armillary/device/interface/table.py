# SPDX-License-Identifier: Apache-2.0
"""The table of methods: finds the row of a request, checks its capability, has it answered.

The order for every request: (1) it is a request; (2) there is such a method; (3) the application's grant has the
capability, else the refusal is reported; (4) it is answered.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from armillary.device.interface.method import Answer, Call, Method, error_id, is_granted
from armillary.device.interface.session import Session
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import ArmillaryError, WireError
from armillary.wire.device.interface.message import Request, answer, read_request, refusal
from armillary.wire.encoding.json_fields import JsonFields

# Of the interface: methods are added without another number; one that changes what it means gets one.
VERSION = 1
_REMEDY = "See docs/reference/application-interface.md for the methods and their parameters."
_log = logging.getLogger(__name__)


class Asker(Protocol):
    """The connection that asked."""

    def notify(self, event: str, data: Mapping[str, Any]) -> None:
        """Send an event."""
        ...

    def on_disconnect(self, callback: Callable[[], object]) -> None:
        """Call something when it ends."""
        ...


class MethodTable:
    """All methods of one device, by name."""

    def __init__(self, rows: Iterable[Method], *, device_id: str = "") -> None:
        self._device_id = device_id
        self._rows: dict[str, Method] = {}
        for row in (Method("interface.describe", None, self._describe), *rows):
            if row.name in self._rows:
                raise ValueError(f"two methods are named {row.name}")
            self._rows[row.name] = row

    @property
    def rows(self) -> tuple[Method, ...]:
        """The methods, by name."""
        return tuple(self._rows[name] for name in sorted(self._rows))

    async def _describe(self, call: Call) -> Mapping[str, Any]:
        """What an application asks first: who it is to its device, and what it may ask for."""
        call.parameters.finish()
        grant = call.session.grant
        return {
            "version": VERSION,
            "device_id": self._device_id,
            "component_id": str(grant.component_id),
            "image_id": str(call.session.application.image_id),
            "methods": [row.name for row in self.rows if is_granted(grant, row.capability)],
        }

    async def answer(
        self, session: Session, message: Mapping[str, Any], asker: Asker
    ) -> tuple[dict[str, Any], Answer | None]:
        """The message that answers another, and what has descriptors that go with it."""
        try:
            request = read_request(message)  # (1)
        except WireError as error:
            number = message.get("id")
            known = number if type(number) is int and number >= 0 else None
            return refusal(known, errno.EINVAL, error.message, remedy=_REMEDY, named=error.code), None
        row = self._rows.get(request.method)  # (2)
        if row is None:
            return refusal(request.id, errno.ENOSYS, f"there is no method {request.method}", remedy=_REMEDY), None
        if not is_granted(session.grant, row.capability) and row.capability is not None:  # (3)
            problem = session.not_granted(row.name, row.capability)
            return _refused(request.id, problem, row.capability), None
        return await self._answer(row, session, request, asker)  # (4)

    async def _answer(
        self, row: Method, session: Session, request: Request, asker: Asker
    ) -> tuple[dict[str, Any], Answer | None]:
        parameters = JsonFields(request.parameters, "parameters", _REMEDY)
        try:
            found = await row.answer(
                Call(
                    session=session,
                    method=row.name,
                    parameters=parameters,
                    notify=asker.notify,
                    on_disconnect=asker.on_disconnect,
                )
            )
        except OSError as problem:
            return _refused(request.id, problem, row.capability), None
        except ArmillaryError as error:
            azure = error.number if isinstance(error, RequestRefusedError) else None
            said = {"remedy": error.remedy, "named": error.code}
            return refusal(request.id, errno.EINVAL, error.message, **said, error_id=azure), None
        except Exception:  # noqa: BLE001 - the outermost loop of a call: a defect of one method is that call's alone
            _log.exception(
                "interface.method-failed", extra={"method": row.name, "application": session.application.name}
            )
            return refusal(request.id, errno.EIO, "the device failed at it; its log says why"), None
        given = found if isinstance(found, Answer) else Answer(result=found or {})
        return answer(request.id, given.result, descriptors=len(given.descriptors)), given


def _refused(number: int, problem: OSError, capability: str | None) -> dict[str, Any]:
    code = problem.errno or errno.EIO
    needed = error_id(capability) if code == errno.EACCES and capability is not None else None
    return refusal(number, code, problem.strerror or os.strerror(code), error_id=needed)
