# SPDX-License-Identifier: Apache-2.0
"""The kernel's source: unpacked once for each version, with two lines changed, and taken only as it was unpacked.

**The seed.** The order of structures (RANDSTRUCT) comes from a seed. A random one would make every build another; this
one follows from the version of the source, as the seed of the compiler's latent randomness does: the same input gives
the same kernel, and each version has another layout. Whoever has the source knows it: an attack that works on another
kernel fails here, and nothing is hidden from somebody who studies this one.

**Yama.** Debian's source lets every program trace all others of its user until a setting forbids it; here a program may
trace its descendants alone from the first instruction on, as Linux without Debian's change does.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from armillary.device_image.kept.made_folder import made_folder
from armillary.device_image.own_kernel.fragments import kernel_folder
from armillary.device_image.own_kernel.toolchain import SOURCE, SOURCE_PACKAGE, run
from armillary.device_image.tools import digest_of
from armillary.errors import HostError

# Beside the fragments: of which input a kernel of which digest was built, for whoever builds it again, and the digests
# of the sources.
BUILT_FILE: Final = "built.toml"
_MADE_OF: Final = "done"

# What is changed of the source: file, the one line that it must have (a pattern), and what stands there then.
_EDITS: Final = (
    ("scripts/gen-randstruct-seed.sh", r"^SEED=.*$", "SEED={seed}"),
    (
        "security/yama/yama_lsm.c",
        r"^static int ptrace_scope = \w+;$",
        "static int ptrace_scope = YAMA_SCOPE_RELATIONAL;",
    ),
)


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


def changes() -> str:
    """What is changed of every source: part of what a kernel is made of."""
    return "\n".join(" ".join(edit) for edit in _EDITS)


def unpack(cache: Path, version: str) -> Source:
    """The source of a version in the cache: as it was unpacked, byte for byte, or unpacked again.

    Raises:
        HostError: the packed source is not the file that is known of its version.
    """
    room = cache / f"source-{version}"
    source, made_of = Source(room / SOURCE_PACKAGE, version), room / _MADE_OF
    wanted = f"{_digest(version)}\n{changes()}\n"

    def fill(fresh: Path) -> None:
        run(["tar", "--extract", "--file", SOURCE, "--directory", fresh])
        for path, pattern, line in _EDITS:
            file = fresh / SOURCE_PACKAGE / path
            file.write_text(edited(file.read_text("utf-8"), pattern, line.format(seed=seed(version)), path), "utf-8")
        (fresh / _MADE_OF).write_text(wanted, "utf-8")

    if not made_of.is_file() or made_of.read_text("utf-8") != wanted:
        shutil.rmtree(room, ignore_errors=True)
    made_folder(room, fill)
    return source


def _digest(version: str) -> str:
    """SHA-256 of the packed source, hex; HostError if another one is known of its version."""
    found = digest_of(SOURCE)
    known = tomllib.loads((kernel_folder() / BUILT_FILE).read_text("utf-8")).get("sources", {}).get(version, found)
    if found != known:
        raise HostError(
            f"{SOURCE}: expected the file that {SOURCE_PACKAGE} {version} has (SHA-256 {known[:16]}), got {found[:16]}",
            remedy=f"sudo apt-get install --reinstall {SOURCE_PACKAGE}",
        )
    return found


def edited(text: str, pattern: str, line: str, path: str) -> str:
    """The text with its one line of that pattern changed; ValueError if it has none or several: look at the source."""
    changed, times = re.subn(pattern, line, text, flags=re.MULTILINE)
    if times != 1:
        raise ValueError(f"{path} has {times} lines like {pattern}")
    return changed
