# SPDX-License-Identifier: Apache-2.0
"""A development image has a shell at its serial ports and says what it is; from there a firmware takes the keys."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device_image.booted.conftest import BOOT_S

from armillary.device_image.architecture.hardware import VARIABLES
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.build import CACHE, Plan, build
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.wire.device_image.secure_boot_variables import ALLOWED, ATTRIBUTES, EXCHANGE_KEYS, PLATFORM_KEY

SAID = "this is a DEVELOPMENT image: whoever is at a serial port has a shell without a password"
END = "end of the answer"
# Whether the kernel stops for processors that stand still, and after how many reports (wire/device_image/command_line.py).
STALLS = "/proc/sys/kernel/panic_on_rcu_stall /proc/sys/kernel/max_rcu_stall_to_panic"
# In the guest: what the host gave it, into the firmware's variable, in one write as efivarfs wants it.
ENROL = (
    'python3 -c \'import sys; raw, variable = sys.argv[1:]; data = open(raw, "rb").read(); '
    f'open(variable, "wb", 0).write(({ATTRIBUTES}).to_bytes(4, "little") + data)\' '
    "/sys/firmware/qemu_fw_cfg/by_name/opt/keys/{name}/raw /sys/firmware/efi/efivars/{name}-{vendor}"
)


class Shell:
    """The shell at the machine's second serial port."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self, line: str) -> str:
        self._connection.sendall(f"{line}; echo 'end of' the answer $?\r".encode())
        said = b""
        while not re.search(rb"end of the answer \d+\r", said):
            more = self._connection.recv(4096)
            assert more, said
            said += more
        return said.decode("utf-8", "replace")

    def tell(self, line: str) -> None:
        self._connection.sendall(f"{line}\r".encode())


@contextlib.contextmanager
def shell_at(path: Path) -> Iterator[Shell]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(BOOT_S)
        connection.connect(str(path))
        yield Shell(connection)


@pytest.fixture
def development(image: Path, architecture: Architecture, tmp_path: Path) -> Path:
    if not architecture.has_uefi:
        pytest.skip(
            "its keys are put into UEFI firmware, which this machine has not; the others have: make image-test-full"
        )
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / CACHE).symlink_to(image.parent / CACHE)
    output = tmp_path / "built/image"
    plan = Plan(recipe_folder=recipe_folder(), output=output, architecture=architecture.name, development=True)
    build(plan, at=dt.datetime.now(dt.UTC))
    return output


@pytest.mark.long
@pytest.mark.image_full
def test_a_shell_enrols_the_keys_in_a_firmware_in_setup_mode(
    development: Path, architecture: Architecture, tmp_path: Path
) -> None:
    folder, port = tmp_path / "m", tmp_path / "port"
    folder.mkdir()
    shutil.copyfile(development / DISK, folder / DISK)
    shutil.copyfile(architecture.empty_variables, folder / VARIABLES)  # no keys: setup mode
    attached = ["-chardev", f"socket,id=shell,path={port},server=on,wait=off", "-serial", "chardev:shell"]
    for variable in (ALLOWED, EXCHANGE_KEYS, PLATFORM_KEY):
        file = development / "secure-boot" / f"{variable.name}.auth"
        attached += ["-fw_cfg", f"name=opt/keys/{variable.name},file={file}"]
    settings = MachineSettings(folder=folder, machine=architecture.name, tpm=False, attached=tuple(attached))
    with running(settings) as machine:
        line, seen = machine.wait_for(READY, within_s=BOOT_S)
        text = "\n".join(seen)
        assert line is not None, text
        assert SAID in text
        assert "secure boot off" in text
        with shell_at(port) as shell:
            shell.tell("")
            assert 'NAME="Armillary OS DEVELOPMENT"' in shell.ask("cat /etc/os-release")
            assert "uid=0(root)" in shell.ask("id")
            assert "armillary.development=1" in shell.ask("cat /proc/cmdline")
            assert "\n1\r\n3\r\n" in shell.ask(f"cat {STALLS}")
            for variable in (ALLOWED, EXCHANGE_KEYS, PLATFORM_KEY):
                answer = shell.ask(ENROL.format(name=variable.name, vendor=variable.vendor))
                assert f"{END} 0" in answer, answer
            shell.tell("sync; reboot -f")
            line, seen = machine.wait_for("secure boot o", within_s=BOOT_S)
        assert line is not None, seen
        assert "secure boot on" in line, seen
