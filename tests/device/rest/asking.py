# SPDX-License-Identifier: Apache-2.0
"""A tool that asks a device's own API, request by request, also for what no tool should ask."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import urllib.parse
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.device.rig import FAST, Rig
from tests.fixtures.waiting import until

from armillary.device.rest.settings import RestSettings
from armillary.device.running import DeviceSettings
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import begin_state, select_capability
from armillary.engines.flash.file import FileFlash
from armillary.identity.manufacturing import ManufacturingState
from armillary.wire.image import capability_file

ANY_DEVICE = "*.devices.sphere.azure.local"
LIMIT_S = 20
REST = RestSettings(host="127.0.0.1", port=0)


@dataclass(frozen=True)
class Answer:
    """A reply: status, headers, and its JSON, or its bytes where it has none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, int]:
        """Status and Azure Sphere's number."""
        return self.status, self.body["error"]


class Tool:
    """Asks one device."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.address = rig.status()["rest"]
        self.context = ssl.create_default_context(cafile=self.address["ca"])

    @property
    def place(self) -> tuple[str, int]:
        parts = urllib.parse.urlsplit(self.address["url"])
        return str(parts.hostname), int(parts.port or 0)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own; ``_`` in names of headers stands for ``-``."""
        return await asyncio.to_thread(self._ask, method, path, body, headers)

    def _ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection = http.client.HTTPSConnection(*self.place, context=self.context, timeout=LIMIT_S)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            sent = {"Host": ANY_DEVICE, **given}
            if body is not None:
                data = body if isinstance(body, bytes) else str(body).encode()
                sent = {"Content-Length": str(len(data)), "Content-Type": "application/json", **sent}
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders()
            if body is not None:
                with contextlib.suppress(OSError):  # refused before all was sent
                    connection.send(data)
            reply = connection.getresponse()
            raw = reply.read()
            kind = reply.headers.get("Content-Type", "")
            return Answer(reply.status, reply.headers, json.loads(raw) if kind == "application/json" else raw)

    async def raw(self, data: bytes) -> bytes:
        """What the server says to these bytes, until it closes the connection."""
        reader, writer = await asyncio.open_connection(*self.place, ssl=self.context)
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(OSError):
                found = await reader.read()
        writer.close()
        return found


@contextlib.asynccontextmanager
async def tool_of(
    rig: Rig,
    state: ManufacturingState = ManufacturingState.BLANK,
    settings: RestSettings = REST,
    times: DeviceSettings = FAST,
) -> AsyncIterator[Tool]:
    """A tool for a device that was booted in this state, with its API."""
    begin_state(flash_of(rig), state)
    await rig.start(replace(times, rest=settings))
    await until(lambda: rig.status().get("last_check_in"), "check-in")
    yield Tool(rig)


def flash_of(rig: Rig) -> FileFlash:
    """The device's flash."""
    return FileFlash(DeviceFolder(rig.folder).flash)


def allow(rig: Rig, *capabilities: int) -> None:
    """Put a capability file of the service in force."""
    assert rig.device is not None
    service = rig.service
    data = capability_file.build(
        rig.device.device_id,
        capabilities,
        image_id=uuid.uuid4(),
        built=service.now,
        key=service.os_key,
        certificate=service.os_certificate,
    )
    select_capability(flash_of(rig), rig.device.configuration, data, now=service.now)
