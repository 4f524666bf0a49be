# SPDX-License-Identifier: Apache-2.0
"""``armillary device cellular`` against a real device process with a simulated modem; options that name a modem."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.device.test_device_attached import run
from tests.conformance.attached_device import Attached, attached, served
from tests.fixtures.processes import killed_process
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
    assert host_modem("qmi:/dev/cdc-wdm99", None) == HostModem(Path("/dev/cdc-wdm99"), None, speaks_qmi=True)
    (tmp_path / "file").touch()
    for port in ("relative", "qmi:", "qmi:relative", str(tmp_path / "file"), str(tmp_path)):
        with pytest.raises(InvalidArgumentError, match="--modem-port"):
            host_modem(port, None)
    for interface in ("lo", "a/b", "a" * 16):
        with pytest.raises(InvalidArgumentError, match="--modem-interface"):
            host_modem("/dev/ttyUSB99", interface)
    with pytest.raises(InvalidArgumentError, match="--modem-port beside it"):
        host_modem(None, "wwan0")


@pytest.mark.e2e
def test_a_device_keeps_up_the_session_of_a_modem_that_speaks_qmi(tmp_path: Path) -> None:
    """The simulated modem is a process of its own, as people start it."""
    port = tmp_path / "modem"
    command = [sys.executable, "-m", "armillary", "sim", "modem", "--qmi", "--pty", str(port), "--json"]
    with killed_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as modem, served() as service:
        assert json.loads(modem.readline())["modem"] == "simulated"
        options = ["--modem-port", f"qmi:{port}"]
        with attached(tmp_path / "device", service, ManufacturingState.BLANK, options) as found:
            assert found.wait_for("cellular", state="connected")["operator"] == "Armillary simulated"
            assert json.loads(modem.readline()) == {"session": "up"}
