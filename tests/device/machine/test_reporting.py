# SPDX-License-Identifier: Apache-2.0
"""The service hears what happened to the machine itself, also while the device did not start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.device.machine import program
from armillary.device.machine.first import Machine
from armillary.device.machine.reporting import Told, report, told_by_process_1
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.reports import FAULT, ReportQueue
from armillary.engines.flash.file import FileFlash
from armillary.errors import DataFolderError, RootOfTrustError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeviceFolder:
    monkeypatch.setattr(DeviceFolder, "is_finished", lambda _self: True)
    return DeviceFolder(tmp_path / "device")


def waiting(folder: DeviceFolder) -> list[tuple[str, str, int]]:
    queue = ReportQueue(FileFlash(folder.flash), lambda: 1, 1)
    return [(one.event_type, one.description, one.count) for one in queue.waiting]


def test_faults_wait_for_the_next_check_in_and_equal_ones_are_counted(folder: DeviceFolder) -> None:
    report(folder, ["the data partition was damaged", "no TPM"])
    report(folder, ["no TPM"])
    assert waiting(folder) == [(FAULT, "the data partition was damaged", 1), (FAULT, "no TPM", 2)]


def test_a_machine_that_is_no_device_reports_nothing(tmp_path: Path) -> None:
    report(DeviceFolder(tmp_path / "device"), ["no TPM"])
    assert not (tmp_path / "device").exists()


def test_a_flash_that_takes_no_report_ends_nothing(folder: DeviceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DataFolderError("no space left on device")

    monkeypatch.setattr(FileFlash, "write", full)
    report(folder, ["no TPM"])


def test_a_device_whose_tpm_is_gone_does_not_start_says_and_reports_it(
    folder: DeviceFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not opened with another root of trust: the one that it was made with is the only one that is asked for."""

    def gone(*_: object, **__: object) -> None:
        raise RootOfTrustError("TPM device:/dev/tpmrm0: IO failure", remedy="Check that the TPM answers.")

    told = Told(keeps=True, faults=("the data partition was damaged",))
    monkeypatch.setattr(program, "told_by_process_1", lambda: told)
    monkeypatch.setattr(program, "DeviceFolder", lambda _place: folder)
    monkeypatch.setattr(program, "open_os_disk", gone)
    with pytest.raises(SystemExit):
        program.main()
    assert "the device does not start: TPM device:/dev/tpmrm0: IO failure" in capsys.readouterr().out
    assert [told for _, told, _ in waiting(folder)] == [
        "the data partition was damaged",
        "the device did not start: TPM device:/dev/tpmrm0: IO failure",
    ]


@pytest.mark.parametrize("is_device", [True, False])
def test_what_the_firmware_has_lost_is_said_and_of_a_device_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_device: bool
) -> None:
    """Firmware that has never heard of a new machine's disk is no fault."""
    finished = [is_device, True]
    monkeypatch.setattr(DeviceFolder, "is_finished", lambda _self: finished.pop(0) if finished else True)

    def open_disk(_node: object, _components: object, *, lost: Callable[[str], None]) -> None:
        lost("the firmware had no boot entry that starts slot a; it was made")
        raise DataFolderError("enough")

    told = DeviceFolder(tmp_path / "device")
    monkeypatch.setattr(program, "told_by_process_1", lambda: Told(keeps=True, faults=()))
    monkeypatch.setattr(program, "DeviceFolder", lambda _place: told)
    monkeypatch.setattr(program, "open_os_disk", open_disk)
    with pytest.raises(SystemExit):
        program.main()
    assert "the firmware had no boot entry" in capsys.readouterr().out
    assert any("the firmware had no boot entry" in each for _, each, _ in waiting(told)) == is_device


@pytest.mark.parametrize("keeps", [True, False])
def test_what_process_1_found_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: bool) -> None:
    place = tmp_path / "faults"
    monkeypatch.setattr("armillary.device.machine.first.FAULTS", str(place))
    machine = Machine("a", "", "", 0.0)
    machine._keeps_data = keeps
    machine._tell("the data partition is full")
    machine._tell_faults()
    assert told_by_process_1(str(place)) == Told(keeps, ("the data partition is full",))
    assert told_by_process_1(str(place)) == Told(keeps=True, faults=())
    machine._tell_faults()
    assert told_by_process_1(str(place)) == Told(keeps, ())


def test_a_full_run_folder_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armillary.device.machine.first.FAULTS", "/dev/full")
    machine = Machine("a", "", "", 0.0)
    machine._tell("the data partition is full")
    machine._tell_faults()
