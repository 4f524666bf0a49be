# SPDX-License-Identifier: Apache-2.0
"""Devices' requests over HTTP: begin a file upload and report how it went (as IoT Hub has it), and register."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import structlog

from armillary.errors import (
    ArmillaryError,
    DeviceFault,
    InvalidArgumentError,
    NotFoundError,
    RateLimitedError,
    WireError,
)
from armillary.hub.devices.files import CONTAINER, FileUploads
from armillary.hub.link.admission import Identify
from armillary.hub.link.counters import Counters
from armillary.hub.link.http_opening import ServiceConnections, is_of_service
from armillary.hub.link.https import MAX_CONNECTIONS, HttpChannel, HttpReply, HttpRequest
from armillary.hub.link.tls import TlsChannel
from armillary.hub.provisioning.https import ProvisioningHttp
from armillary.wire.hub.credentials import HubCredentials
from armillary.wire.hub.provisioning_http import is_provisioning

# The correlation id of a notification is in the body, or (older clients, and Node's to this day) in the path.
_FILES: Final = re.compile(r"/devices/([^/]{1,200})/files(/notifications(?:/([^/]{1,200}))?)?/?")
_STATUS: Final[tuple[tuple[type[ArmillaryError], int], ...]] = (
    (RateLimitedError, 429),
    (InvalidArgumentError, 400),
    (NotFoundError, 404),
    (DeviceFault, 401),
    (WireError, 401),
)

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class DeviceHttps:
    """HTTP connections of devices. Lives in the hub's loop."""

    _identify: Identify  # Says who a client is; raises ArmillaryError for one that is not let in
    _counters: Counters
    _files: FileUploads
    _storage_host: Callable[[], str]  # ``host:port`` that the signed addresses name; asked with each request
    _services: ServiceConnections
    _provisioning: ProvisioningHttp | None  # Answers requests of devices that register; None where none may
    _channels: dict[HttpChannel, None] = field(default_factory=dict, init=False)  # in the order in which they came

    @property
    def registers(self) -> bool:
        """Whether devices may register."""
        return self._provisioning is not None

    def take(self, transport: TlsChannel, certificate: bytes | None, data: bytes) -> None:
        """A connection to the hub has begun with HTTP: it is no MQTT client.

        When there are too many, the one that has been idle longest is closed: idle clients keep none out that ask.
        """
        if len(self._channels) >= MAX_CONNECTIONS:
            self._counters.connections_refused += 1
            waiting = next((each for each in self._channels if each.is_waiting), None)
            if waiting is None:
                transport.abort()
                return
            self._gone(waiting)
            waiting.abort()

        def passed_on(request: bytes) -> bool:
            if not (self._services.are_answered and is_of_service(request)):
                return False
            self._services.hand_over(transport, certificate, request)
            return True

        channel = HttpChannel(transport, certificate, self.answer, self._gone, passed_on)
        self._channels[channel] = None
        transport.set_protocol(channel)
        channel.data_received(data)

    def close(self) -> None:
        """Close every connection."""
        for channel in tuple(self._channels):
            channel.abort()

    def _gone(self, channel: HttpChannel) -> None:
        self._channels.pop(channel, None)

    async def answer(self, request: HttpRequest) -> HttpReply:
        """What a device asks, or the refusal of what is no such thing. In the hub's loop; raises nothing."""
        if self._provisioning is not None and is_provisioning(request.target):
            return await self._provisioning.answer(request)
        found = _FILES.fullmatch(request.target.partition("?")[0])
        if found is None:
            return HttpReply(404, {"Message": "ErrorCode:NotFound;there is no such route"})
        if request.method != "POST":
            return HttpReply(405, {"Message": "ErrorCode:MethodNotAllowed;POST"}, (("allow", "POST"),))
        try:
            device_id = self._device(unquote(found[1]), request)
            document = _document(request.body)
            if found[2]:
                await asyncio.to_thread(self._notify, device_id, document, found[3])
                return HttpReply(204)
            return HttpReply(200, await asyncio.to_thread(self._begin, device_id, document))
        except ArmillaryError as error:
            return _refused(error)

    def _device(self, device_id: str, request: HttpRequest) -> str:
        peer = self._identify(HubCredentials(request.certificate, device_id, request.authorization))
        if peer.identity != device_id.lower() and peer.identity != device_id:
            raise WireError(
                "https", expected="the device of the certificate", got="another", code="wire.hub-topic-foreign"
            )
        return peer.identity

    def _begin(self, device_id: str, document: dict[str, Any]) -> dict[str, str]:
        name = document.get("blobName")
        if not isinstance(name, str):
            raise InvalidArgumentError("blobName: expected text", remedy="Name the file.")
        upload, permission = self._files.begin(device_id, name)
        self._counters.uploads_begun += 1
        return {
            "correlationId": upload.upload_id,
            "hostName": self._storage_host(),
            "containerName": CONTAINER,
            "blobName": f"{device_id}/{upload.name}",
            "sasToken": permission,
        }

    def _notify(self, device_id: str, document: dict[str, Any], in_path: str | None) -> None:
        correlation, good = document.get("correlationId"), document.get("isSuccess")
        if in_path is not None:
            if correlation not in (None, unquote(in_path)):
                raise InvalidArgumentError(
                    "correlationId: expected that of the path, got another", remedy="Leave it out of the body."
                )
            correlation = unquote(in_path)
        if not isinstance(correlation, str) or not isinstance(good, bool):
            raise InvalidArgumentError(
                "correlationId, isSuccess: expected text and true or false", remedy="Correct the notification."
            )
        said = f"{document.get('statusCode', '')} {document.get('statusDescription', '')}".strip()
        self._files.settle(device_id, correlation, good=good, status=said)


def _document(body: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(body.decode("utf-8"))
        if isinstance(document, dict):
            return document
    raise InvalidArgumentError("body: expected a JSON object", remedy="Correct the request.")


def _refused(error: ArmillaryError) -> HttpReply:
    status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
    if status == 500:
        _log.error("hub.https-failed", why=error.message)
    headers = (("retry-after", str(error.retry_after_s)),) if isinstance(error, RateLimitedError) else ()
    return HttpReply(status, {"Message": f"ErrorCode:{error.code};{error.message}", "Remedy": error.remedy}, headers)
