# SPDX-License-Identifier: Apache-2.0
"""A real service gives a real device its board configuration: with its applications, and refused where it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_os_update import claimed_device, log_of, running
from tests.fixtures.images import board, board_package, manifest, package
from tests.fixtures.waiting import until

from armillary.device.process import Device
from armillary.sim.device.service_host import ServiceHost

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
HERE = ("Contoso", "Kettle", "Production")


def upload(host: ServiceHost, data: bytes) -> Any:
    return host.service.updates.images.upload("Contoso", data, actor="t")


def deploy(host: ServiceHost, *images: Any) -> Any:
    return host.service.updates.deployments.create(*HERE, [one.image_id for one in images], actor="t")


def started(folder: Path) -> list[list[str]]:
    """What each update of the device brought, in order."""
    return [entry["images"] for entry in log_of(folder) if entry["event"] == "update-started"]


async def test_it_comes_after_the_applications_in_one_switch_and_keeps_its_peripherals_from_them(
    host: ServiceHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = claimed_device(host, tmp_path / "device")
    here, second = (upload(host, board_package(board(Peripherals={"Gpio": [pin]}))) for pin in (26, 9))
    tap = upload(host, package(manifest("tap")))
    greedy = upload(host, package(manifest("greedy", Capabilities={"Uart": ["ISU0"]})))
    with monkeypatch.context() as before:  # as a service of before took it: for every chip
        before.setattr("armillary.service.updates.images.check_board", lambda *_: "any")
        other = upload(host, board_package(board(Chip="imx8mp", Peripherals={"SpiMaster": ["ECSPI1"]})))
    devices, outcomes = host.service.registry.devices, host.service.registry.history
    deploy(host, here, tap)

    def has(*wanted: Any) -> bool:
        device = devices.get(Device(folder).device_id)
        return {one.image_id for one in device.installed if one.state in ("running", "stopped")} == {
            one.image_id for one in wanted
        }

    def refused(deployment: Any) -> str:
        found = outcomes.outcomes(deployment_id=deployment.deployment_id).items
        return found[0].reason if found and found[0].outcome == "failed" else ""

    async with running(folder) as status:
        await until(lambda: has(here, tap), "application and board configuration", 60)
        assert started(folder) == [["tap", "board"]], "one switch, the board configuration last"
        assert [one["state"] for one in status()["applications"] if one["name"] == "tap"] == ["running"]
        # What the service would refuse: it is the device's own check, too.
        monkeypatch.setattr("armillary.service.updates.deployments.check_board_fit", lambda *_: None)
        for images, words in (
            ((here, greedy), "and not the board"),
            ((other, tap), "Chip: expected mt3620"),
            ((here, second, tap), "the device has one already"),
        ):
            deployment = deploy(host, *images)
            await until(lambda made=deployment: refused(made), "refused", 60)
            assert words in refused(deployment)
            assert has(here, tap), "nothing of what ran was touched"
        deploy(host, greedy)
        await until(lambda: has(greedy), "the control: without the board it is free", 60)
