# SPDX-License-Identifier: Apache-2.0
"""What the host needs to make a kernel: Debian packages, a compiler for the architecture, room on the disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.tools import last_words
from armillary.errors import HostError

SOURCE: Final = Path("/usr/src/linux-source-6.12.tar.xz")
SOURCE_PACKAGE: Final = "linux-source-6.12"
# The source unpacked and what is compiled of it for one architecture.
ROOM_BYTES: Final = 4_000_000_000
# Programs come from the distribution alone, whatever else is installed, and speak English.
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent"}
# program, or a pattern of a file that a package brings -> Debian package
_EVERYWHERE: Final = {
    str(SOURCE): SOURCE_PACKAGE,
    "bc": "bc",
    "bison": "bison",
    "dpkg-query": "dpkg",
    "flex": "flex",
    "g++-14": "g++-14",
    "gcc-14": "gcc-14",
    "lz4": "lz4",
    "make": "make",
    "nice": "coreutils",
    "perl": "perl",
    "rsync": "rsync",
    "tar": "tar",
    "xz": "xz-utils",
    "/usr/include/gelf.h": "libelf-dev",
    "/usr/include/*/gmp.h": "libgmp-dev",
    "/usr/include/mpc.h": "libmpc-dev",
    "/usr/include/openssl/evp.h": "libssl-dev",
}


@dataclass(frozen=True, slots=True)
class Target:
    """An architecture as the kernel's makefile takes it: name, prefix of programs, what is made, where that is."""

    architecture: str
    prefix: str
    made: str
    path: str
    trees: tuple[str, ...]
    needs: Mapping[str, str]

    @property
    def compiler(self) -> str:
        """The C compiler."""
        return f"{self.prefix}gcc-14"

    def variables(self) -> tuple[str, ...]:
        """Variables of the makefile that choose architecture and programs."""
        cross = (f"CROSS_COMPILE={self.prefix}",) if self.prefix else ()
        return (f"ARCH={self.architecture}", *cross, f"CC={self.compiler}", "HOSTCC=gcc-14", "HOSTCXX=g++-14")


TARGETS: Final = {
    "x86_64": Target(
        "x86_64",
        "",
        "bzImage",
        "arch/x86/boot/bzImage",
        (),
        {"/usr/lib/gcc/*/14/plugin/include/gcc-plugin.h": "gcc-14-plugin-dev"},
    ),
    "arm64": Target(
        "arm64",
        "aarch64-linux-gnu-",
        "Image",
        "arch/arm64/boot/Image",
        ("freescale/imx8mp-evk.dtb",),
        {
            "aarch64-linux-gnu-gcc-14": "gcc-14-aarch64-linux-gnu",
            "aarch64-linux-gnu-ld": "binutils-aarch64-linux-gnu",
            "/usr/lib/gcc-cross/aarch64-*/14/plugin/include/gcc-plugin.h": "gcc-14-plugin-dev-aarch64-linux-gnu",
        },
    ),
}


def require(target: Target, cache: Path) -> None:
    """HostError with the line that installs what is missing, or with how much room there has to be."""
    wanted = {**_EVERYWHERE, **target.needs}
    packages = sorted({package for name, package in wanted.items() if not _is_here(name)})
    if packages:
        raise HostError(
            f"kernel: this host has no {', '.join(packages)}",
            remedy=f"sudo apt-get install --no-install-recommends {' '.join(packages)}",
        )
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < ROOM_BYTES and not any(cache.glob("source-*/done")):
        raise HostError(
            f"kernel: {cache} has {free // 1_000_000} MB free, a build needs {ROOM_BYTES // 1_000_000}",
            remedy="Make room, or name a folder on another disk: make image-kernel IMAGE_CACHE=FOLDER.",
        )


def run(arguments: Sequence[str | Path], folder: Path | None = None) -> str:
    """What a program prints; HostError with its last words if it fails."""
    words = [str(each) for each in arguments]
    done = subprocess.run(words, capture_output=True, check=False, cwd=folder, env=_ENVIRONMENT)  # noqa: S603
    if done.returncode:
        raise failure(words[0], done.returncode, (done.stderr or done.stdout).decode("utf-8", "replace"))
    return done.stdout.decode("utf-8", "replace")


def begin(arguments: Sequence[str | Path]) -> subprocess.Popen[str]:
    """A program whose lines, errors among them, are read while it runs, at low priority."""
    words = ["nice", "-n", "10", *(str(each) for each in arguments)]
    return subprocess.Popen(  # noqa: S603
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=_ENVIRONMENT
    )


def failure(program: str, code: int, printed: str) -> HostError:
    """The error of a program that failed, with its last words."""
    return HostError(
        f"kernel: {program} failed with {code}: {last_words(printed)}", remedy="Mend what it says, then again."
    )


def source_version() -> str:
    """Version of the source's Debian package."""
    return run(["dpkg-query", "--show", "--showformat=${Version}", SOURCE_PACKAGE])


def compiler_version(target: Target) -> str:
    """What compiler and linker say of their version, one line each."""
    programs = (target.compiler, f"{target.prefix}ld")
    return "\n".join(run([program, "--version"]).splitlines()[0] for program in programs)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _is_here(name: str) -> bool:
    if name.startswith("/"):
        return any(Path("/").glob(name[1:]))
    return shutil.which(name, path=_ENVIRONMENT["PATH"]) is not None
