# SPDX-License-Identifier: Apache-2.0
"""The plain list of the devices at this host, by which Azure Sphere's tools find one: this device alone.

It is HTTP without TLS at loopback and says where the device's API is, nothing else of it.
"""

from __future__ import annotations

import json

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response

from armillary.device.rest.answering import HEADERS, check_host
from armillary.device.state.request_refused import RequestRefusedError

PATH = "/api/service/devices"


class DeviceList:
    """Answers with one device, at the address and by the connection of its API."""

    def __init__(self, address: str, url: str) -> None:
        self._found = [{"IpAddress": address, "DeviceConnectionPath": url}]

    async def answer(self, request: BaseRequest) -> Response:
        """Answer a request, whatever it is."""
        try:
            check_host(request)
        except RequestRefusedError:
            return Response(status=403, headers=HEADERS)
        if request.method != "GET" or request.raw_path != PATH or "Origin" in request.headers:
            return Response(status=404, headers=HEADERS)
        return Response(body=json.dumps(self._found).encode(), content_type="application/json", headers=HEADERS)
