# SPDX-License-Identifier: Apache-2.0
"""The device itself: status, security state, capabilities, manufacturing state, log, error reports, restart."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Final

from armillary.device.rest.answering import is_allowed
from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.log_lines import plain_line, without_secrets
from armillary.device.state.permission import advance_state, remove_capability, select_capability
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import DeviceStateError, SignatureError, WireError
from armillary.identity.manufacturing import ManufacturingState
from armillary.wire.device.azure_error import IMAGE_NOT_TRUSTED, INVALID_PARAMETER
from armillary.wire.device.error_report import ErrorReport
from armillary.wire.image import capability_file

# Tiers whose key no program of the device can read.
_SECURED_TIERS: Final = frozenset({"tpm", "silicon"})
# Azure Sphere's form of error data: three bytes, then the length of what follows in two, big endian.
_TELEMETRY_HEAD: Final = struct.Struct(">3sH")
_TELEMETRY_VERSION: Final = b"\x01\0\0"
MAX_TELEMETRY_BYTES: Final = 0xFFFF
MAX_LINE_CHARACTERS: Final = 2000


async def status(call: Call) -> object:
    """Seconds since the device started."""
    return {"uptime": int(call.device.clock.monotonic() - call.device.started)}


async def os_version(call: Call) -> object:
    """The version of the device OS that booted."""
    return {"osversion": call.device.startup.configuration.os_version}


async def security_state(call: Call) -> object:
    """The device id, and whether its key is out of reach of programs."""
    secured = call.device.trust_tier in _SECURED_TIERS
    return {
        "securityState": "Secured" if secured else "Unsecured",
        "deviceIdentifier": call.device.device_id,
        "deviceIdentityPublicKey": call.device.device_id,
    }


async def capabilities(call: Call) -> object:
    """Numbers of the capabilities in force, as in a capability file."""
    names = call.device.allowed().capabilities
    return {"device_capabilities": [number for number, name in capability_file.CAPABILITIES.items() if name in names]}


async def set_capabilities(call: Call) -> object:
    """Put a capability file in force that the service signed for this device; it takes the place of an earlier one."""
    data = bytearray()
    async for part in call.chunks:
        data += part
        if len(data) > capability_file.FILE_BYTES:
            break
    device = call.device
    try:
        found = select_capability(device.flash, device.startup.configuration, bytes(data), now=device.clock.now())
    except (WireError, SignatureError, DeviceStateError) as error:
        raise RequestRefusedError(IMAGE_NOT_TRUSTED, error.message, remedy=error.remedy) from error
    device.journal.write("capability-selected", capabilities=list(found.capabilities))
    await _end_debugging(call)
    return await capabilities(call)


async def clear_capabilities(call: Call) -> object:
    """Forget the capability file: the device is what its manufacturing state says."""
    remove_capability(call.device.flash)
    call.device.journal.write("capability-removed")
    await _end_debugging(call)
    return {}


async def manufacturing_state(call: Call) -> object:
    """The manufacturing state."""
    return {"manufacturingState": call.device.allowed().state.value}


async def set_manufacturing_state(call: Call) -> object:
    """Move the manufacturing state forward, for good; the service hears of it by its own command, not by this."""
    wanted = call.word("manufacturingState", tuple(each.value for each in ManufacturingState))
    try:
        state = advance_state(call.device.flash, ManufacturingState(wanted))
    except DeviceStateError as error:
        raise RequestRefusedError(INVALID_PARAMETER, error.message, remedy=error.remedy) from error
    call.device.journal.write("manufacturing-state", state=state.value)
    await _end_debugging(call)
    return {"manufacturingState": state.value}


async def _end_debugging(call: Call) -> None:
    """Let nobody debug any longer, unless what is in force now allows it as well."""
    if not is_allowed(Need.DEVELOPMENT, call.device.allowed()):
        await call.device.debugging.close()


async def log(call: Call) -> object:
    """The device's log as lines of text; what looks like a secret is hidden, as for the service."""

    def lines() -> bytes:
        entries = without_secrets(call.device.journal.entries())
        return "".join(f"{_one_line(plain_line(each, MAX_LINE_CHARACTERS))}\n" for each in entries).encode()

    return await asyncio.to_thread(lines)


async def telemetry(call: Call) -> object:
    """Error reports that wait for the service, the oldest first, as JSON; as many as the form has room for."""
    found: list[bytes] = []
    room = MAX_TELEMETRY_BYTES - 2
    for report in call.device.reports.waiting:
        text = json.dumps(_described(report), separators=(",", ":")).encode()
        room -= len(text) + 1
        if room < 0:
            break
        found.append(text)
    data = b"[" + b",".join(found) + b"]"
    return _TELEMETRY_HEAD.pack(_TELEMETRY_VERSION, len(data)) + data


async def clear_telemetry(call: Call) -> object:
    """Forget the error reports that wait."""
    reports = call.device.reports
    count = len(reports.waiting)
    reports.acknowledge(reports.waiting)
    call.device.journal.write("error-reports-cleared", count=count)
    return {}


async def restart(call: Call) -> object:
    """Start the device again, once this is answered."""
    asyncio.get_running_loop().call_later(RESTART_AFTER_S, call.device.restart, 0)
    return {"restartingSystem": True}


RESTART_AFTER_S: Final = 0.2  # the answer is on its way by then

ROUTES: Final = (
    Route(method="GET", path="status", answer=status, needs=Need.NOTHING),
    Route(method="GET", path="osversion", answer=os_version, needs=Need.OPEN),
    Route(method="GET", path="device/security_state", answer=security_state, needs=Need.NOTHING),
    Route(method="GET", path="device/capabilities", answer=capabilities, needs=Need.NOTHING),
    Route(method="PUT", path="device/capabilities", answer=set_capabilities, needs=Need.NOTHING, body=Body.PACKAGE),
    Route(method="DELETE", path="device/capabilities", answer=clear_capabilities, needs=Need.OPEN),
    Route(method="GET", path="device/manufacturing_state", answer=manufacturing_state, needs=Need.NOTHING),
    Route(
        method="PUT",
        path="device/manufacturing_state",
        answer=set_manufacturing_state,
        needs=Need.OPEN,
        body=Body.JSON,
    ),
    Route(method="GET", path="log", answer=log, needs=Need.OPEN),
    Route(method="GET", path="telemetry", answer=telemetry, needs=Need.OPEN),
    Route(method="DELETE", path="telemetry", answer=clear_telemetry, needs=Need.OPEN),
    Route(method="POST", path="restart", answer=restart, needs=Need.OPEN),
)


def _described(report: ErrorReport) -> dict[str, object]:
    """A report with the names of Azure's device insights."""
    return {
        "description": report.description,
        "eventType": report.event_type,
        "eventClass": report.event_class,
        "eventCategory": report.event_category,
        "eventCount": report.count,
        "startTimestampUtc": report.start,
        "endTimestampUtc": report.end,
    }


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
