# SPDX-License-Identifier: Apache-2.0
"""From a profile's link settings to a link."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from armillary.engines.equipment.bacnet import BacnetLink
from armillary.engines.equipment.framed_link import FramedLink
from armillary.engines.equipment.modbus_rtu import ModbusRtuLink, RtuBus
from armillary.engines.equipment.modbus_tcp import ModbusTcpLink
from armillary.engines.equipment.opcua import OpcUaLink
from armillary.engines.equipment.opening import open_link, with_overrides
from armillary.engines.equipment.port import Link
from armillary.wire.equipment.faults import RULES, LinkLibraryMissingError, ProfileError
from armillary.wire.equipment.profile import BacnetIp, FramedSerial, LinkSettings, ModbusRtu, ModbusTcp, OpcUa

PORTS = {"UART1": Path("/dev/ttyS1"), "UART2": Path("/dev/ttyS2")}
TCP, RTU = ModbusTcp(host="10.9.0.2"), ModbusRtu(port="UART2")


def opened(settings: LinkSettings, ports: dict[str, Path], overrides: dict[str, Any], *buses: Any) -> Link:
    return open_link(settings, ports, overrides, folder=Path("/nowhere"), buses=buses[0] if buses else None)


def test_each_settings_have_their_link():
    assert isinstance(opened(TCP, {}, {}), ModbusTcpLink)
    assert isinstance(opened(RTU, PORTS, {}), ModbusRtuLink)
    assert isinstance(opened(FramedSerial(port="UART1"), PORTS, {}), FramedLink)
    assert isinstance(opened(BacnetIp(host="10.9.0.2", device=7), PORTS, {}), BacnetLink)
    secure = OpcUa(url="opc.tcp://10.9.0.2:4840", server_certificate_sha256="ab" * 32)
    assert isinstance(opened(secure, PORTS, {}), OpcUaLink)


def test_overrides_replace_settings():
    settings = with_overrides(TCP, {"host": "10.9.0.3", "port": 1502, "timeout_s": 2})
    assert settings == ModbusTcp(host="10.9.0.3", port=1502, timeout_s=2.0)
    assert with_overrides(RTU, {"echo": True, "unit": 9}) == ModbusRtu(port="UART2", echo=True, unit=9)


@pytest.mark.parametrize(
    "overrides",
    [
        {"hosts": "x"},
        {"host": 1},
        {"port": "502"},
        {"port": True},
        {"unit": 1.0},
        {"timeout_s": "1"},
        {"unit": 0},
        {"port": 70000},
    ],
)
def test_overrides_that_are_no_settings_are_named(overrides: dict[str, Any]):
    with pytest.raises(ProfileError, match=next(iter(overrides))) as refused:
        with_overrides(TCP, overrides)
    assert refused.value.rule in RULES


def test_a_port_that_was_not_granted_is_named():
    with pytest.raises(ProfileError, match="UART1, UART2"):
        opened(RTU, PORTS, {"port": "UART3"})
    with pytest.raises(ProfileError, match="none"):
        opened(RTU, {}, {})


def test_links_of_one_port_share_its_bus_and_its_shape():
    buses: dict[Path, RtuBus] = {}
    for unit in (1, 2):
        opened(RTU, PORTS, {"unit": unit}, buses)
    opened(RTU, PORTS, {"port": "UART1"}, buses)
    assert buses.keys() == set(PORTS.values())
    with pytest.raises(ProfileError, match="19200"):
        opened(RTU, PORTS, {"baud": 9600}, buses)


def test_a_port_that_nobody_uses_any_more_takes_another_shape():
    buses: dict[Path, RtuBus] = {}
    asyncio.run(opened(RTU, PORTS, {}, buses).close())
    opened(RTU, PORTS, {"baud": 9600}, buses)
    assert buses[PORTS["UART2"]].shape.baud == 9600


@pytest.mark.parametrize(
    ("library", "module", "settings"),
    [
        ("asyncua", "opcua", OpcUa(url="opc.tcp://10.9.0.2:4840", server_certificate_sha256="ab" * 32)),
        ("bacpypes3.apdu", "bacnet", BacnetIp(host="10.9.0.2", device=7)),
    ],
)
def test_a_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, library: str, module: str, settings: LinkSettings
):
    for name in list(sys.modules):
        if name.startswith(f"armillary.engines.equipment.{module}"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LinkLibraryMissingError, match=library.partition(".")[0]) as missing:
        opened(settings, {}, {})
    assert module in missing.value.remedy
