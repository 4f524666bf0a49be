# SPDX-License-Identifier: Apache-2.0
"""A machine in QEMU that boots a device image: firmware with secure boot, a TPM, a disk of its own, a serial port.

Everything that a machine keeps is in one folder: its disk, the variables of its firmware, the state of its TPM. The
first start copies disk and variables from an image; later starts leave them as the machine left them.

Without the host's help (KVM): an emulated processor, whatever the host is. The machine's network is QEMU's own: it
reaches the host's services at 10.0.2.2, and nobody reaches it. The firmware starts nothing from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from armillary.device_image import tools
from armillary.device_image.architecture.hardware import HARDWARE, NO_FIRMWARE
from armillary.device_image.machine_folder import checks
from armillary.device_image.uboot.enrolment import put_enrolment
from armillary.engines.durable import not_writable
from armillary.engines.host.ended_with import ended_with_us
from armillary.errors import DataFolderInUseError, HostError, InvalidArgumentError

DISK, TPM = checks.DISK, checks.TPM
# Held while the machine is on.
LOCK: Final = checks.LOCK
ENROLMENT: Final = "opt/armillary/enrolment"
READY: Final = "armillary: ready after"
HOST_ADDRESS: Final = "10.0.2.2"
_CONTROL: Final = re.compile(r"(?:\x1b\[|\x9b)[0-9;?=]*[A-Za-z]|\x1bc|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# A line of ours has some hundred bytes; a machine that writes one without an end fills no memory of its host's with it.
_LINE_BYTES: Final = 64 << 10
_TPM_WITHIN_S: Final = 20.0
_SAID_BYTES: Final = 600  # of what swtpm says when it does not start: two or three lines
_END_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """What one machine is like. ``folder`` is its own; ``image`` is only read, and only for its first start.

    Without ``memory_mb`` and ``processors`` it has what its kind has. ``attached`` are QEMU's words for devices that
    only this machine has: a modem, a core for real-time applications.
    """

    folder: Path
    image: Path | None = None
    machine: str = "x86_64"
    tpm: bool = True
    enrolment: Path | None = None
    attached: tuple[str, ...] = ()
    memory_mb: int | None = None
    processors: int | None = None


class VirtualMachine:
    """A machine that runs; what it writes to its serial port comes as lines."""

    def __init__(self, process: subprocess.Popen[bytes], tpm: subprocess.Popen[bytes] | None = None) -> None:
        self._process = process
        self._tpm = tpm
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self, *, within_s: float) -> Iterator[str]:
        """Lines as they come, until the machine is off or the time is over."""
        ends_at = time.monotonic() + within_s
        while (left_s := ends_at - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left_s)
            except queue.Empty:
                return
            if line is None:
                self._lines.put(None)  # it stays off
                return
            yield line

    def lines_to_its_end(self) -> Iterator[str]:
        """Lines as they come, until the machine is off, however long it runs."""
        while (line := self._lines.get()) is not None:
            yield line
        self._lines.put(None)

    def wait_for(self, *wanted: str, within_s: float) -> tuple[str | None, list[str]]:
        """The first line that has one of these texts, None if none came in time; and all lines up to it."""
        seen = []
        for line in self.lines(within_s=within_s):
            seen.append(line)
            if any(text in line for text in wanted):
                return line, seen
        return None, seen

    def pull_the_plug(self) -> None:
        """Switch the machine off from one instant to the next, its TPM too."""
        self._process.kill()
        self.break_tpm()
        self._process.wait()

    def end(self) -> None:
        """Switch it off if it is on, and have all that it said."""
        tools.stop_process(self._process, within_s=_END_WITHIN_S)
        self._reader.join()

    def ended_with(self) -> int:
        """How its emulator ended, which said its last line: its exit code, or minus the signal that ended it."""
        return self._process.wait()

    def break_tpm(self) -> None:
        """End the TPM while the machine runs: it answers nothing from now on."""
        if self._tpm is not None:
            self._tpm.kill()
            self._tpm.wait()

    @property
    def process_id(self) -> int:
        """The process of its emulator."""
        return self._process.pid

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def _read(self) -> None:
        if self._process.stdout is None:
            raise ValueError("a machine without a serial port")
        with self._process.stdout as said:  # closed by who reads it: closing does not end a read of another thread
            while line := said.readline(_LINE_BYTES):
                text = _CONTROL.sub("", line.decode("utf-8", "replace")).rstrip()
                if text:
                    self._lines.put(text)
        self._lines.put(None)


@contextlib.contextmanager
def running(settings: MachineSettings) -> Iterator[VirtualMachine]:
    """Switch a machine on; it is off when the block ends, however it ends.

    Raises:
        HostError: a program is missing, or the TPM does not start.
        DataFolderError: there is no machine in the folder and no image to make one of.
        DataFolderInUseError: the machine is on already, and stays so.
        InvalidArgumentError: a device is to be attached to a machine that has no place for it, or one is to be left out
            that its board has.
    """
    check(settings, has_devices="-device" in settings.attached)  # a card in a slot of its board is a drive alone
    tools.require(tools.MACHINE, tools.MACHINE_FOR[settings.machine])
    with contextlib.ExitStack() as stack:
        stack.enter_context(alone(settings.folder, LOCK))
        prepare(settings)
        if settings.enrolment is not None and not HARDWARE[settings.machine].has_fw_cfg:
            put_enrolment(settings.folder / DISK, settings.enrolment)
        socket = settings.folder / TPM / "control"
        tpm = stack.enter_context(_tpm(socket)) if settings.tpm else None
        process = subprocess.Popen(  # noqa: S603 - QEMU, with our arguments
            [*ended_with_us(), *arguments(settings, socket if settings.tpm else None)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=tools.lower_priority,  # noqa: PLW1509 - os.nice alone
        )
        machine = VirtualMachine(process, tpm)
        stack.callback(machine.end)
        yield machine


@contextlib.contextmanager
def alone(machine: Path, name: str) -> Iterator[None]:
    """Hold a file of this name in a machine's folder, which is made; what was killed holds it no more.

    Raises:
        DataFolderInUseError: another start holds it.
        DataFolderError: the folder is not writable.
    """
    with contextlib.ExitStack() as stack:
        try:
            machine.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(machine / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUseError(
                f"{machine}: this machine runs already", remedy="End it first, or boot another one: --data."
            ) from error
        except OSError as error:
            raise not_writable(machine, error) from error
        yield


def check(settings: MachineSettings, *, has_devices: bool = False) -> None:
    """Look whether such a machine can be switched on, before anything is made; ``has_devices``: some are attached.

    Raises:
        DataFolderError, InvalidArgumentError: as :func:`running` does.
    """
    machine, hardware = settings.machine, HARDWARE[settings.machine]
    if has_devices and not hardware.has_pci:
        raise InvalidArgumentError(
            f"{machine}: expected a machine with PCI for a modem, cores or a service link, it has none",
            remedy="Boot another one with them.",
        )
    if hardware.needs_tpm and not settings.tpm:
        raise InvalidArgumentError(
            f"{machine}: expected a machine with a TPM: its board has one, and stops without",
            remedy="Boot it with its TPM, or another machine without one.",
        )
    checks.check_folder(settings.folder, machine, has_tpm=settings.tpm)
    if not checks.is_made(settings.folder, machine):
        checks.check_room(checks.check_image(settings.image, machine, settings.folder), settings.folder)


def prepare(settings: MachineSettings) -> None:
    """Give a machine its TPM, its disk and its firmware's variables, if it has none yet.

    What is made is whole, or nothing of it is there.

    Raises:
        DataFolderError: there is no machine in the folder and no image to make one of, or it cannot be written.
        HostError: a program fails.
    """
    check(settings)
    folder, kept = settings.folder, HARDWARE[settings.machine].kept
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _whole_or_nothing(folder, (TPM, f"{TPM}.new", kept, f"{DISK}.new", checks.NOTE)):
            checks.note_machine(folder, settings.machine)  # first: a TPM without a note has lost it
            if settings.tpm and not (folder / TPM).exists():
                _make_tpm(folder / TPM)
            if not checks.is_made(folder, settings.machine):
                image = checks.check_image(settings.image, settings.machine, folder)
                fresh = folder / f"{DISK}.new"
                for source, target in ((image / kept, folder / kept), (image / DISK, fresh)):
                    target.unlink(missing_ok=True)
                    target.touch(mode=checks.PRIVATE)
                    tools.run(["cp", "--sparse=always", source, target])
                fresh.rename(folder / DISK)
            checks.note_machine(folder, settings.machine)  # that it has a TPM now
    except OSError as error:
        raise not_writable(folder, error) from error


@contextlib.contextmanager
def _whole_or_nothing(folder: Path, names: tuple[str, ...]) -> Iterator[None]:
    """Remove what has come under these names if the block does not end well."""
    absent = [folder / name for name in names if not (folder / name).exists()]
    try:
        yield
    except BaseException:  # also Ctrl-C
        for path in absent:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def arguments(settings: MachineSettings, tpm_socket: Path | None) -> list[str]:
    """QEMU's command line."""
    folder, hardware = settings.folder, HARDWARE[settings.machine]
    words = [
        shutil.which(hardware.program, path=tools.PATH) or hardware.program,
        *("-machine", hardware.machine, "-accel", "tcg,thread=multi", "-cpu", hardware.processor),
        *("-smp", str(settings.processors or hardware.processors), "-m", str(settings.memory_mb or hardware.memory_mb)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-action", "watchdog=reset"),
        *hardware.more,
    ]
    if hardware.firmware != NO_FIRMWARE:
        words += ["-drive", f"if=pflash,format=raw,unit=0,file={hardware.firmware},readonly=on"]
        words += ["-drive", f"if=pflash,format=raw,unit=1,file={folder / hardware.kept}"]
    words += [word.replace("{folder}", str(folder)) for word in hardware.devices]
    if tpm_socket is not None:
        words += ["-chardev", f"socket,id=tpm,path={tpm_socket}", "-tpmdev", "emulator,id=tpm0,chardev=tpm"]
        words += ["-device", f"{hardware.tpm},tpmdev=tpm0"]
    if settings.enrolment is not None and hardware.has_fw_cfg:
        words += ["-fw_cfg", f"name={ENROLMENT},file={_in_option(settings.enrolment)}"]
    return [*words, *settings.attached]


def _in_option(path: Path) -> str:
    """A path as the last part of QEMU's options takes it: a comma that is doubled begins no other part."""
    return str(path).replace(",", ",,")


@contextlib.contextmanager
def _tpm(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A TPM in software, with the state that the socket's folder keeps; it is asked through that socket."""
    folder = socket.parent
    socket.unlink(missing_ok=True)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - swtpm, with our arguments
            [
                *ended_with_us(),
                *(shutil.which("swtpm", path=tools.PATH) or "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
                *("--ctrl", f"type=unixio,path={socket}", "--flags", "startup-clear", "--terminate"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            ends_at = time.monotonic() + _TPM_WITHIN_S
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > ends_at:
                    raise _no_tpm(folder, said)
                time.sleep(0.02)
            yield process
        finally:
            tools.end_process(process, within_s=_END_WITHIN_S)


def _no_tpm(folder: Path, said: IO[bytes]) -> HostError:
    said.seek(0)
    words = " ".join(said.read(_SAID_BYTES).decode("utf-8", "replace").split()) or "it says nothing"
    return HostError(
        f"{folder}: the machine's TPM (swtpm) does not start: {words}",
        remedy="Mend what it says, and keep the folder: the device's identity is in it, and lost with it.",
    )


def _make_tpm(folder: Path) -> None:
    """Make a TPM in software as its maker would, with a certificate for it."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    tools.run(
        [
            *("swtpm_setup", "--tpm2", "--tpmstate", fresh, "--create-ek-cert", "--create-platform-cert"),
            *("--lock-nvram", "--config", _setup_files(fresh)),
        ]
    )
    fresh.rename(folder)


def _setup_files(folder: Path) -> Path:
    """Configuration for swtpm_setup: an authority for endorsement certificates that is the machine's own."""
    authority = folder / "authority"
    authority.mkdir()
    options = folder / "localca.options"
    options.write_text("--platform-manufacturer Armillary\n--platform-version 1\n--platform-model virtual\n", "ascii")
    local = folder / "localca.conf"
    local.write_text(
        f"statedir = {authority}\nsigningkey = {authority}/signkey.pem\nissuercert = {authority}/issuercert.pem\n"
        f"certserial = {authority}/certserial\n",
        "ascii",
    )
    setup = folder / "setup.conf"
    setup.write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca', path=tools.PATH) or 'swtpm_localca'}\n"
        f"create_certs_tool_config = {local}\ncreate_certs_tool_options = {options}\n",
        "ascii",
    )
    return setup
