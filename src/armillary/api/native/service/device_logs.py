# SPDX-License-Identifier: Apache-2.0
"""Native routes of a device's log: ask the device for it, see where the request stands, read the answer."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_ids import DevicePath, attesting_device
from armillary.api.native.parameters import DEVICE


def show_device_log(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Where the log of a device stands: who asked for it, and when the newest answer came; without its lines."""
    from armillary.api.views.security import device_logs as views  # noqa: PLC0415 - memory: few services are asked

    return views.standing(service_of(request), attesting_device(request, device_id))


def ask_device_log(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Ask a device for the newest lines of its log; one request waits at a time. Who asks is audited."""
    from armillary.api.views.security import device_logs as views  # noqa: PLC0415 - memory, as above

    known = attesting_device(request, device_id)
    return views.asked(service_of(request), known, actor=operator_of(request).name)


def read_device_log(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """The newest lines of a device's log that it sent, oldest first, as it says; who reads them is audited."""
    from armillary.api.views.security import device_logs as views  # noqa: PLC0415 - memory, as above

    known = attesting_device(request, device_id)
    return views.lines(service_of(request), known, actor=operator_of(request).name)


_row = partial(Route, tag="devices")
_LOG = DEVICE + "/log"
ROUTES = (
    _row("GET", _LOG, show_device_log, READER),
    # What applications print is more than Readers see elsewhere.
    _row("POST", _LOG, ask_device_log, CONTRIBUTOR),
    _row("GET", _LOG + "/lines", read_device_log, CONTRIBUTOR),
)
