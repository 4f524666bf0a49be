# SPDX-License-Identifier: Apache-2.0
"""The hardware address of the private network: kept, given to the interface at each boot, and never half set."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.fake_sandbox import FakeSandbox
from tests.device.interface.asking import Client
from tests.device.private_network.test_serving import Served
from tests.device.private_network.wires import PRIVATE, Wire, wire
from tests.device.rig import FAST, provisioned
from tests.device.tiny_service import TinyService
from tests.fixtures.other_user import run_as_other
from tests.fixtures.waiting import until

from armillary.device.interface import power
from armillary.device.private_network.hardware_address import HardwareAddress, read_address
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.flash.file import FileFlash
from armillary.engines.host import interfaces

NEW, OTHER = "02:00:5e:00:53:05", "02:00:5e:00:53:06"
MAY = {"HardwareAddressConfig": True, "PowerControls": ["ForceReboot"]}


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[Wire]:
    with wire(tmp_path) as made:
        yield made


def now(joined: Wire) -> str:
    """The interface's address, by a program that is not ours."""
    command = joined.device.command("ip", "-brief", "link", "show", PRIVATE)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[2]


def bytes_of(text: str) -> bytes:
    found = read_address(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text",
    ["", "02:00:5e:00:53", f"{NEW}:07", "02-00-5e-00-53-05", "02005e005305", "00:00:00:00:00:00", "01:00:5e:00:53:05",
     "ff:ff:ff:ff:ff:ff", "02:00:5e:00:53:0g", " " + NEW],
)  # fmt: skip
def test_what_no_interface_can_have_is_refused(text: str) -> None:
    assert read_address(text) is None
    assert read_address(NEW) == read_address(NEW.upper()) == bytes.fromhex("02005e005305")


def test_an_application_sets_it_and_the_interface_has_it_from_the_next_boot_on(
    joined: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "LEAST_UPTIME_S", 0.0)

    async def story() -> None:
        async with provisioned(TinyService(), FakeSandbox(), joined.folder / "d") as rig:
            rig.service.deploy(rig.service.application(**MAY))
            await rig.start(replace(FAST, private_network=PRIVATE))
            await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "the application runs")
            before = now(joined)
            client = Client(rig.sandbox.runs[-1].launch.interface)
            first = await client.ask("network.hardware-address")
            assert (first["interface"], first["address"], first["next"]) == (PRIVATE, before, before)
            kept = await client.ask("network.set-hardware-address", address=NEW)
            assert (kept["address"], kept["next"]) == (before, NEW)
            assert now(joined) == before, "not before the next boot"
            await client.ask("power.restart")
            await until(lambda: len(rig.events("booted")) == 2, "the device boots again")
            await until(lambda: rig.events("hardware-address-set"), "the interface has it")
            assert now(joined) == NEW
            client.close()
            await rig.stop()
            subprocess.run(joined.device.command("ip", "link", "set", PRIVATE, "address", OTHER), check=True)
            await rig.start(replace(FAST, private_network=PRIVATE))  # the host has started again, with its own
            await until(lambda: len(rig.events("hardware-address-set")) == 2, "it has it again")
            assert now(joined) == NEW
            assert rig.status()["private_network"]["hardware_address"] == NEW
            await until(lambda: len(rig.sandbox.alive) == 1, "its application runs again")
            again = Client(rig.sandbox.runs[-1].launch.interface)
            found = await again.ask("network.hardware-address")
            assert (found["address"], found["next"], found["local"]) == (NEW, NEW, True)
            again.close()

    joined.run(story())


def test_who_may_not_and_what_cannot_be(joined: Wire) -> None:
    async def story() -> None:
        served = Served(joined.folder)
        async with served.application(DhcpService=True) as asked:
            refused = await asked.client().ask("network.set-hardware-address", address=NEW)
            assert (refused["name"], refused["error_id"]) == ("EACCES", 2 << 20 | 51)
        async with served.application(HardwareAddressConfig=True) as asked:
            refused = await asked.client().ask("network.set-hardware-address", address="ff:ff:ff:ff:ff:ff")
            assert (refused["name"], "six bytes" in refused["message"]) == ("EINVAL", True)
            assert served.network.hardware.kept is None
            assert (await asked.client().ask("network.set-hardware-address", address=NEW))["next"] == NEW
        for interface, name in (("nobody0", "ENOENT"), ("lo", "EPERM")):
            async with Served(joined.folder, interface).application(HardwareAddressConfig=True) as asked:
                assert (await asked.client().ask("network.set-hardware-address", address=NEW))["name"] == name
        assert served.network.hardware.kept == bytes_of(NEW)

    joined.run(story())


def test_a_driver_that_refuses_leaves_the_address_before(joined: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three drivers: one that changes it while it is off, one that says yes and has another, one that says no."""
    real, entries = interfaces._set_hardware, []
    configuration = NetworkConfiguration(FileFlash(joined.folder / "flash"))
    journal = Journal(None, lambda: 0)
    journal.listen(entries.append)
    hardware = HardwareAddress(PRIVATE, configuration, journal)
    configuration.set_hardware_address(PRIVATE, bytes_of(NEW))
    before = now(joined)
    states: list[bool] = []

    def only_off(name: str, address: bytes) -> None:
        is_up = next(each.is_up for each in interfaces.interfaces() if each.name == name)
        states.append(is_up)
        if is_up:
            raise OSError(errno.EBUSY, "busy")
        real(name, address)

    def another(name: str, address: bytes) -> None:
        real(name, bytes_of(OTHER) if address == bytes_of(NEW) else address)

    def no(name: str, address: bytes) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    for driver, reason in ((another, "takes no other"), (no, "not supported")):
        monkeypatch.setattr(interfaces, "_set_hardware", driver)
        joined.device.call(hardware.apply)
        assert now(joined) == before
        assert (entries[-1]["event"], reason in str(entries[-1]["reason"])) == ("hardware-address-not-set", True)
    monkeypatch.setattr(interfaces, "_set_hardware", only_off)
    joined.device.call(hardware.apply)
    assert (now(joined), states, entries[-1]["event"]) == (NEW, [True, False], "hardware-address-set")
    assert joined.device.call(lambda: next(e.is_up for e in interfaces.interfaces() if e.name == PRIVATE))
    joined.device.call(hardware.apply)
    assert len(states) == 2, "it has it already"


def test_a_device_that_a_user_runs_is_told_so(tmp_path: Path) -> None:
    program = "from armillary.engines.host.interfaces import may_change_interfaces\nprint(may_change_interfaces())\n"
    assert run_as_other(["-c", program]).stdout == "False\n"


def test_it_is_kept_whole_or_not_at_all_beside_the_rest() -> None:
    """A power cut at each operation of the flash; a region of before has none."""
    before = CutFlash()
    NetworkConfiguration(before).switch("wlan0", up=False)
    assert NetworkConfiguration(before).hardware_addresses == {}
    whole = CutFlash(before.durable)
    NetworkConfiguration(whole).set_hardware_address("eth1", bytes_of(NEW))
    operations = whole.operations
    assert NetworkConfiguration(whole).hardware_addresses == {"eth1": bytes_of(NEW)}
    for cut in range(1, operations + 1):
        flash = CutFlash(before.durable, cut_at=cut)
        with pytest.raises(PowerCutError):
            NetworkConfiguration(flash).set_hardware_address("eth1", bytes_of(NEW))
        after = NetworkConfiguration(CutFlash(flash.durable))
        assert after.hardware_addresses in ({}, {"eth1": bytes_of(NEW)})
        assert after.switched == {"wlan0": False}
