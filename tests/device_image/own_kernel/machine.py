# SPDX-License-Identifier: Apache-2.0
"""Machines of QEMU that boot an own kernel on a verified root with one program in it (``probe.c``), and what it said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.fixtures.processes import OwnProcess

from armillary.device_image.own_kernel import fragments
from armillary.device_image.own_kernel.toolchain import TARGETS

HERE: Final = Path(__file__).parent
BLOCK: Final = 4096
# Emulated, on a host that does much else.
LIMIT_S: Final = 150.0
_HASH: Final = re.compile(r"^(Root hash|Salt):\s*([0-9a-f]{64})$", re.MULTILINE)


@dataclass(frozen=True)
class Machine:
    """A machine: its emulator with what it has, its console, its disk, and what is told of that to the kernel."""

    architecture: str
    emulator: tuple[str, ...]
    disk: tuple[str, ...]
    node: str
    words: str
    tree: str = ""
    console: tuple[str, ...] = ("-serial", "stdio")


_DRIVE: Final = "if=none,id=root,format=raw,readonly=on,file="
MACHINES: Final = {
    "q35": Machine(
        "x86_64",
        ("qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "256", "-nic", "none", "-device", "i6300esb"),
        ("-device", "virtio-blk-pci,drive=root", "-drive", _DRIVE),
        "/dev/vda",
        "console=ttyS0",
    ),
    "microvm": Machine(
        "x86_64",
        ("qemu-system-x86_64", "-M", "microvm", "-cpu", "max", "-m", "256", "-nic", "none", "-nodefaults"),
        ("-device", "virtio-blk-device,drive=root", "-drive", _DRIVE),
        "/dev/vda",
        "console=ttyS0",
    ),
    "virt": Machine(
        "arm64",
        ("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "256", "-nic", "none", "-device", "i6300esb"),
        ("-device", "virtio-blk-pci,drive=root", "-drive", _DRIVE),
        "/dev/vda",
        "console=ttyAMA0",
    ),
    "imx8mp-evk": Machine(
        "arm64",
        ("qemu-system-aarch64", "-M", "imx8mp-evk", "-smp", "4", "-m", "1G", "-nic", "none"),
        ("-drive", "if=sd,bus=2,format=raw,file="),
        "/dev/mmcblk2",
        "console=ttymxc1",
        "imx8mp-evk.dtb",
        ("-serial", "null", "-serial", "stdio"),
    ),
}


@dataclass(frozen=True)
class VerifiedDisk:
    """A file with a file system and its verity tree behind it, and what binds it."""

    file: Path
    blocks: int
    root_hash: str
    salt: str

    def words(self, node: str) -> str:
        """What the signed command line says: the kernel makes the verified device itself."""
        table = (
            f"0 {self.blocks * BLOCK // 512} verity 1 {node} {node} {BLOCK} {BLOCK} {self.blocks} {self.blocks + 1}"
            f" sha256 {self.root_hash} {self.salt} 1 panic_on_corruption"
        )
        return f'dm-mod.create="root,,,ro,{table}" dm-mod.waitfor={node} root=/dev/dm-0 rootfstype=erofs ro'


@dataclass(frozen=True)
class Boot:
    """What a machine said on its console, and after how many seconds its first program spoke (None: never)."""

    console: str
    first_s: float | None

    @property
    def said(self) -> dict[str, str]:
        """Name -> value of each line that the first program printed."""
        found = re.findall(r"^probe (\S+) ?(.*?)\r?$", self.console, re.MULTILINE)
        return dict(found)


def own_kernel(architecture: str) -> Path:
    """The kernel as it was built of the fragments as they are; skips where it was not, or QEMU is not here."""
    folder = os.environ.get("ARMILLARY_KERNEL_TESTS")
    if not folder:
        pytest.skip("boots own kernels in QEMU: make image-kernel-test")
    kernel = Path(folder) / architecture / TARGETS[architecture].made
    config = kernel.with_name("config")
    if not config.is_file():
        pytest.skip(f"there is no {kernel}: make image-kernel KERNELS={architecture}")
    options = fragments.read_fragments(fragments.kernel_folder(), architecture)
    assert fragments.lost(options, config.read_text("utf-8")) == (), "of other fragments: make image-kernel"
    for name in ("mkfs.erofs", "veritysetup"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is missing; to enable: sudo ./scripts/install-image-tools")
    return kernel


def verified_disk(folder: Path, architecture: str) -> VerifiedDisk:
    """A root with the probe as /init, and a script beside it; padded to a mebibyte, as cards are."""
    tree = folder / "tree"
    for name in ("dev", "proc", "sys", "tmp", "run"):
        (tree / name).mkdir(parents=True)
    compiler = TARGETS[architecture].compiler
    _run(compiler, "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", tree / "init", HERE / "probe.c")
    (tree / "script").write_text("#!/init\n")
    (tree / "script").chmod(0o755)
    # contents that nothing reads until the kernel does: bytes of a disk that a test may change
    file = folder / "root.img"
    _run("mkfs.erofs", "--quiet", "-zlz4hc", "--all-root", "-T0", file, tree)
    data = file.read_bytes()
    data += bytes(-len(data) % BLOCK)
    file.write_bytes(data)
    said = _run("veritysetup", "format", f"--hash-offset={len(data)}", file, file)
    found = dict(_HASH.findall(said))
    size = file.stat().st_size
    with file.open("ab") as made:
        made.truncate(1 << (size - 1).bit_length())
    return VerifiedDisk(file, len(data) // BLOCK, found["Root hash"], found["Salt"])


def boot(machine: Machine, kernel: Path, disk: VerifiedDisk, *words: str, instead: Path | None = None) -> Boot:
    """Boot until the machine is off or stopped; ``instead`` is the disk's file, if it is another than the bound one."""
    line = " ".join((machine.words, disk.words(machine.node), "panic=1 quiet loglevel=4 init=/init", *words))
    tree = ("-dtb", kernel.with_name(machine.tree)) if machine.tree else ()
    *before, drive = machine.disk
    command: Sequence[str | Path] = (
        *(*machine.emulator, *before, f"{drive}{instead or disk.file}"),
        *(
            "-display",
            "none",
            "-monitor",
            "none",
            "-no-reboot",
            *machine.console,
            "-kernel",
            kernel,
            *tree,
            "-append",
            line,
        ),
    )
    begun, first, lines = time.monotonic(), None, []
    with OwnProcess(
        [str(each) for each in command], limit_s=LIMIT_S, stdout=subprocess.PIPE, errors="replace"
    ) as running:
        while text := running.readline(LIMIT_S):
            if first is None and text.startswith("probe begun-ms"):
                first = time.monotonic() - begun
            lines.append(text)
            if text.startswith(("probe done", "reboot: machine restart")) or "Kernel panic" in text:
                break
        lines += list(running.stdout or ()) if machine.tree == "" else []
    return Boot("".join(lines), first)


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout
