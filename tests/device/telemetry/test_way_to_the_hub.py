# SPDX-License-Identifier: Apache-2.0
"""The device's own proxy is the way of its telemetry as well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.device.rig import Rig

from armillary.device.process import Device
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.file import FileFlash


@pytest.mark.anyio
async def test_readings_take_the_proxy_of_the_device(rig: Rig) -> None:
    sender = Device(rig.folder, sandbox=rig.sandbox)._telemetry(cast("Any", SimpleNamespace(hub=None)))
    assert sender._find_proxy() is None
    kept = NetworkConfiguration(FileFlash(rig.folder / "flash"))
    way = {"enabled": True, "address": "proxy.example", "port": 3128, "noProxyAddresses": []}
    kept.set_proxy({**way, "authenticationType": "anonymous"})
    assert kept.proxy_in_use() is not None
    assert sender._find_proxy() == kept.proxy_in_use()
