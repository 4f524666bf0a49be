# SPDX-License-Identifier: Apache-2.0
"""Modules that Debian's kernel for an architecture lacks, compiled of its own source against its own headers.

Debian's armmp kernel has the common part of the driver of TPMs with a TIS interface, and not the file that knows those
in memory. That one file is compiled, in seconds, by the kernel's own makefiles: nothing of the kernel itself is.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image.bill.part import Part, source_part
from armillary.device_image.kept.made_folder import made_folder
from armillary.device_image.package_sources.fetching import Places, fetch
from armillary.device_image.recipe import Pin
from armillary.device_image.tools import run
from armillary.errors import InvalidArgumentError

# Raised when the way of compiling changes, so that nothing older is taken from a cache.
RECIPE: Final = 1
# Of this host's architecture: the programs of the kernel's makefiles run here.
_HOSTS: Final = "linux-kbuild-"
_HEADERS: Final = "linux-headers-"
_SOURCE: Final = "linux-source-"
# Tables by which a kernel that finds a device asks for a module: the first program loads what it is told. Debian's
# program that reads them reads those of 64 bits only.
_ASKED_FOR: Final = re.compile(r"^MODULE_DEVICE_TABLE\(.*\);\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """Where a module is in the kernel's source: its folder, and the files that are compiled and included there."""

    folder: str
    files: tuple[str, ...]


SOURCES: Final[Mapping[str, ModuleSource]] = {
    "tpm_tis": ModuleSource("drivers/char/tpm", ("tpm_tis.c", "tpm_tis_core.h", "tpm.h")),
}


def packages_of(release: str) -> tuple[str, ...]:
    """Debian packages that modules of a kernel are compiled with, all of the kernel's own version.

    ``release`` is what the kernel calls itself (``6.12.117+deb13-armmp``).
    """
    base, series = release.rpartition("-")[0], ".".join(release.split(".")[:2])
    return (f"{_HEADERS}{release}", f"{_HEADERS}{base}-common", f"{_SOURCE}{series}", f"{_HOSTS}{base}")


def source_of(release: str, pins: Mapping[str, Pin]) -> Part:
    """What modules of a kernel are compiled of, in a bill of materials."""
    (name,) = (each for each in packages_of(release) if each.startswith(_SOURCE))
    return source_part("linux", pins[name].version, notes=f"modules compiled of {name}")


def split(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names of packages of the architecture, and of those for this host."""
    names = list(names)
    return [name for name in names if not name.startswith(_HOSTS)], [name for name in names if name.startswith(_HOSTS)]


def host_architecture() -> str:
    """What Debian calls this host's architecture."""
    return run(["dpkg", "--print-architecture"]).decode("ascii").strip()


def compile_modules(
    names: Sequence[str],
    release: str,
    pins: Mapping[str, Pin],
    cache: Path,
    *,
    architecture: str,
    strip: str,
    places: Places | None = None,
) -> dict[str, bytes]:
    """Modules of a kernel by name, compiled once for each set of pins, and again where what is kept was changed.

    ``cache`` has the packages, too.

    Raises:
        HostError: a package is not to be had, a program is missing, or the compile failed.
        InvalidArgumentError: the pins are those of another kernel.
    """
    wanted = _checked(release, pins, architecture)
    text = "\n".join((str(RECIPE), release, *names, *(pins[name].sha256 for name in wanted)))

    def compiled(folder: Path) -> None:
        files = fetch_packages(release, pins, cache, architecture=architecture, places=places)
        with tempfile.TemporaryDirectory(prefix="armillary-module-") as work:
            for name in names:
                (folder / name).write_bytes(_compile(name, release, files, Path(work) / name, strip))

    kept = made_folder(cache / "modules" / hashlib.sha256(text.encode()).hexdigest(), compiled)
    return {name: (kept / name).read_bytes() for name in names}


def fetch_packages(
    release: str, pins: Mapping[str, Pin], cache: Path, *, architecture: str, places: Places | None = None
) -> dict[str, Path]:
    """The packages that modules of a kernel are compiled with, by name.

    Raises:
        HostError: a package is not to be had.
        InvalidArgumentError: the pins are those of another kernel.
    """
    wanted = _checked(release, pins, architecture)
    own, hosts = ([pins[name] for name in some] for some in split(wanted))
    files = fetch(own, cache / "debian", architecture=architecture, places=places)
    return files | fetch(hosts, cache / "debian", architecture=host_architecture(), places=places)


def _checked(release: str, pins: Mapping[str, Pin], architecture: str) -> tuple[str, ...]:
    """What modules of a kernel are compiled with, all of it pinned; InvalidArgumentError."""
    wanted = packages_of(release)
    lacking = [name for name in wanted if name not in pins]
    if lacking:
        raise InvalidArgumentError(
            f"no pin for {', '.join(lacking)}, with which modules of the kernel {release} are compiled",
            remedy=f"armillary image pin --arch {architecture}",
        )
    return wanted


def without_tables(source: str) -> str:
    """A module's source without the tables by which the kernel asks for it."""
    return _ASKED_FOR.sub("", source)


def _compile(name: str, release: str, files: Mapping[str, Path], folder: Path, strip: str) -> bytes:
    """One module, in a folder that has nothing yet."""
    tree, work = folder / "tree", folder / "module"
    work.mkdir(parents=True)
    for package in files.values():
        run(["dpkg-deb", "--extract", package, tree])
    source = SOURCES[name]
    (archive,) = (tree / "usr/src").glob("linux-source-*.tar.*")
    inside = [f"{archive.name.partition('.tar')[0]}/{source.folder}/{file}" for file in source.files]
    run(["tar", "--extract", "--file", archive, "--directory", work, "--strip-components=4", *inside])
    for file in source.files:
        (work / file).write_text(without_tables((work / file).read_text("utf-8")), "utf-8")
    (work / "Makefile").write_text(f"obj-m := {name}.o\n", "ascii")
    headers = tree / "usr/src" / f"{_HEADERS}{release}"
    # The makefile says where its packages lie once they are installed.
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text("utf-8").replace("/usr/src/", f"{tree}/usr/src/"), "utf-8")
    kept_out = f"KCFLAGS=-ffile-prefix-map={folder}=."  # else the folder's name would be in the module
    run(["make", "--directory", headers, f"M={work}", kept_out, "modules"])
    run([strip, "--strip-debug", "--enable-deterministic-archives", work / f"{name}.ko"])
    return (work / f"{name}.ko").read_bytes()
