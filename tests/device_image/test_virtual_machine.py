# SPDX-License-Identifier: Apache-2.0
"""What no machine can be made of is refused by name, before anything is made of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.cores_beside import until_gone
from tests.fixtures.machine_files import files_of
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.cli.device_image.handed_board import board_words
from armillary.device_image import tools, virtual_machine
from armillary.device_image.machine_folder import checks
from armillary.device_image.virtual_machine import MachineSettings, VirtualMachine, prepare, running
from armillary.errors import DataFolderError, DataFolderInUseError, HostError, InvalidArgumentError

# A machine whose emulator is a program that does nothing: its command says its process and waits to be killed.
SWITCHED_ON = """
import sys
from dataclasses import replace
from pathlib import Path
from armillary.device_image import tools, virtual_machine

tools.require = lambda *_: None
virtual_machine.arguments = lambda *_: ["sleep", "600"]
settings = virtual_machine.MachineSettings(folder=Path(sys.argv[1]), tpm=False)
with virtual_machine.running(settings) as machine:
    print(machine.process_id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def made(tmp_path: Path) -> MachineSettings:
    """A machine that has been made."""
    return MachineSettings(folder=files_of(tmp_path / "machine", "x86_64"), tpm=False)


def test_a_folder_that_would_be_another_option_of_qemu_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "machine,readonly=on"
    with pytest.raises(DataFolderError, match=r"machine,readonly=on: expected a folder without a comma"):
        prepare(MachineSettings(folder=folder, tpm=False))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("has", "expected"), [((), "no machine here, and no image"), (("disk.img",), "one without variables.fd")]
)
def test_without_its_image_nothing_is_made(tmp_path: Path, has: tuple[str, ...], expected: str) -> None:
    image, folder = tmp_path / "image", tmp_path / "machine"
    image.mkdir()
    for name in has:
        (image / name).write_bytes(b"")
    with pytest.raises(DataFolderError, match=expected):
        prepare(MachineSettings(folder=folder, image=image))
    assert not folder.exists(), "not even a TPM"


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    file, image = tmp_path / "file", files_of(tmp_path / "image", "x86_64")
    file.write_bytes(b"")
    with pytest.raises(DataFolderError, match="file cannot be written"):
        prepare(MachineSettings(folder=file, image=image, tpm=False))
    with pytest.raises(DataFolderError, match="file cannot be written"):
        board_words(file, "x86_64", b"{}")


def test_a_machine_that_is_on_is_not_switched_on_again(made: MachineSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(virtual_machine, "arguments", lambda *_: ["sleep", "600"])
    with running(made) as first:
        with pytest.raises(DataFolderInUseError, match="machine: this machine runs already"), running(made):
            pytest.fail("it is on twice")
        assert first.is_on
    with running(made) as again:
        assert again.is_on


def test_a_board_without_pci_takes_a_second_card_and_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(virtual_machine, "arguments", lambda *_: ["sleep", "600"])
    card = ("-drive", "if=sd,bus=1,id=second,format=raw,file=card.img")
    made = MachineSettings(folder=files_of(tmp_path / "machine", "imx8mp"), machine="imx8mp", tpm=False, attached=card)
    with running(made) as machine:
        assert machine.is_on
    with (
        pytest.raises(InvalidArgumentError, match="imx8mp: expected a machine with PCI"),
        running(replace(made, attached=(*card, "-device", "virtio-rng-pci"))),
    ):
        pytest.fail("it runs")


def test_a_machine_goes_off_with_a_command_that_is_killed(made: MachineSettings) -> None:
    command = [sys.executable, "-c", SWITCHED_ON, str(made.folder)]
    with killed_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        emulator = int(process.readline())
        command_line = Path(f"/proc/{emulator}/cmdline")
        wait_until(lambda: command_line.read_bytes().startswith(b"sleep"), "the emulator runs")
        os.kill(process.pid, signal.SIGKILL)
        until_gone(emulator)


def test_a_machine_that_is_made_is_whole_or_nothing_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def makes_no_tpm(folder: Path) -> None:
        folder.mkdir()

    def fails(*_: object) -> None:
        (settings.folder / "disk.img.new").write_bytes(b"a part")
        raise HostError("cp failed", remedy="Mend it.")

    settings = MachineSettings(folder=tmp_path / "machine", image=files_of(tmp_path / "image", "x86_64"))
    monkeypatch.setattr(virtual_machine, "_make_tpm", makes_no_tpm)
    with monkeypatch.context() as patched:
        patched.setattr(tools, "run", fails)
        with pytest.raises(HostError):
            prepare(settings)
    assert list(settings.folder.iterdir()) == []
    prepare(settings)
    assert {path.name for path in settings.folder.iterdir()} == {"disk.img", "machine.json", "tpm", "variables.fd"}


def test_a_tpm_that_does_not_start_says_why_and_is_kept(made: MachineSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is the identity of a device: nothing says that it be removed."""
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(virtual_machine, "ended_with_us", lambda: ("sh", "-c", "echo the state is locked; exit 1"))
    state = made.folder / "tpm" / "tpm2-00.permall"
    state.parent.mkdir()
    state.write_bytes(b"a state")
    checks.note_machine(made.folder, "x86_64")
    said = r"\(swtpm\) does not start: the state is locked"
    with pytest.raises(HostError, match=said) as caught, running(replace(made, tpm=True)):
        pytest.fail("it runs")
    assert "keep the folder" in caught.value.remedy
    assert state.read_bytes() == b"a state"


def test_a_comma_in_the_name_of_an_enrolment_is_no_other_option(made: MachineSettings) -> None:
    words = virtual_machine.arguments(replace(made, enrolment=Path("/a,readonly=on.json")), None)
    assert f"name={virtual_machine.ENROLMENT},file=/a,,readonly=on.json" in words


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_all_that_a_machine_said_is_there_once_it_is_off(
    made: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while lines are read, in a thread: no end of a machine cuts a read short."""
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(virtual_machine, "arguments", lambda *_: ["yes", "a line"])
    for _ in range(20):
        with running(made) as machine:
            assert next(machine.lines(within_s=60)) == "a line"
        assert not machine.is_on
        assert list(machine.lines(within_s=60))[-1].startswith("a")


def test_what_a_machine_keeps_is_read_by_its_user_alone(tmp_path: Path) -> None:
    """Its device's data, Wi-Fi keys among them, are not encrypted; others may enter a folder that was there before."""
    folder = tmp_path / "machine"
    folder.mkdir(mode=0o755)
    image = files_of(tmp_path / "image", "x86_64")
    for file in image.iterdir():
        file.chmod(0o644)
    prepare(MachineSettings(folder=folder, image=image, tpm=False))
    modes = {
        file.name: file.stat().st_mode & 0o777 for file in folder.iterdir() if file.name in ("disk.img", "variables.fd")
    }
    assert modes == {"disk.img": 0o600, "variables.fd": 0o600}
    assert (folder / "disk.img").read_bytes() == (image / "disk.img").read_bytes()


def test_what_a_machine_says_moves_no_terminal_and_fills_no_memory() -> None:
    """Its console is read by a host that does not trust it: an application may have broken out of its sandbox there."""
    said = "\x1b[31mred\x1b[0m \x9b2Jgone \x1b]0;title\x07\n" + 3 * virtual_machine._LINE_BYTES * "x" + "\nlast\n"
    write = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    command = [sys.executable, "-c", write]
    with killed_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) as process:
        machine = VirtualMachine(process)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(said.encode())
        first, *long, last = machine.lines_to_its_end()
        assert (first, last) == ("red gone ]0;title", "last")
        assert [set(line) for line in long] == 3 * [{"x"}]
