# SPDX-License-Identifier: Apache-2.0
"""A machine whose data are out of reach names no slot and does not stay so: the other slot gets its turn."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from pathlib import Path

import pytest
from tests.device.machine.process_1_clock import Clock, moved_by_hand
from tests.fixtures.pretended_uefi import PretendedUefi, Start

from armillary.device.machine import cellular, data_partition, enrolling, first, kernel_calls, network, program
from armillary.device.machine.development import Shells
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.os_disk import OsDisk


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return moved_by_hand(monkeypatch)


def process_1(data: str, shells: Shells | None = None) -> first.Machine:
    machine = first.Machine("a", "/dev/vda", data, 0.0, shells=shells)
    machine._signals, _ = os.pipe()
    machine._mount_data()
    return machine


@pytest.mark.parametrize("data", ["", "/nowhere/vda5"])
def test_it_says_why_and_when_it_restarts_and_does(
    data: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mount(_source: str, _target: str, kind: str, *_: object) -> None:
        if kind == "ext4":
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(kernel_calls, "mount", mount)
    machine = process_1(data)
    said = capsys.readouterr().out
    assert ("does not mount" if data else "there is no data partition") in said
    assert "the machine restarts after 15 minutes" in said
    machine._hear(b"waiting\n")
    assert "no device without its data (slot a" in capsys.readouterr().out
    clock.now += 15 * 60 - 1
    machine._look(0.0)
    assert machine._ending is None
    clock.now += 1
    machine._look(0.0)
    assert machine._ending is signal.SIGINT, "whatever ends it but SIGTERM is a restart (Machine.run)"
    assert "out of reach: the machine restarts" in capsys.readouterr().out


def test_one_of_a_development_image_stays_up_for_whoever_looks_what_is_wrong(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names no slot either (below): the next start, by hand, is of the other one."""
    monkeypatch.setattr(kernel_calls, "mount", lambda *_: None)
    machine = process_1("", Shells())
    said = capsys.readouterr().out
    assert "there is no data partition" in said
    assert "restart it by hand" in said
    assert "15 minutes" not in said
    clock.now += 15 * 60
    machine._look(0.0)
    assert machine._ending is None


def test_one_with_its_data_waits_to_be_enrolled_for_ever(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(first, "mount_data", lambda *_, **__: "")
    monkeypatch.setattr(first, "DATA", str(tmp_path))
    monkeypatch.setattr(data_partition, "RESERVE_BYTES", 0)
    machine = process_1("/dev/vda5")
    machine._hear(b"waiting\n")
    clock.now += 15 * 60
    machine._look(0.0)
    assert machine._ending is None
    assert "no device yet, waits to be enrolled (slot a" in capsys.readouterr().out


class StoppedError(Exception):
    """The device process would wait now."""


@pytest.mark.parametrize("keeps", [True, False])
def test_what_is_no_device_starts_its_slot_again_only_where_it_has_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    """Slot b is on trial. Without its data nobody knows: it must not become the slot that is settled."""

    def stop(_seconds: float) -> None:
        raise StoppedError

    monkeypatch.setattr(program.time, "sleep", stop)
    monkeypatch.setattr(enrolling, "PLACES", ())
    monkeypatch.setattr(network, "modem_card", lambda: None)
    monkeypatch.setattr(cellular, "online", lambda _interface: contextlib.nullcontext())
    firmware = PretendedUefi(tmp_path)
    firmware.slots().start_next("b", settled="a")
    firmware.start(lambda _: Start.RUNS)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    disk = OsDisk({}, firmware.slots(), "x")
    with pytest.raises(StoppedError):
        program.become_device(DeviceFolder(tmp_path / "device"), program.Words({}), disk, keeps=keeps)
    changed = {name.partition("-")[0] for name, value in before.items() if (tmp_path / name).read_bytes() != value}
    assert changed == ({"BootNext", "BootOrder"} if keeps else set())
