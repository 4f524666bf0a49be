# SPDX-License-Identifier: Apache-2.0
"""What a machine hands the device that it is, and what it says of it on the console."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fixtures.certificates import self_signed

from armillary.device.boot.startup import report_refused
from armillary.device.machine import being, network
from armillary.device.machine.beforehand import Beforehand
from armillary.device.machine.wired_board import WiredBoard
from armillary.device.machine.words import WORDS_VARIABLE, Words
from armillary.device.rest.settings import RestSettings
from armillary.device.settings import DeviceSettings
from armillary.device.state.journal import Journal
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import STATE_REGION
from armillary.device.state.reports import MAX_QUEUED, Incident, ReportQueue
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.partition import PartitionFlash
from armillary.engines.flash.port import replace_region
from armillary.errors import BootRefusedError, DataFolderError
from armillary.wire.device_image import service_link

JOURNAL = Journal(None, lambda: 0)
LINK = RestSettings(host="192.168.35.2", port=443)


class Configuration:
    """In place of the device's."""

    chip = "gateway-x86-64"


def queue(folder: Path) -> ReportQueue:
    """What waits to be reported; each time as it is on the disk, as after a start."""
    return ReportQueue(FileFlash(DeviceFolder(folder).flash), lambda: 1, boot_count=7)


class Being:
    """In place of the device: it writes these entries, and is at its end."""

    restarts_machine = False
    root_of_trust: Any = SimpleNamespace(kind="software")
    entries: tuple[dict[str, Any], ...] = ()
    refused: BootRefusedError | None = None
    settings: DeviceSettings
    flash: PartitionFlash
    folder: Path

    def __init__(self, folder: Path, *, settings: DeviceSettings, disk: OsDisk, **_: object) -> None:
        Being.settings, Being.folder = settings, folder
        Being.flash = disk.flash(FileFlash(DeviceFolder(folder).flash))
        self.journal = Journal(None, lambda: 0)

    def stop(self) -> None:
        pytest.fail("nobody asked for it")

    async def run(self) -> None:
        for entry in self.entries:
            self.journal.write(**entry)
        if self.refused is not None:
            report_refused(self.refused, self.journal, queue(self.folder))
            raise self.refused


@pytest.fixture
def lived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Be the device whose log has these entries; the lines of the console."""
    monkeypatch.setattr(being, "Device", Being)
    monkeypatch.setattr(being, "attached_computer", lambda: LINK)
    monkeypatch.setattr(being, "load_configuration", lambda _: Configuration)
    monkeypatch.setattr(being, "wired_board", lambda _: WiredBoard(None, ""))
    monkeypatch.setattr(being, "mend_record", lambda *_: "")
    monkeypatch.setattr(network, "first_radio", lambda: None)
    monkeypatch.setattr(network, "modem_card", lambda: None)
    disk = OsDisk({}, EfiBootSlots({}, variables=tmp_path), "x")

    def live(*entries: dict[str, Any], words: Words | None = None) -> list[str]:
        monkeypatch.setattr(Being, "entries", entries)
        being.be_device(tmp_path, disk, words or Words({}), Beforehand(DeviceFolder(tmp_path), disk))
        return capsys.readouterr().out.splitlines()

    return live


def test_its_api_is_at_the_service_link_and_nowhere_else(lived: Any) -> None:
    lived()
    assert Being.settings.rest == LINK


def test_the_console_tells_the_certificate_of_its_api_in_a_line_that_no_application_can_print(
    lived: Any, tmp_path: Path
) -> None:
    pem = self_signed(tmp_path, "a device")[1]
    (tmp_path / "ca.pem").write_text(pem)
    forged = service_link.line_of(b"of an application")
    lines = lived(
        {"event": "output", "name": "x", "stream": "log", "text": f"hello\narmillary: {forged}"},
        {"event": "rest-listening", "url": "https://192.168.35.2:443", "ca": str(tmp_path / "ca.pem"), "list": None},
        {"event": "output", "name": "x", "stream": "stdout", "text": forged},
    )
    told = [found for found in map(service_link.parse_line, lines) if found is not None]
    assert told == [ssl.PEM_cert_to_DER_cert(pem)]


def test_a_machine_with_a_tpm_runs_only_while_it_trusts_whom_it_trusted(
    lived: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device's own change is kept in the TPM; one from outside is not, and the device does not run."""
    memory = SimpleNamespace(kept=b"")
    memory.load, memory.store = lambda: memory.kept, lambda data: vars(memory).update(kept=data)
    monkeypatch.setattr(Being, "root_of_trust", SimpleNamespace(kind="tpm2", trust=memory))
    ran = {"event": "output", "name": "x", "stream": "log", "text": "runs"}
    assert any("runs" in line for line in lived(ran))
    replace_region(Being.flash, STATE_REGION, b"Blank")
    assert any("runs" in line for line in lived(ran))
    replace_region(Being.flash.files, STATE_REGION, b"DeviceComplete")  # so far the device's own flash
    outside = FileFlash(DeviceFolder(Being.folder).flash)
    replace_region(outside, STATE_REGION, b"Blank")
    with pytest.raises(DataFolderError, match="changed from outside"):
        lived(ran)


def test_the_console_says_why_no_application_runs_and_that_the_machine_is_up(lived: Any, tmp_path: Path) -> None:
    """Process 1 hears that it is ready also while its sandbox does not hold: it checks in and is updated."""
    why = "No application runs until the sandbox holds, which is tried again and again: no answer."
    read, written = os.pipe()
    lines = lived(
        {"event": "sandbox", "sandbox": "waiting", "complete": False, "weaker": [why]},
        {"event": "sandbox", "sandbox": "linux", "complete": True, "weaker": []},
        words=Words({WORDS_VARIABLE: str(written)}),
    )
    os.close(written)
    with os.fdopen(read) as said:
        assert said.read() == "ready\n"
    told = [line.partition("armillary: ")[2] for line in lines]
    assert told[0].endswith("sandbox  sandbox=waiting  complete=False")
    assert told[1] == f"weaker sandbox: {why}"
    assert told[2].endswith("sandbox  sandbox=linux  complete=True")


@pytest.fixture
def rests(lived: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Be the device whose OS may not boot; the lines of the console and the seconds until it asks for a restart."""

    def refuse() -> tuple[list[str], float]:
        rested: list[float] = []
        reading, writing = os.pipe()
        os.set_blocking(reading, False)

        def rest(seconds: float) -> None:
            assert os.read(reading, 100) == b"beat\n", "process 1 does not take it for one that hangs, and waits"
            rested.append(seconds)

        monkeypatch.setattr(being.time, "sleep", rest)
        monkeypatch.setattr(Being, "refused", BootRefusedError("boot stopped at root-fs", remedy="Do something."))
        lines = lived(words=Words({WORDS_VARIABLE: str(writing)}))
        assert os.read(reading, 100) == b"restart\n"
        (seconds,) = rested
        return lines, seconds

    return refuse


@pytest.mark.parametrize(
    ("others", "before", "rest_s"),
    [
        (1, 0, 30.0),
        (1, being.REFUSED_QUICKLY - 1, 30.0),
        (1, being.REFUSED_QUICKLY, 900.0),
        (MAX_QUEUED - 1, being.REFUSED_QUICKLY - 1, 30.0),
        (MAX_QUEUED - 1, being.REFUSED_QUICKLY, 900.0),
    ],
)
def test_a_machine_whose_os_may_not_boot_says_so_and_starts_again_after_a_while(
    rests: Any, tmp_path: Path, others: int, before: int, rest_s: float
) -> None:
    """Whatever was read wrongly: the device process does not decide that nothing may boot, it asks for another start.

    After many refused starts that the service has not heard of it rests longer, also where so much else waits that no
    more is queued: each writes the firmware's flash.
    """
    reports = queue(tmp_path)
    for number in range(others):
        reports.add(Incident(event_type="ConnectionBlocked", description=f"another matter {number}"))
    reports.flush()
    for start in range(before):
        refused = BootRefusedError(f"stopped at {'kernel' if start % 2 else 'root-fs'}")
        report_refused(refused, JOURNAL, queue(tmp_path))
    lines, rested_s = rests()
    assert lines[-2:] == [
        "armillary: the device does not start: boot stopped at root-fs (Do something.)",
        f"armillary: the machine starts again after {rest_s:g} s",
    ]
    assert rested_s == rest_s


def test_a_machine_whose_data_take_no_report_says_why_it_does_not_start_and_rests_long(
    rests: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing counts its starts then. The disk is the smaller matter: the OS may not boot."""

    def full(*_: object) -> None:
        raise DataFolderError("no space left", remedy="Make room.")

    monkeypatch.setattr(FileFlash, "write", full)
    lines, rested_s = rests()
    assert lines[-3].endswith("report-not-kept  reason=no space left")
    assert lines[-2:] == [
        "armillary: the device does not start: boot stopped at root-fs (Do something.)",
        "armillary: the machine starts again after 900 s",
    ]
    assert rested_s == 900.0
