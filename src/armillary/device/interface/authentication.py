# SPDX-License-Identifier: Apache-2.0
"""Method of device authentication: whether the certificate for servers is there, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.device.checkin.daa import DeviceAuthentication
from armillary.device.interface.method import Call, Method


class Authentication:
    """Answers from the folder that applications with the capability see."""

    def __init__(self, daa: DeviceAuthentication) -> None:
        self._daa = daa

    @property
    def methods(self) -> tuple[Method, ...]:
        """The row."""
        return (Method("authentication.status", "DeviceAuthentication", self._status),)

    async def _status(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return {"ready": self._daa.ready, "expires_at": self._daa.expires()}
