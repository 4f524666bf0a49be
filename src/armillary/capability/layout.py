# SPDX-License-Identifier: Apache-2.0
"""What is where inside namespaces of an application's own, in the order in which it is put there.

The same places for every engine with namespaces: :mod:`bubblewrap` makes bwrap's arguments of them, :mod:`oci` an OCI
bundle. The root is empty before and read-only afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, lru_cache

from armillary.capability.confine import (
    APPLICATION_SOCKET,
    DATA_FOLDER,
    DEVICE_AUTHENTICATION_FOLDER,
    DEVICE_FOLDER,
    DEVICES,
    TEMPORARY_FOLDER,
    Folders,
    ImageTree,
    Runtime,
    serial_path,
)

# How the C library's loader is named in /lib (/lib/ld-linux-aarch64.so.1).
LOADER_PREFIX = "ld-linux"
# What stays there for the application's sake has no filter of its; it may have its user, whose memory is in here.
FIRST_PROCESS = "/proc/1"
# Images whose places are remembered: more than a device has applications, so that a restart looks at nothing again.
REMEMBERED = 64


class Kind(Enum):
    """What is at a place."""

    FOLDER = auto()  # an empty folder
    LINK = auto()  # a symbolic link to ``source``
    FILE = auto()  # a small file that the engine writes
    READ = auto()  # a file or folder of the host, read-only
    READ_ALL = auto()  # a folder of the host with what is mounted below it, read-only
    WRITE = auto()  # a folder of the host that the application changes
    DEVICE = auto()  # a device node of the host
    PROCESSES = auto()  # its own processes (proc(5))
    HIDDEN_FILE = auto()  # a file of /proc that is covered
    HIDDEN_FOLDER = auto()  # the same for a folder
    TEMPORARY = auto()  # memory with a size


@dataclass(frozen=True, slots=True)
class Place:
    """One path inside."""

    kind: Kind
    path: str
    source: str = ""  # on the host; of a link, what it points to


def places(runtime: Runtime, image: ImageTree, folders: Folders, generated: Iterable[str] = ()) -> tuple[Place, ...]:
    """All places, in order; ``generated`` are the paths of the files that the engine writes."""
    written = tuple(generated)
    given = (DATA_FOLDER, DEVICE_AUTHENTICATION_FOLDER, "/dev/null")
    above = _parents((*runtime.folders, *runtime.files, *written, *given))
    return (
        *(Place(Kind.FOLDER, path) for path in above),
        *_of_runtime(runtime, image.entries),
        *_of_image(runtime, image),
        *(Place(Kind.FILE, path) for path in written),
        *_of_kernel(runtime),
        Place(Kind.TEMPORARY, TEMPORARY_FOLDER),
        *_given(folders),
    )


@cache
def _parents(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Folders above these paths, outermost first: everybody may look into them."""
    found: set[str] = set()
    for path in paths:
        parts = path.strip("/").split("/")
        found.update("/" + "/".join(parts[:count]) for count in range(1, len(parts)))
    return tuple(sorted(found))


@lru_cache(maxsize=REMEMBERED)
def _of_runtime(runtime: Runtime, entries: tuple[str, ...]) -> tuple[Place, ...]:
    return (
        *(Place(Kind.READ_ALL, folder, folder) for folder in runtime.folders),
        *(Place(Kind.LINK, path, to) for to, path in runtime.links if path.strip("/") not in entries),
        *(Place(Kind.READ, path, path) for path in runtime.files),
    )


def _of_image(runtime: Runtime, image: ImageTree) -> list[Place]:
    """The image's entries at the top; its ``lib`` is merged with the loader that programs name by absolute path."""
    found = [Place(Kind.READ, f"/{entry}", f"{image.root}/{entry}") for entry in image.entries if entry != "lib"]
    if "lib" not in image.entries:
        return found
    found.append(Place(Kind.FOLDER, "/lib"))
    linked = {path.rpartition("/")[2]: target for target, path in runtime.library_links}
    # The loader is the host's always: the launcher begins with it, before anything is given up.
    loaders = {name for name in linked if name.startswith(LOADER_PREFIX)}
    own = [entry for entry in image.library_entries if entry not in loaders]
    found += [Place(Kind.READ, f"/lib/{entry}", f"{image.root}/lib/{entry}") for entry in own]
    found += [
        Place(Kind.LINK, f"/lib/{name}", target)
        for name, target in linked.items()
        if name in loaders or name not in image.library_entries
    ]
    return found


@cache
def _of_kernel(runtime: Runtime) -> tuple[Place, ...]:
    """/proc without what is about the whole machine or the first process, and a /dev of five devices."""
    return (
        Place(Kind.PROCESSES, "/proc"),
        Place(Kind.HIDDEN_FOLDER, FIRST_PROCESS),
        *(Place(Kind.HIDDEN_FILE, path) for path in runtime.masked_files),
        *(Place(Kind.HIDDEN_FOLDER, path) for path in runtime.masked_folders),
        *(Place(Kind.DEVICE, f"{DEVICE_FOLDER}/{name}", f"{DEVICE_FOLDER}/{name}") for name in DEVICES),
        Place(Kind.LINK, f"{DEVICE_FOLDER}/fd", "/proc/self/fd"),
    )


def hidden(runtime: Runtime) -> dict[str, list[str]]:
    """What of /proc is covered, in the launcher's terms."""
    found = _of_kernel(runtime)
    return {
        "files": [place.path for place in found if place.kind is Kind.HIDDEN_FILE],
        "folders": [place.path for place in found if place.kind is Kind.HIDDEN_FOLDER],
    }


def _given(folders: Folders) -> list[Place]:
    """What this application was granted."""
    found = []
    if folders.mounted:
        found.append(Place(Kind.FOLDER, DATA_FOLDER))
    elif folders.data is not None:
        found.append(Place(Kind.WRITE, DATA_FOLDER, folders.data))
    if folders.device_authentication is not None:
        found.append(Place(Kind.READ, DEVICE_AUTHENTICATION_FOLDER, folders.device_authentication))
    found += [Place(Kind.DEVICE, serial_path(name), node) for name, node in folders.serial_ports.items()]
    if folders.interface is not None:
        found.append(Place(Kind.READ, APPLICATION_SOCKET, folders.interface))
    return found
