# SPDX-License-Identifier: Apache-2.0
"""``azure-iot-device`` with ``websockets=True``: every call, over port 443 (the only one it knows) of ``websocket_port``."""

from __future__ import annotations

from pathlib import Path

from tests.api.running_service import RunningService, fresh
from tests.conformance.azure_sdk import Sdk, https_hub, sas_connection, sdk
from tests.conformance.test_azure_iot_device import attested, x509_of
from tests.conformance.test_azure_iot_device_calls import DEVICE, walk

__all__ = ["https_hub", "sdk"]

OVER_WEBSOCKET = DEVICE.replace(
    'product_info=os.environ.get("MODEL", ""))', 'product_info=os.environ.get("MODEL", ""), websockets=True)'
).replace('os.environ["HUB"], os.environ["DEVICE"])', 'os.environ["HUB"], os.environ["DEVICE"], websockets=True)')


def test_the_script_asks_for_websocket() -> None:
    assert OVER_WEBSOCKET.count("websockets=True") == 2


def test_every_call_of_a_device_that_attests(sdk: Sdk, https_hub: RunningService, tmp_path: Path) -> None:
    device, path = attested(https_hub, tmp_path)
    own = {"HUB": https_hub.host, "DEVICE": device, **x509_of(path)}
    walk(https_hub, sdk.start(OVER_WEBSOCKET, https_hub, tmp_path, **own), device)


def test_every_call_with_a_symmetric_key(sdk: Sdk, https_hub: RunningService, tmp_path: Path) -> None:
    device = fresh("cable")
    made = sas_connection(https_hub, device)
    walk(https_hub, sdk.start(OVER_WEBSOCKET, https_hub, tmp_path, CONNECTION=made["connection_string"]), device)
