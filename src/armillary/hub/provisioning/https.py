# SPDX-License-Identifier: Apache-2.0
"""The provisioning service over HTTP, on the hub's ports: register, poll, look up (``wire/hub/provisioning_http.py``).

Bodies, results and limits are those over MQTT (``mqtt.py``). Each request is authenticated: its client certificate or
shared access signature has to match an enrolment for the registration id of the address. The answer to one that does
not match says no more than that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from armillary.errors import ArmillaryError, WireError
from armillary.hub.link.counters import Counters
from armillary.hub.link.https import HttpReply, HttpRequest
from armillary.hub.provisioning.mqtt import owner_of
from armillary.hub.provisioning.registrations import (
    BAD_REQUEST,
    FAULT,
    NO_OPERATION,
    NO_REGISTRATION,
    RETRY_AFTER_S,
    Registrations,
    refusal,
)
from armillary.wire.hub.credentials import HubCredentials
from armillary.wire.hub.provisioning import assigning_body, error_body, parse_request, result_body, state_body
from armillary.wire.hub.provisioning_http import METHODS, CallKind, ProvisioningCall, parse_target

_UNAUTHORIZED: Final = 401002
_BAD_METHOD: Final = 405001

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class ProvisioningHttp:
    """Answers requests to addresses of the provisioning service. Lives in the hub's loop."""

    _registrations: Registrations
    _check_certificate: Callable[[bytes | None], object]  # Raises ArmillaryError if it is not valid now
    _counters: Counters

    async def answer(self, request: HttpRequest) -> HttpReply:
        """The answer to a request; raises nothing."""
        try:
            call = parse_target(request.target)
        except WireError as error:
            return _error(BAD_REQUEST, error.message)
        allowed = METHODS[call.kind]
        if request.method != allowed:
            return _error(_BAD_METHOD, f"expected {allowed}", (("allow", allowed),))
        applicant = await self._applicant(call, request)
        if applicant is None:
            return _error(_UNAUTHORIZED, "unauthorized")
        try:
            return await self._act(call, applicant, request.body)
        except ArmillaryError as error:
            return _refused(call, error)

    async def _applicant(self, call: ProvisioningCall, request: HttpRequest) -> Any | None:
        """Who asks; None if no enrolment matches: which of all reasons it was is for the log."""
        credentials = HubCredentials(request.certificate, call.registration_id, request.authorization)
        authenticate = self._registrations.authority.authenticate
        try:
            self._check_certificate(request.certificate)
            return await asyncio.to_thread(authenticate, call.scope, call.registration_id, credentials)
        except ArmillaryError as error:
            self._counters.connections_refused += 1
            _log.info("hub.registration-refused", registration=call.registration_id[:40], why=error.message)
            return None

    async def _act(self, call: ProvisioningCall, applicant: Any, body: bytes) -> HttpReply:
        registrations, owner = self._registrations, owner_of(call.scope, call.registration_id)
        if call.kind is CallKind.LOOK_UP:
            found = await asyncio.to_thread(registrations.authority.look_up, applicant)
            return HttpReply(200, json.loads(state_body(found)))
        if call.kind is CallKind.REGISTER:
            request = parse_request(body)
            self._counters.provisioning_connections += 1
            return _assigning(registrations.begin(owner, applicant, request))
        result = registrations.result(owner, call.operation_id)
        if result is None:
            return _assigning(call.operation_id)
        return HttpReply(200, json.loads(result_body(call.operation_id, result)))


def _refused(call: ProvisioningCall, error: ArmillaryError) -> HttpReply:
    code, message, retry_after_s = refusal(error, NO_OPERATION if call.kind is CallKind.POLL else NO_REGISTRATION)
    if code == FAULT:
        _log.error("hub.registration-failed", registration=call.registration_id[:40], why=error.message)
    return _error(code, message, () if retry_after_s is None else (("retry-after", str(retry_after_s)),))


def _assigning(operation_id: str) -> HttpReply:
    return HttpReply(202, json.loads(assigning_body(operation_id)), (("retry-after", str(RETRY_AFTER_S)),))


def _error(code: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> HttpReply:
    return HttpReply(code // 1000, json.loads(error_body(code, message)), headers)
