# SPDX-License-Identifier: Apache-2.0
"""``armillary device log`` of a device that is elsewhere: asked for, waited for, shown; as people type it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command
from tests.fixtures.waiting import wait_until

from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.device_log import DeviceLog, encode_log
from armillary.wire.device.update_status import UpdateStatus

LINES = ("2026-11-28 19:00:00  booted  boot_count=1", "2026-11-28 19:00:01  output  text=ü\x1b[31m")


@pytest.fixture
def device(service: RunningService, catalog: str) -> Iterator[WireDevice]:
    registry = service.service.registry
    registry.products.create(catalog, "Coffee", actor="test")
    registry.groups.create_defaults(catalog, "Coffee", actor="test")
    with service.claimed(catalog) as made:
        made.update_status, made.sends_log = UpdateStatus(abilities=("log",)), True
        made.check_in()
        yield made


def answer(service: RunningService, device: WireDevice) -> None:
    """Check in as a device does that waits for a hint: when it is asked for its log, which it sends."""
    logs = service.service.device_logs
    wait_until(lambda: logs.standing(device.device_id).state == "waiting", "the device is asked for its log")
    asked: list[UUID] = []
    wait_until(lambda: asked.extend(filter(None, [device.check_in().log_request])) or asked, "a reply that asks for it")
    log = DeviceLog(request_id=asked[0], at=1_790_000_000, left_out=4, lines=LINES)
    assert device.exchange("POST", "/v1/device-log", encode_log(log)).status == 200


def test_a_log_is_asked_for_and_shown(armillary: Command, service: RunningService, device: WireDevice) -> None:
    nothing = armillary("device", "log", "--device", device.device_id)
    assert nothing.code == 1
    assert "nothing of the log" in nothing.err
    assert "--ask" in nothing.err
    with ThreadPoolExecutor(max_workers=1) as elsewhere:
        answered = elsewhere.submit(answer, service, device)
        asked = armillary("device", "log", "-d", device.device_id[:20], "--ask")
        answered.result()
    assert asked.code == 0, asked.err
    assert asked.out.splitlines() == [LINES[0], LINES[1].replace("\x1b", "")]
    assert "unverified; it has 4 older lines" in asked.err
    found = armillary("device", "log", "-d", device.device_id, "--last", "1", "--json").json
    assert (found["lines"], found["line_count"], found["left_out"]) == ([LINES[1].replace("\x1b", "")], 2, 4)
    lines = service.service.audit.list(target=device.device_id).items
    said = [line.operation for line in reversed(lines) if line.operation.endswith("-log")]
    assert said == ["device.ask-log", "device.read-log", "device.read-log"]


def test_a_device_that_does_not_come_is_said_and_a_second_asker_waits_for_the_same_answer(
    armillary: Command, device: WireDevice
) -> None:
    for _ in range(2):
        asked = armillary("device", "log", "-d", device.device_id, "--ask", "--wait", "0")
        assert asked.code == 1
        assert "the device has not answered within 0 s" in asked.err
        assert "hint:" in asked.err


def test_which_device_is_said_once(armillary: Command, tmp_path: Path) -> None:
    for options in ((), ("--data", str(tmp_path), "--device", "x"), ("--data", str(tmp_path), "--ask")):
        found = armillary("device", "log", *options)
        assert found.code == 2, options


def test_a_hub_device_has_none(armillary: Command, catalog: str) -> None:
    admitted = armillary("hub-device", "create", "-c", catalog, "-d", "cooler-log")
    assert admitted.code == 0, admitted.err
    found = armillary("device", "log", "-d", "cooler-log", "--ask")
    assert found.code == 1
    assert "is a hub device" in found.err
