# SPDX-License-Identifier: Apache-2.0
"""Own kernels in QEMU: a verified root becomes a first program, and what is under that program is what was promised.

Each machine boots once for most tests (``booted``); run with ``-s`` it prints after how many seconds the first program
spoke. Error numbers are Linux's: a call that is refused or that there is not says it, negative.
"""

from __future__ import annotations

import errno
import functools
import shutil
import tempfile
from pathlib import Path

import pytest
from tests.device_image.own_kernel.machine import BLOCK, LIMIT_S, MACHINES, Boot, boot, own_kernel, verified_disk

from armillary.device_image.own_kernel.build import build_kernel
from armillary.device_image.own_kernel.source import BUILT_FILE
from armillary.device_image.own_kernel.toolchain import TARGETS

pytestmark = [pytest.mark.long, pytest.mark.timeout(2 * LIMIT_S)]
ABSENT = {
    "user-namespace": errno.EINVAL,
    "io-uring": errno.ENOSYS,
    "asynchronous-io": errno.ENOSYS,
    "kexec": errno.ENOSYS,
    "module": errno.ENOSYS,
    "userfaultfd": errno.ENOSYS,
    "physical-memory": errno.ENOENT,
    "kernel-memory": errno.ENOENT,
    "symbols": errno.ENOENT,
    "tracing": errno.ENODEV,
    "debugging": errno.ENODEV,
    "script": errno.ENOEXEC,
    "write-root": errno.EROFS,
}


@pytest.mark.parametrize("architecture", list(TARGETS))
def test_a_kernel_has_the_bytes_of_builds_elsewhere(architecture: str, tmp_path: Path) -> None:
    """Of the same source, options, compiler and linker; with others there is nothing to compare it with."""
    kernel = own_kernel(architecture)
    built = build_kernel(architecture, tmp_path, print, cache=kernel.parents[1])
    if built.others_sha256 is None:
        pytest.skip(f"nobody has said what this compiler makes of these options: {BUILT_FILE}")
    assert built.sha256 == built.others_sha256


@functools.cache
def booted(name: str) -> Boot:
    """What this machine said, from the verified root to its end."""
    machine = MACHINES[name]
    kernel = own_kernel(machine.architecture)
    with tempfile.TemporaryDirectory() as folder:
        found = boot(machine, kernel, verified_disk(Path(folder), machine.architecture))
    print(
        f"{name}: first program after {found.first_s or -1:.1f} s, by the kernel's clock {found.said.get('begun-ms')} ms"
    )
    assert found.said.get("done") == "yes", found.console[-3000:]
    return found


@pytest.mark.parametrize("name", MACHINES)
def test_a_verified_root_becomes_the_first_program(name: str) -> None:
    said = booted(name).said
    assert "-armillary" in said["version"]
    assert "armillary@image" in said["version"]


@pytest.mark.parametrize("name", MACHINES)
def test_root_cannot_change_the_kernel_or_read_its_secrets(name: str) -> None:
    said = booted(name).said
    assert "[confidentiality]" in said["lockdown"]
    assert {"landlock", "lockdown", "yama"} <= set(said["modules-of-security"].split(","))
    assert int(said["ptrace-scope"]) >= 1
    assert int(said["bpf-of-users"]) >= 1


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("what", ABSENT)
def test_what_a_device_has_no_use_for_is_not_there(name: str, what: str) -> None:
    assert booted(name).said[what] == str(-ABSENT[what])


@pytest.mark.parametrize("name", MACHINES)
def test_what_encloses_applications_is_there(name: str) -> None:
    said = booted(name).said
    assert int(said["landlock"]) >= 6  # ABI of Linux 6.12: files, ports, ioctl, signals, abstract sockets
    assert said["seccomp-notification"] == "0"
    assert int(said["pidfd"]) >= 0
    assert said["namespaces"] == "0"
    assert {"cpu", "memory", "pids"} <= set(said["controllers"].split())
    assert said["pressure"].startswith("some avg10=")


@pytest.mark.parametrize("name", MACHINES)
def test_simulated_pins_converters_and_radios_are_there(name: str) -> None:
    said = booted(name).said
    assert said["gpio-sim"] == said["gpio-sim-live"] == said["converter"] == "0"
    assert said["gpio-sim-chip"].startswith("gpiochip")
    assert said["converters"].startswith("iio:device")
    assert said["radios"] == "phy0 phy1"
    assert {"wlan0", "wlan1"} <= set(said["networks"].split())


def test_a_watchdog_cannot_be_stopped() -> None:
    said = booted("q35").said
    assert {said["watchdog-0"], said["watchdog-1"]} == {"Software Watchdog", "i6300ESB timer"}
    assert said["no-way-out"] == "1"


def test_the_i_mx_has_its_card_pins_buses_and_watchdog() -> None:
    said = booted("imx8mp-evk").said
    assert said["machine"] == "NXP i.MX8MPlus EVK board"
    assert "mmcblk2" in said["cards"].split()
    assert {f"gpiochip{number}" for number in range(5)} <= set(said["gpio"].split())
    assert said["i2c"].startswith("i2c-")
    assert "imx2+ watchdog" in (said["watchdog-0"], said["watchdog-1"])


@pytest.mark.parametrize("name", MACHINES)
def test_a_script_is_no_first_program(name: str, tmp_path: Path) -> None:
    machine = MACHINES[name]
    found = boot(
        machine, own_kernel(machine.architecture), verified_disk(tmp_path, machine.architecture), "init=/script"
    )
    assert "Requested init /script failed (error -8)" in found.console
    assert found.first_s is None


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("where", ["superblock", "data", "tree"])
def test_a_changed_root_stops_the_machine_where_it_is_read(name: str, where: str, tmp_path: Path) -> None:
    machine = MACHINES[name]
    kernel = own_kernel(machine.architecture)
    disk = verified_disk(tmp_path, machine.architecture)
    at = {"superblock": 1024 + 5, "data": disk.blocks // 2 * BLOCK + 7, "tree": (disk.blocks + 1) * BLOCK + 3}[where]
    changed = tmp_path / "changed.img"
    shutil.copyfile(disk.file, changed)
    with changed.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    found = boot(machine, kernel, disk, instead=changed)
    assert "Kernel panic" in found.console
    assert "done" not in found.said
    assert where == "data" or found.first_s is None  # a block of data is met when it is read


@pytest.mark.parametrize("name", MACHINES)
def test_another_root_hash_opens_nothing(name: str, tmp_path: Path) -> None:
    machine = MACHINES[name]
    kernel = own_kernel(machine.architecture)
    disk = verified_disk(tmp_path, machine.architecture)
    other = type(disk)(disk.file, disk.blocks, "ab" * 32, disk.salt)
    found = boot(machine, kernel, other)
    assert "Kernel panic" in found.console
    assert found.first_s is None
