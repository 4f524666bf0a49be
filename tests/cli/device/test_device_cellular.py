# SPDX-License-Identifier: Apache-2.0
"""``armillary device cellular`` against a real device process with a simulated modem; options that name a modem."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.device.test_device_attached import run
from tests.conformance.attached_device import Attached, attached, served
from tests.fixtures.waiting import DEADLINE_S

from armillary.device.cellular.host_modem import HostModem, host_modem
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity.manufacturing import ManufacturingState
from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.radio import Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine

PIN = "7391"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    line = TerminalLine()
    folder = tmp_path_factory.mktemp("cellular") / "device"
    with (
        ServedModem(SimulatedModem(Radio(pin=PIN)), line),
        served() as service,
        attached(folder, service, ManufacturingState.BLANK, ["--modem-port", str(line.path)]) as found,
    ):
        found.wait_for("check-in")  # its status says where its API is
        yield found


@pytest.mark.e2e
def test_a_person_gives_the_pin_and_sees_the_session(device: Attached, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*words: str) -> Any:
        return json.loads(run(device, "cellular", *words, "--json"))

    def reached(state: str) -> Any:
        ends_at = time.monotonic() + DEADLINE_S
        while (found := asked("show-status"))["state"] != state:
            assert time.monotonic() < ends_at, found
        return found

    reached("pin-needed")
    monkeypatch.setenv("ARMILLARY_SIM_PIN", "1111")
    run(device, "cellular", "configure", "--no-roaming")
    reached("pin-refused")
    with pytest.raises(ConflictError, match="would give it one again"):  # the variable is still set
        run(device, "cellular", "configure", "--access-point", "other.example")
    assert (asked("show")["accessPoint"], asked("show")["pinRefused"]) == ("", True)
    run(device, "cellular", "configure", "--pin", "")
    monkeypatch.setenv("ARMILLARY_SIM_PIN", PIN)
    told = run(device, "cellular", "configure", "--access-point", "iot.example", "--no-roaming")
    assert PIN not in told
    monkeypatch.delenv("ARMILLARY_SIM_PIN")
    assert reached("connected")["operator"] == "Armillary simulated"
    assert "Armillary simulated" in run(device, "cellular", "show-status")
    shown = asked("show")
    assert (shown["accessPoint"], shown["roaming"], shown["hasPin"]) == ("iot.example", False, True)
    assert asked("disable")["enabled"] is False
    reached("off")
    assert asked("enable")["enabled"] is True
    reached("connected")
    with pytest.raises(AssertionError, match="name a setting"):
        run(device, "cellular", "configure")
    with pytest.raises(InvalidArgumentError, match="SIM PIN"):
        run(device, "cellular", "configure", "--pin", "12")


@pytest.mark.e2e
def test_a_device_without_a_modem_says_how_it_gets_one(tmp_path: Path) -> None:
    with served() as service, attached(tmp_path / "device", service, ManufacturingState.BLANK) as found:
        found.wait_for("check-in")
        with pytest.raises(NotFoundError, match="no modem") as raised:
            run(found, "cellular", "show-status")
    assert "--modem-port" in raised.value.remedy


def test_options_name_a_modem_and_what_is_none_is_refused(tmp_path: Path) -> None:
    assert host_modem(None, None) is None
    assert host_modem("/dev/ttyUSB99", "wwan0") == HostModem(Path("/dev/ttyUSB99"), "wwan0")
    (tmp_path / "file").touch()
    for port in ("relative", str(tmp_path / "file"), str(tmp_path)):
        with pytest.raises(InvalidArgumentError, match="--modem-port"):
            host_modem(port, None)
    for interface in ("lo", "a/b", "a" * 16):
        with pytest.raises(InvalidArgumentError, match="--modem-interface"):
            host_modem("/dev/ttyUSB99", interface)
    with pytest.raises(InvalidArgumentError, match="--modem-port beside it"):
        host_modem(None, "wwan0")
