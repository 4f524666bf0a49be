# SPDX-License-Identifier: Apache-2.0
"""Board configurations in deployments: offered beside applications, and refused where the board does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures.images import board, board_package, manifest, package as packed
from tests.fixtures.reports import installed

from armillary.errors import InvalidArgumentError
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.image.section import CUSTOMER_BOARD_CONFIG

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with host.claimed(b"b" * 32) as made:
        yield made


def upload(host: ServiceHost, data: bytes) -> Any:
    return host.service.updates.images.upload("Contoso", data, actor="t")


def using(host: ServiceHost, **capabilities: Any) -> Any:
    return upload(host, packed(manifest("tap", Capabilities=capabilities)))


def deploy(host: ServiceHost, *images: Any) -> Any:
    return host.service.updates.deployments.create(*HERE, [one.image_id for one in images], actor="t")


def test_it_is_offered_beside_the_applications_of_its_deployment(host: ServiceHost, device: WireDevice) -> None:
    here, tap = upload(host, board_package(board())), using(host, Gpio=[8])
    deploy(host, tap, here)
    offer = device.check_in().offer
    assert offer is not None
    assert {(one.image_type, one.image_id) for one in offer.images} == {(10, tap.image_id), (21, here.image_id)}
    device.installed = (installed(tap), installed(here))
    assert device.check_in().offer is None
    newer = upload(host, board_package(board(component=here.component_id, Peripherals={"Gpio": [6]})))
    deploy(host, tap, newer)
    offer = device.check_in().offer
    assert offer is not None
    assert [one.image_id for one in offer.images if one.image_type == CUSTOMER_BOARD_CONFIG] == [newer.image_id]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Chip": "esp32"}, "no chip 'esp32'"),
        ({"Peripherals": {"SpiMaster": ["ECSPI1"]}}, "SpiMaster: expected a peripheral of MediaTek MT3620"),
        ({"Peripherals": {"Gpio": [26], "SpiMaster": ["ISU0"]}}, "peripherals on different pins"),
    ],
)
def test_what_no_board_of_its_chip_can_be_is_not_taken(host: ServiceHost, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        upload(host, board_package(board(**changes)))
    assert host.service.updates.images.list("Contoso").items == ()


@pytest.mark.parametrize("payload", [b"\xd0\x0d\xfe\xed not ours", b"{}"])
def test_what_is_no_board_configuration_is_not_taken(host: ServiceHost, payload: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="board configuration board: "):
        upload(host, board_package(payload))


def test_devices_of_another_chip_get_none(host: ServiceHost, device: WireDevice) -> None:
    other = upload(host, board_package(board(Chip="imx8mp", Peripherals={"SpiMaster": ["ECSPI1"]})))
    with pytest.raises(InvalidArgumentError, match="Chip: expected mt3620, which this device has, got imx8mp"):
        deploy(host, other)
    host.service.registry.devices.move("Contoso", device.device_id, product=".default", group=".unassigned", actor="t")
    deploy(host, other)  # an empty group; a device that comes into it is not offered it
    host.service.registry.devices.move("Contoso", device.device_id, product="Kettle", group="Production", actor="t")
    assert device.check_in().offer is None


def test_two_boards_and_applications_that_ask_for_what_the_board_keeps_are_refused(
    host: ServiceHost, device: WireDevice
) -> None:
    first, second = (upload(host, board_package(board(name=name))) for name in ("one", "two"))
    with pytest.raises(InvalidArgumentError, match="expected one board configuration, got board and board"):
        deploy(host, first, second)
    for capabilities in ({"Uart": ["ISU0"]}, {"Gpio": [5]}, {"Gpio": [27]}):
        tap = using(host, **capabilities)
        with pytest.raises(InvalidArgumentError, match="image tap beside board configuration one: "):
            deploy(host, tap, first)
        deploy(host, tap)  # the control: without the board it is free
    deploy(host, using(host, Gpio=[8], Uart=["ISU1"]), first)
    assert host.service.updates.deployments.current(*HERE) is not None


def test_one_of_before_whose_content_nobody_looked_at_is_not_deployed(
    host: ServiceHost, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.service.updates.images.check_board", lambda *_: "any")
    old = upload(host, board_package(b"opaque", component=uuid4()))
    with pytest.raises(InvalidArgumentError, match="board configuration board: "):
        deploy(host, old)
