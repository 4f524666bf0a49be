# SPDX-License-Identifier: Apache-2.0
"""Method of the network's configuration that an application may read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.device.interface.method import Call, Method


class Network:
    """Says over what the device reaches others."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """The row."""
        return (Method("network.proxy", "ReadNetworkProxyConfig", self._proxy),)

    async def _proxy(self, call: Call) -> Mapping[str, Any]:
        """A device of this version connects directly, whatever the environment of its process says."""
        call.parameters.finish()
        return {"enabled": False}
