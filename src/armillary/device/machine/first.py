# SPDX-License-Identifier: Apache-2.0
"""Process 1 of the device image: mounts the data, starts the device process, brings the network up, feeds the watchdog.

Started by ``image/init/init.c`` with the slot's letter, the node of the disk, that of the data partition (empty: there
is none), the second of the kernel's time at which the first program began, and the device process that it has started
beside this one (:class:`Beside`): that loads itself, and waits until it is told that the data is there.

It talks to the device process through pipes (``words.py``). It is quick to start, so it imports little; everything that
a device is stands in the other process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from armillary.device.machine import kernel_calls
from armillary.device.machine.addresses import Addresses
from armillary.device.machine.console import say, since_start
from armillary.device.machine.data_partition import keep_reserve, mount_data
from armillary.device.machine.watchdog import Watchdog
from armillary.device.machine.words import DISK_VARIABLE, FAULTS, NOTHING_KEPT, RESTARTS_APART_S, WORDS_VARIABLE, Word

if TYPE_CHECKING:
    from armillary.device.machine.development import Shells

DATA: Final = "/data"
TPM: Final = "/dev/tpmrm0"
EFI: Final = "/sys/firmware/efi"
FIRMWARE_LOG: Final = "/sys/kernel/security/tpm0/binary_bios_measurements"
GROUPS: Final = "/sys/fs/cgroup/cgroup.subtree_control"
SECURE_BOOT: Final = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SECURE_BOOT_TRIES: Final = 3
_SECURE_BOOT: Final = {b"\x00": "off", b"\x01": "on"}
UBOOT_VERSION: Final = "/proc/device-tree/chosen/u-boot,version"
START: Final = "armillary.device.machine.start"
PROGRAM: Final = "armillary.device.machine.program"
_LOOK_EVERY_S: Final = 5.0
# A device process that ends again and again is not mended by starting it: the machine restarts, into the other slot
# where the process has ended each time before it named its own (``device/boot/slot_choice.py``).
_STARTS: Final = 5
_WITHIN_S: Final = 300.0
_STARTED_AGAIN_AFTER_S: Final = 2.0
_STOP_WITHIN_S: Final = 20.0
# A machine without its data is of no use. It may have an OS that cannot read them, or a disk that is well again after a
# while, so it restarts and its other slot gets its turn. Long enough to read on the console what is wrong.
_WITHOUT_DATA_S: Final = RESTARTS_APART_S
# A device process from which nothing is heard for so long hangs. An honest one is silent for its whole start, which was
# seen to need 115 s, emulated beside a load, and while one step holds up all others. The longest of these writes an OS
# into its slot: 80 MB, read and written five times, are 14 minutes at 0.5 MB/s, far below any disk. An OS on trial that
# hangs has used up its starts in little more than an hour.
_SILENT_S: Final = 1200.0


class Beside(NamedTuple):
    """A device process that waits for the data: its process, where it is heard, and where it is told."""

    process: int
    words: int
    go: int


class Machine:
    """The machine from the start of process 1 to its end."""

    def __init__(
        self,
        slot: str,
        disk: str,
        data: str,
        began: float,
        beside: Beside | None = None,
        shells: Shells | None = None,
    ) -> None:
        self._slot = slot
        self._disk = disk
        self._data = data
        self._began = began
        self._watchdog = Watchdog()
        self._beside = beside
        self._child, self._words = (0, -1) if beside is None else (beside.process, beside.words)
        self._keeps_data = False
        self._restart_at: float | None = None  # where its data are out of reach
        self._faults: list[str] = []
        self._rest = b""
        self._silent_s = 0.0  # since the device process was heard, or started
        self._looked_at = 0.0
        self._starts: deque[float] = deque(maxlen=_STARTS)
        self._start_at: float | None = None
        self._addresses = Addresses()
        self._ending: signal.Signals | None = None
        self._signals = -1
        self._shells = shells

    def run(self) -> None:
        """Be process 1."""
        watchdog = "a watchdog" if self._watchdog.is_there else "no watchdog"
        say(f"{started_by()}, {tpm_there()}, {watchdog}")
        self._mount_data()
        divide_groups()
        self._signals = self._listen_to_signals()
        self._start()
        if self._shells is not None:
            self._shells.start()
        self._addresses.begin()
        while self._ending is None:
            self._look(_LOOK_EVERY_S)
        self._end(restart=self._ending is not signal.SIGTERM)

    def _mount_data(self) -> None:
        if not self._data:
            self._tell("there is no data partition: nothing that the device learns is kept")
            self._mount_nothing()
            return
        try:
            damage = mount_data(self._data, DATA, alive=self._watchdog.feed)
        except OSError as error:
            self._tell(
                f"the data partition {self._data} does not mount: {error.strerror or error}; "
                "identity, applications and settings of this device are out of reach"
            )
            self._mount_nothing()
            return
        self._keeps_data = True
        for sentence in (damage, keep_reserve(DATA)):
            if sentence:
                self._tell(sentence)

    def _mount_nothing(self) -> None:
        """Have a folder for data that is gone with the next start: the device says what is wrong, and is none.

        A development image does not restart: whoever is at its shell may be looking what is wrong.
        """
        kernel_calls.mount("tmpfs", DATA, "tmpfs", kernel_calls.NOSUID | kernel_calls.NODEV, "mode=0755,size=64m")
        if self._shells is not None:
            say("the machine goes on without its data, since this is a development image: restart it by hand")
            return
        minutes = f"{_WITHOUT_DATA_S / 60:g} minutes"
        say(f"the machine restarts after {minutes}: the other slot, or a disk that is well again, gets its turn")
        self._restart_at = time.monotonic() + _WITHOUT_DATA_S

    def _tell(self, sentence: str) -> None:
        """Say it on the console, and have the device process report it."""
        say(sentence)
        self._faults.append(sentence)

    def _tell_faults(self) -> None:
        """Leave what went wrong where the device process looks for it, each once; a full /run takes nothing."""
        with contextlib.suppress(OSError), open(FAULTS, "w", encoding="utf-8") as file:  # noqa: PTH123 - as above
            file.write("\n".join(["" if self._keeps_data else NOTHING_KEPT, *self._faults]))
        self._faults.clear()

    def _listen_to_signals(self) -> int:
        """A descriptor that can be read once a signal has come."""
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._signalled)
        return reading

    def _signalled(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self._ending = signal.Signals(number)

    def _start(self) -> None:
        """Start the device process, or give up where it was started too often."""
        now = time.monotonic()
        if len(self._starts) == _STARTS and now - self._starts[0] < _WITHIN_S:
            say(f"the device process ended {_STARTS} times within {_WITHIN_S:g} s; restarting the machine")
            self._end(restart=True)
        self._starts.append(now)
        self._start_at = None
        self._silent_s = 0.0
        self._tell_faults()
        if self._beside is not None:
            self._let_go(self._beside)
            return
        reading, writing = os.pipe()
        if self._words >= 0:
            os.close(self._words)
        self._words, self._rest = reading, b""
        os.set_inheritable(writing, True)
        environment = {**os.environ, WORDS_VARIABLE: str(writing), DISK_VARIABLE: self._disk}
        words = [sys.executable, "-I", "-W", "ignore", "-m", START, PROGRAM]
        self._child = os.posix_spawn(sys.executable, words, environment)
        os.close(writing)

    def _let_go(self, beside: Beside) -> None:
        """Tell the device process that the data is there; one that has ended meanwhile is found as others are."""
        self._beside = None
        with contextlib.suppress(BrokenPipeError):
            os.write(beside.go, b"\n")
        os.close(beside.go)

    def _look(self, wait_s: float) -> None:
        """Wait for whatever comes first, and do what is due."""
        heard: list[int | socket.socket] = [self._signals]
        if self._words >= 0:
            heard.append(self._words)
        if self._addresses.asking is not None:
            heard.append(self._addresses.asking.socket)
            wait_s = min(wait_s, max(0.0, self._addresses.asking.ask_again_at - time.monotonic()))
        readable, _, _ = select.select(heard, [], [], wait_s)
        if self._signals in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._signals, 4096)
        if self._words in readable:
            self._hear(os.read(self._words, 4096))
        self._watchdog.feed()
        self._reap()
        now = time.monotonic()
        if self._start_at is not None and now >= self._start_at:
            self._start()
        self._addresses.look(now)
        self._judge(now)

    def _judge(self, now: float) -> None:
        """Restart a machine that was without its data for long, or whose device process hangs.

        A look counts as no more than the longest wait before it: while the whole machine stood still, nobody was
        silent. Whoever debugs the device process of a development image may stop it.
        """
        self._silent_s += min(now - self._looked_at, _LOOK_EVERY_S)
        self._looked_at = now
        if self._restart_at is not None and now >= self._restart_at:
            say("the data are out of reach: the machine restarts, as it said")
            self._ending = self._ending or signal.SIGINT
        elif self._silent_s >= _SILENT_S and self._shells is None:
            say(f"nothing was heard of the device process for {_SILENT_S / 60:g} minutes: the machine restarts")
            self._ending = self._ending or signal.SIGINT

    def _hear(self, said: bytes) -> None:
        if not said:  # the device process has ended: it is reaped, and started again
            os.close(self._words)
            self._words = -1
        else:
            self._silent_s = 0.0
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            if text == Word.RESTART.value:
                self._ending = signal.SIGINT
            elif text in (Word.READY.value, Word.WAITING.value):
                waits = "no device yet, waits to be enrolled" if self._keeps_data else "no device without its data"
                state = "" if text == Word.READY.value else f": {waits}"
                began, now = self._began, since_start()
                say(f"ready after {now - began:.1f} s{state} (slot {self._slot}, {now:.1f} s after the kernel began)")

    def _reap(self) -> None:
        """Take the ends of processes: process 1 inherits those that nobody waits for."""
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            if child == self._child:
                code = os.waitstatus_to_exitcode(status)
                say(f"the device process ended ({f'exit status {code}' if code >= 0 else f'signal {-code}'})")
                self._child = 0
                self._start_at = time.monotonic() + _STARTED_AGAIN_AFTER_S
            elif self._shells is not None:
                self._shells.ended(child)

    def _end(self, *, restart: bool) -> None:
        """Stop the device process, keep what it wrote, and end the machine."""
        if self._child:
            os.kill(self._child, signal.SIGTERM)
            ends_at = time.monotonic() + _STOP_WITHIN_S
            while self._child and time.monotonic() < ends_at:
                self._watchdog.feed()
                self._reap()
                time.sleep(0.05)
        os.sync()
        with contextlib.suppress(OSError):
            kernel_calls.unmount(DATA)
        os.sync()
        say("restarting" if restart else "switching off")
        if restart:
            kernel_calls.restart_machine()
        kernel_calls.power_off()


def divide_groups() -> None:
    """Let control groups bound what is below them: applications get groups of their own."""
    for controller in ("cpu", "io", "memory", "pids"):
        with contextlib.suppress(OSError), open(GROUPS, "w", encoding="ascii") as file:  # noqa: PTH123 - as below
            file.write(f"+{controller}")


def started_by() -> str:
    """What is known of who started the kernel. U-Boot says that it did; that it verified, nobody can ask it."""
    if os.path.exists(UBOOT_VERSION):  # noqa: PTH110 - pathlib costs a start
        return "started by U-Boot"
    return secure_boot()


def secure_boot() -> str:
    """Whether the firmware says that it starts only what is signed; it may fail to answer once, on a busy host."""
    reason = ""
    for _ in range(SECURE_BOOT_TRIES):
        try:
            with open(SECURE_BOOT, "rb") as file:  # noqa: PTH123 - pathlib costs a start
                value = file.read()[4:]  # behind the variable's attributes
        except FileNotFoundError:
            return "secure boot not known: the firmware has no such variable"
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            if value in _SECURE_BOOT:
                return f"secure boot {_SECURE_BOOT[value]}"
            reason = f"{len(value)} bytes"
    return f"secure boot not known: {reason}"


def tpm_there() -> str:
    """What there is of a TPM, in words."""
    if not os.path.exists(TPM):  # noqa: PTH110 - pathlib costs a start
        return "no TPM"
    measures = os.path.exists(EFI)  # noqa: PTH110 - as above; other firmware says nothing of what it measured
    is_silent = measures and not os.path.exists(FIRMWARE_LOG)  # noqa: PTH110 - as above
    return "a TPM, no log of the firmware" if is_silent else "a TPM"


def boot_words() -> dict[str, str]:
    """The words of the kernel's command line, all of it signed."""
    with open("/proc/cmdline", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib costs a start
        return dict(word.partition("=")[::2] for word in file.read().split())


def shells_of(words: dict[str, str]) -> Shells | None:
    """The shells of a development image; None for a release, which has none."""
    if words.get("armillary.development") != "1":
        return None
    from armillary.device.machine.development import Shells  # noqa: PLC0415 - no release needs it

    return Shells()


def set_clock_floor(words: dict[str, str]) -> None:
    """Put a clock that stands before the image was built to that time: certificates begin later."""
    built = int(words.get("armillary.built", "0"))
    if time.time() < built:
        time.clock_settime(time.CLOCK_REALTIME, built)
        say("the clock stood before the image was built; it was set to that time")


def main() -> None:
    """Be process 1; whatever goes wrong, the machine restarts."""
    slot, disk, data, began, *beside = sys.argv[1:8]
    try:
        line = boot_words()
        set_clock_floor(line)
        process, words, go = map(int, beside)
        for each in (words, go):
            os.set_inheritable(each, False)
        Machine(slot, disk, data, float(began), Beside(process, words, go), shells_of(line)).run()
    except Exception as error:  # noqa: BLE001 - the outermost loop of the machine: nobody else restarts it
        say(f"process 1 failed: {type(error).__name__}: {error}; restarting")
        os.sync()
        kernel_calls.restart_machine()


if __name__ == "__main__":
    main()
