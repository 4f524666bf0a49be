# SPDX-License-Identifier: Apache-2.0
"""The kernel's source: unpacked once for each version, with a seed that depends on the version alone.

The order of structures (RANDSTRUCT) and the compiler's latent randomness come from a seed. A random one would make
every build another; this one follows from the version of the source: the same input gives the same kernel, and each
version has another layout. Whoever has the source knows it: an attack that works on another kernel fails here, and
nothing is hidden from somebody who studies this one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from armillary.device_image.own_kernel.toolchain import SOURCE, SOURCE_PACKAGE, run

_SEED_SCRIPT: Final = "scripts/gen-randstruct-seed.sh"


@dataclass(frozen=True, slots=True)
class Source:
    """An unpacked source: its folder, and the version of its Debian package."""

    folder: Path
    version: str

    def fixed(self) -> tuple[str, ...]:
        """Variables of the makefile that would otherwise say when, where and by whom a kernel was built."""
        made = datetime.fromtimestamp((self.folder / "Makefile").stat().st_mtime, UTC)
        return (
            "LOCALVERSION=",
            f"KBUILD_BUILD_TIMESTAMP={made:%a %b %e %H:%M:%S UTC %Y}",
            "KBUILD_BUILD_USER=armillary",
            "KBUILD_BUILD_HOST=image",
            "KBUILD_BUILD_VERSION=1",
            f"KCFLAGS=-frandom-seed=armillary-{self.version}",
        )


def seed(version: str) -> str:
    """64 hex digits that follow from a version."""
    return hashlib.sha256(f"armillary kernel {version}".encode()).hexdigest()


def unpack(cache: Path, version: str) -> Source:
    """The source of a version in the cache, unpacked if it is not there; what was half done is begun again."""
    room = cache / f"source-{version}"
    source = Source(room / SOURCE_PACKAGE, version)
    if not (room / "done").is_file():
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir(parents=True)
        run(["tar", "--extract", "--file", SOURCE, "--directory", room])
        script = source.folder / _SEED_SCRIPT
        script.write_text(with_seed(script.read_text("utf-8"), seed(version)), "utf-8")
        (room / "done").touch()
    return source


def with_seed(script: str, value: str) -> str:
    """The script that makes the seed, made to give this one; ValueError if it no longer has the line."""
    changed, times = re.subn(r"^SEED=.*$", f"SEED={value}", script, flags=re.MULTILINE)
    if times != 1:
        raise ValueError(f"{_SEED_SCRIPT} has {times} lines with SEED=")
    return changed
