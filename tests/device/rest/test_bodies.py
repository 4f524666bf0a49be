# SPDX-License-Identifier: Apache-2.0
"""Bodies that are JSON and yet no text: refused like any other, with Azure Sphere's number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.device.rest.asking import REST, tool_of
from tests.device.rig import Rig

from armillary.wire.device import azure_error

pytestmark = pytest.mark.anyio
HALF = "\ud800"  # json writes it as an escape


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/wifi/config/networks", {"ssid": HALF, "securityState": "open"}),
        ("/certstore/certs/one", {"certType": "rootca", "publicCert": HALF}),
        ("/certstore/certs/one", {"certType": "client", "publicCert": "x", "password": HALF}),
        ("/net/proxy", {"address": HALF, HALF: 1}),
    ],
)
async def test_half_a_character_is_refused(rig: Rig, path: str, body: dict[str, Any]) -> None:
    async with tool_of(rig, settings=replace(REST, simulated_wifi=True)) as tool:
        found = await tool.ask("POST", path, body)
        assert found.error == (400, azure_error.INVALID_PARAMETER)
        assert found.headers["Armillary-Message"] == "the%20body%20is%20no%20JSON%20in%20UTF-8"
        good = await tool.ask("POST", "/wifi/config/networks", {"ssid": "\U0001f600", "securityState": "open"})
        assert good.status == 200, "a pair of them is a character"
