# SPDX-License-Identifier: Apache-2.0
"""What an application gets: what it asked for, if it exists and is free; nothing else."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import images

from armillary import content
from armillary.boot import profile
from armillary.capability import application_limits
from armillary.capability.grant import Grant, Peripheral, PlatformLimits, board_grant, grant, platform_limits
from armillary.errors import ManifestError
from armillary.wire.image import board_configuration
from armillary.wire.image.app_manifest import AppManifest, Capabilities, parse

FIRST, SECOND = UUID(int=1), UUID(int=2)
CHIP = platform_limits(profile.parse(content.chip_document("mt3620")))


def manifest(component_id: UUID = FIRST, *, kind: str = "Default", **capabilities: Any) -> AppManifest:
    return parse(images.manifest("test", component_id, Capabilities=capabilities, ApplicationType=kind))


def refusal(*arguments: Any, **keywords: Any) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        grant(*arguments, **keywords)
    return caught.value


def test_nothing_is_granted_by_default() -> None:
    found = grant(manifest(), CHIP)
    assert found == Grant(component_id=FIRST, hosts=found.hosts)
    assert not found.hosts.names | {str(address) for address in found.hosts.addresses}
    for item in dataclasses.fields(Grant):
        if item.name not in ("component_id", "hosts", "limits"):
            assert not getattr(found, item.name), item.name


def test_what_the_chip_has_for_an_application_bounds_it_and_a_small_chip_leaves_room_to_start() -> None:
    small = grant(manifest(), CHIP).limits
    assert small.memory_bytes == application_limits.MEMORY_BYTES
    large = application_limits.limits_of_chip(2 * application_limits.MEMORY_BYTES)
    assert grant(manifest(), dataclasses.replace(CHIP, application=large)).limits == large
    assert large.memory_bytes == 2 * application_limits.MEMORY_BYTES


def test_everything_asked_for_is_granted() -> None:
    found = grant(
        manifest(
            AllowedConnections=["hub.example.com", "192.0.2.1"],
            AllowedTcpServerPorts=[8080],
            AllowedUdpServerPorts=[5683],
            AllowedApplicationConnections=[str(SECOND)],
            Gpio=[8, 9],
            Uart=["ISU0"],
            MutableStorage={"SizeKB": 8},
            PowerControls=["ForceReboot"],
            DeviceAuthentication=str(SECOND),
            SystemTime=True,
            WifiConfig=False,
        ),
        CHIP,
    )
    assert found.hosts.names == {"hub.example.com"}
    assert (found.tcp_server_ports, found.udp_server_ports, found.partners) == ({8080}, {5683}, {SECOND})
    assert {(each.kind, each.name) for each in found.peripherals} == {("Gpio", "8"), ("Gpio", "9"), ("Uart", "ISU0")}
    assert (found.mutable_storage_kb, found.device_authentication) == (8, SECOND)
    assert found.privileges == {"SystemTime", "PowerControls.ForceReboot"}


def test_every_boolean_capability_becomes_a_privilege_of_its_own() -> None:
    booleans = {field.name for field in dataclasses.fields(Capabilities) if isinstance(field.default, bool)}
    asked = dataclasses.replace(manifest(), capabilities=Capabilities(**dict.fromkeys(booleans, True)))  # type: ignore[arg-type]
    assert len(grant(asked, CHIP).privileges) == len(booleans)


@pytest.mark.parametrize(("key", "value"), [("Gpio", [200]), ("Uart", ["ISU9"]), ("Adc", ["ADC-CONTROLLER-7"])])
def test_a_peripheral_the_chip_does_not_have(key: str, value: list[Any]) -> None:
    error = refusal(manifest(**{key: value}), CHIP)
    assert error.error_id == 2 << 20 | 13
    assert str(value[0]) in error.message


@pytest.mark.parametrize(
    ("owned", "wanted"),
    [
        ({"Gpio": [8]}, {"Gpio": [8]}),
        ({"Uart": ["ISU0"]}, {"Uart": ["ISU0"]}),
        ({"Uart": ["ISU0"]}, {"I2cMaster": ["ISU0"]}),
        ({"SpiMaster": ["ISU3"]}, {"Uart": ["ISU3"]}),
        ({"Uart": ["ISU0"]}, {"Gpio": [26]}),  # ISU0 occupies pins 26 to 30
        ({"Gpio": [41]}, {"Adc": ["ADC-CONTROLLER-0"]}),
    ],
)
def test_a_peripheral_has_one_owner(owned: dict[str, Any], wanted: dict[str, Any]) -> None:
    other = grant(manifest(SECOND, **owned), CHIP)
    error = refusal(manifest(FIRST, **wanted), CHIP, others=[other])
    assert error.error_id == 5242888  # Azure Sphere's: the peripheral belongs to another application
    assert str(SECOND) in error.message
    assert grant(manifest(FIRST, **wanted), CHIP)  # positive control: free without the other


def test_a_new_build_of_the_same_component_takes_over() -> None:
    before = grant(manifest(FIRST, Gpio=[8]), CHIP)
    assert grant(manifest(FIRST, Gpio=[8]), CHIP, others=[before]).peripherals == before.peripherals


def test_two_peripherals_of_one_application_on_one_pin() -> None:
    assert refusal(manifest(Uart=["ISU0"], Gpio=[27]), CHIP).error_id == 2097187
    assert refusal(manifest(Pwm=["PWM-CONTROLLER-0"], Gpio=[2]), CHIP).error_id == 2097187


def test_storage_over_the_chips_limit() -> None:
    small = PlatformLimits(name="small", mutable_storage_limit_kb=16)
    assert refusal(manifest(MutableStorage={"SizeKB": 32}), small).error_id == 2097186
    assert grant(manifest(MutableStorage={"SizeKB": 16}), small).mutable_storage_kb == 16


def test_a_real_time_application_needs_a_core_and_gets_peripherals_only() -> None:
    assert refusal(manifest(kind="RealTimeCapable"), PlatformLimits(name="gateway")).error_id == 2097178
    found = grant(manifest(kind="RealTimeCapable", Gpio=[8], AllowedApplicationConnections=[str(SECOND)]), CHIP)
    assert found.real_time
    for key, value in (
        ("AllowedConnections", ["hub.example.com"]),
        ("MutableStorage", {"SizeKB": 8}),
        ("SystemTime", True),
    ):
        assert key in refusal(manifest(kind="RealTimeCapable", **{key: value}), CHIP).path


def test_a_chip_has_so_many_real_time_applications_as_cores() -> None:
    asked = manifest(UUID(int=9), kind="RealTimeCapable")
    first, second = (grant(manifest(each, kind="RealTimeCapable"), CHIP) for each in (FIRST, SECOND))
    high_level = grant(manifest(UUID(int=5)), CHIP)
    assert grant(asked, CHIP, others=[first, high_level]).limits == application_limits.CORE_LIMITS
    refused = refusal(asked, CHIP, others=[first, high_level, second])
    assert (refused.path, refused.error_id) == ("ApplicationType", 2097178)
    assert "at most 2 real-time capable applications" in refused.message
    assert str(FIRST) in refused.message
    again = manifest(FIRST, kind="RealTimeCapable")
    assert grant(again, CHIP, others=[first, second]).real_time, "an update takes the place of the version before"


BOARD = board_configuration.parse(json.dumps(images.board(component=SECOND)).encode())


def test_what_the_board_keeps_no_application_gets() -> None:
    kept = board_grant(BOARD, CHIP)
    assert kept.peripherals == {Peripheral(kind="Gpio", name="5"), Peripheral(kind="SpiMaster", name="ISU0")}
    for asked in ({"Gpio": [5]}, {"Gpio": [26]}, {"Uart": ["ISU0"]}, {"I2cMaster": ["ISU0"]}):
        assert "and not the board" in refusal(manifest(**asked), CHIP, others=[kept]).message
        assert grant(manifest(**asked), CHIP).peripherals, "the control"
    assert grant(manifest(Gpio=[8], Uart=["ISU1"]), CHIP, others=[kept]).peripherals


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Chip": "imx8mp"}, "Chip: expected mt3620"),
        ({"Peripherals": {"SpiMaster": ["ISU9"]}}, "Peripherals.SpiMaster: expected a peripheral of MediaTek MT3620"),
        ({"Peripherals": {"SpiMaster": ["ISU0"], "Uart": ["ISU0"]}}, "expected peripherals on different pins"),
    ],
)
def test_a_board_that_does_not_fit_the_chip_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        board_grant(board_configuration.parse(json.dumps(images.board() | changes).encode()), CHIP)
