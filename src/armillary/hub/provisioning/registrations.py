# SPDX-License-Identifier: Apache-2.0
"""Registrations under way and their results, for clients over MQTT and HTTP alike.

A registration runs in a thread; its result is kept under an operation id, so that a client whose answer got lost polls
again. Only the client that began an operation gets its result. A client has one registration at a time and the result
of its last, so that none uses up what others may have.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from armillary.errors import ArmillaryError, NotFoundError, RateLimitedError, WireError
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.counters import Counters
from armillary.wire.hub.credentials import HubCredentials
from armillary.wire.hub.provisioning import RegistrationRequest, RegistrationResult

# What the client waits before it polls (seconds).
RETRY_AFTER_S: Final = 1
# Registrations under way; beyond, clients are asked to come back after this time (seconds).
MAX_PENDING: Final = 64
BUSY_RETRY_S: Final = 5
# Results are kept for polls so long (seconds), and so many of them.
RESULT_LIFE_S: Final = 600.0
MAX_RESULTS: Final = 10_000
# The service's error codes: an HTTP status and three digits.
BAD_REQUEST: Final = 400004
NO_REGISTRATION: Final = 404201
NO_OPERATION: Final = 404205
BUSY: Final = 429001
FAULT: Final = 500001

_log = structlog.get_logger(__name__)


class RegistrationAuthority(Protocol):
    """Decides which devices may register, and registers them: the security service."""

    def authenticate(self, scope: str, registration_id: str, credentials: HubCredentials, /) -> Any:
        """Who asks; must not block for long. Raises ArmillaryError if no enrolment matches the credentials."""

    def register(self, applicant: Any, request: RegistrationRequest, /) -> RegistrationResult:
        """Register whom :meth:`authenticate` returned; called in a thread."""

    def look_up(self, applicant: Any, /) -> RegistrationResult:
        """What the applicant is registered as; called in a thread. Raises NotFoundError if it never registered."""


@dataclass(slots=True)
class _Operation:
    owner: str
    begun: float
    request: RegistrationRequest
    is_under_way: bool = True
    result: RegistrationResult | None = None


def announced_model(request: RegistrationRequest) -> str | None:
    """The model a client says its device follows (IoT Plug and Play; the older name is IoT Central's)."""
    if isinstance(request.payload, dict):
        for name in ("modelId", "iotcModelId"):
            if isinstance(request.payload.get(name), str):
                return str(request.payload[name])
    return None


def refusal(error: ArmillaryError, absent: int) -> tuple[int, str, int | None]:
    """Error code, message and seconds to wait before the next try; ``absent`` is the code of what is not found."""
    if isinstance(error, RateLimitedError):
        return BUSY, error.message, error.retry_after_s
    if isinstance(error, WireError):
        return BAD_REQUEST, error.message, None
    if isinstance(error, NotFoundError):
        return absent, error.message, None
    return FAULT, "the service could not do it; its log has the reason", None


class Registrations:
    """Registrations of one hub. Lives in the hub's loop."""

    def __init__(
        self,
        authority: RegistrationAuthority,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        first_twin: Callable[[str, Any], None],  # Gives a new device its first twin; called in the hub's loop
        notices: HubNotices,
    ) -> None:
        self.authority = authority
        self._loop = loop
        self._counters = counters
        self._first_twin = first_twin
        self._notices = notices
        self._operations: dict[str, _Operation] = {}
        self._last: dict[str, str] = {}  # owner -> operation id
        self._pending = 0
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="provisioning")

    def close(self) -> None:
        """End the threads; what they began is recorded or not."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self, owner: str, applicant: Any, request: RegistrationRequest) -> str:
        """Begin a registration; its operation id. The same request again, while it is under way, is the same operation.

        ``owner`` (scope and registration id) is the client that may poll for it; ``applicant`` is what the authority's
        ``authenticate`` returned.

        Raises:
            RateLimitedError: too many are under way, or another one of this owner is.
        """
        last = self._last.get(owner, "")
        before = self._operations.get(last)
        if before is not None and before.is_under_way:
            if before.request == request:
                return last
            raise RateLimitedError("a registration of this device is under way", retry_after_s=RETRY_AFTER_S)
        if self._pending >= MAX_PENDING:
            raise RateLimitedError("too many registrations at once", retry_after_s=BUSY_RETRY_S)
        operation_id = f"5.{secrets.token_hex(8)}.{secrets.token_hex(8)}"
        self._operations.pop(last, None)
        self._forget_old()
        self._operations[operation_id] = _Operation(owner, time.monotonic(), request)
        self._last[owner] = operation_id
        self._pending += 1
        future = self._loop.run_in_executor(self._threads, self.authority.register, applicant, request)
        future.add_done_callback(lambda done: self._registered(operation_id, request, done))
        return operation_id

    def result(self, owner: str, operation_id: str) -> RegistrationResult | None:
        """What became of a registration; None while it is under way.

        Raises:
            NotFoundError: there is none of this id that this client began.
        """
        operation = self._operations.get(operation_id)
        if operation is None or operation.owner != owner:
            raise NotFoundError("there is no such operation", remedy="Register again.")
        return operation.result

    def _registered(
        self, operation_id: str, request: RegistrationRequest, done: asyncio.Future[RegistrationResult]
    ) -> None:
        self._pending -= 1
        operation = self._operations.get(operation_id)
        if operation is not None:
            operation.is_under_way = False
        try:
            result = done.result()
        except (ArmillaryError, asyncio.CancelledError) as error:
            _log.error("hub.registration-failed", registration=request.registration_id[:40], why=str(error))
            result = RegistrationResult(
                registration_id=request.registration_id,
                status="failed",
                error_code=FAULT,
                message="the service could not record it",
            )
        if result.status == "assigned":
            self._counters.provisioning_registrations += 1
            if result.initial_twin is not None:
                self._first_twin(result.device_id, result.initial_twin)
            model = announced_model(request)
            if model is not None:
                self._loop.run_in_executor(None, self._notices.on_model, result.device_id, model)
        if operation is not None:
            operation.result = result

    def _forget_old(self) -> None:
        """Drop what is too old, and the oldest when there are too many; they are in order of time."""
        limit = time.monotonic() - RESULT_LIFE_S
        while self._operations:
            oldest, operation = next(iter(self._operations.items()))
            if len(self._operations) < MAX_RESULTS and operation.begun > limit:
                return
            del self._operations[oldest], self._last[operation.owner]
