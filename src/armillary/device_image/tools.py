# SPDX-License-Identifier: Apache-2.0
"""The programs that the maker uses: which there are, what is missing, how one is run."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from armillary.errors import HostError

# Programs of the distribution are Python scripts, too: they get the distribution's Python, whatever else is installed.
PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
# All images say that they were made at this time, Unix seconds: 2026-01-01.
MADE_AT: Final = 1767225600
# Of what a program printed before it failed so many characters are told: the reason is in its last lines, and an error
# is read on a terminal.
LAST_WORDS_MOST: Final = 600
# Exit status of this module as a program if this host lacks programs: Python's own for a fault of ours is 1.
LACKS_PROGRAMS: Final = 3

# program, or a file that a package brings -> Debian package
BUILD: Final = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "mkfs.erofs": "erofs-utils",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "osslsigncode": "osslsigncode",
    "python3.13": "python3.13",
    "ukify": "systemd-ukify",
    "/usr/lib/python3/dist-packages/pefile.py": "python3-pefile",
    "veritysetup": "cryptsetup-bin",
    "virt-fw-vars": "python3-virt-firmware",
}
MACHINE: Final = {
    "swtpm": "swtpm",
    "swtpm_setup": "swtpm-tools",
}
_UBOOT: Final = {
    "bison": "bison",
    "dtc": "device-tree-compiler",
    "flex": "flex",
    "gcc": "gcc",
    "make": "make",
    "mkimage": "u-boot-tools",
    "patch": "patch",
    "/usr/include/openssl/evp.h": "libssl-dev",
}
# The same, for one architecture.
BUILD_FOR: Final = {
    "x86_64": {
        "gcc": "gcc",
        "/usr/include/linux/dm-ioctl.h": "libc6-dev",
        "strip": "binutils",
        "/usr/share/OVMF/OVMF_VARS_4M.fd": "ovmf",
    },
    "arm64": {
        "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
        "/usr/aarch64-linux-gnu/include/linux/dm-ioctl.h": "libc6-dev-arm64-cross",
        "aarch64-linux-gnu-strip": "binutils-aarch64-linux-gnu",
        "/usr/share/AAVMF/AAVMF_VARS.fd": "qemu-efi-aarch64",
    },
    "imx8mp": {
        "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
        "/usr/aarch64-linux-gnu/include/linux/dm-ioctl.h": "libc6-dev-arm64-cross",
        "aarch64-linux-gnu-strip": "binutils-aarch64-linux-gnu",
        **_UBOOT,
    },
    "armhf": {
        "arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf",
        "/usr/arm-linux-gnueabihf/include/linux/dm-ioctl.h": "libc6-dev-armhf-cross",
        "arm-linux-gnueabihf-strip": "binutils-arm-linux-gnueabihf",
        **_UBOOT,
    },
}
MACHINE_FOR: Final = {
    "x86_64": {"qemu-system-x86_64": "qemu-system-x86", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd": "ovmf"},
    "arm64": {
        "qemu-system-aarch64": "qemu-system-arm",
        "/usr/share/AAVMF/AAVMF_CODE.secboot.fd": "qemu-efi-aarch64",
    },
    "imx8mp": {"qemu-system-aarch64": "qemu-system-arm", "debugfs": "e2fsprogs"},
    "armhf": {"qemu-system-arm": "qemu-system-arm", "debugfs": "e2fsprogs"},
}


def end_process(process: subprocess.Popen[bytes], *, within_s: float) -> None:
    """End a process of ours, kindly and after so many seconds not; nobody reads what it said."""
    stop_process(process, within_s=within_s)
    if process.stdout is not None:
        process.stdout.close()


def stop_process(process: subprocess.Popen[bytes], *, within_s: float) -> None:
    """The same, for a process whose output is read by a thread, up to its end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def missing(*tables: dict[str, str]) -> tuple[str, ...]:
    """Debian packages that bring what is not here, sorted."""
    wanted = {name: package for table in tables for name, package in table.items()}
    return tuple(sorted({package for name, package in wanted.items() if not _is_here(name)}))


def require(*tables: dict[str, str]) -> None:
    """HostError with the line that installs what is missing, if anything is."""
    packages = missing(*tables)
    if packages:
        raise HostError(
            f"device image: this host has no {', '.join(packages)}",
            remedy=f"sudo apt-get install --no-install-recommends {' '.join(packages)}",
        )


def run(
    arguments: Sequence[str | Path],
    *,
    data: bytes | None = None,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> bytes:
    """Run a program and return what it prints; HostError with its last words if it fails."""
    words = [str(argument) for argument in arguments]
    fixed = {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": str(MADE_AT), "HOME": "/nonexistent"}
    try:
        done = subprocess.run(  # noqa: S603 - programs of this host, their arguments are ours
            [shutil.which(words[0], path=PATH) or words[0], *words[1:]],
            input=data,
            capture_output=True,
            check=False,
            env=fixed | (environment or {}),
            cwd=folder,
        )
    except OSError as error:
        raise HostError(f"{words[0]}: {error.strerror or error}", remedy="make image says what is missing.") from error
    if done.returncode:
        printed = (done.stderr or done.stdout).decode("utf-8", "replace")
        is_full = os.strerror(errno.ENOSPC) in printed
        remedy = (
            "Make room there, or have temporary files elsewhere: TMPDIR."
            if is_full
            else "Mend what it says, then again."
        )
        raise HostError(f"{words[0]} failed with {done.returncode}: {last_words(printed)}", remedy=remedy)
    return done.stdout


def last_words(printed: str) -> str:
    """The last whole lines that a program printed, as one line of at most :data:`LAST_WORDS_MOST` characters."""
    said = ""
    for line in reversed(printed.splitlines()):
        told = " ".join(line.split())
        if not told:
            continue
        if said and len(told) + len("; ") + len(said) > LAST_WORDS_MOST:
            break
        said = f"{told}; {said}" if said else told[:LAST_WORDS_MOST]
    return said


def versions(programs: Iterable[str]) -> dict[str, str]:
    """What programs say of their version; part of what an image is made of."""
    return {name: run([name, "--version"]).decode("utf-8", "replace").splitlines()[0] for name in programs}


def digest_of(file: Path) -> str:
    """SHA-256 of a file, hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def lower_priority() -> None:
    """Leave the host's processors to what people do meanwhile."""
    os.nice(max(0, 10 - os.nice(0)))


def _is_here(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(name, path=PATH) is not None


if __name__ == "__main__":
    # For scripts: a status of its own, and a line with what is missing here for building and booting an x86-64 image.
    lacking = missing(BUILD, BUILD_FOR["x86_64"], MACHINE, MACHINE_FOR["x86_64"])
    if lacking:
        sys.stderr.write(f"this host has no {', '.join(lacking)}\n")
    sys.exit(LACKS_PROGRAMS if lacking else 0)
