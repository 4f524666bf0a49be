# SPDX-License-Identifier: Apache-2.0
"""The files of a guardian's image: its program, the modules of Armillary that it imports, their libraries, profiles.

Libraries are taken as they are installed here. An image is for devices with this Python version, and where a link's
libraries are native for this machine's processor; it says which.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from typing import Any

from armillary import content
from armillary.content import applications
from armillary.content.guardian_libraries import KEPT_METADATA, LEFT_OUT, for_client, with_compiled
from armillary.wire.equipment.faults import LinkLibraryMissingError

FOLDER = "_guardian"
CONFIGURATION_PATH = "guardian.json"
PROFILE_FOLDER = "profiles"

# Rooms of Armillary that the guardian is made of, with what they import (tests/guardian/test_closure.py).
ROOMS = ("wire/equipment", "guard", "engines/equipment", "guardian")
MODULES = ("__init__.py", "errors.py", "wire/__init__.py", "engines/__init__.py")
# What signs, where people work; it needs cryptography, whose native part is larger than all the rest.
NOT_PACKED = frozenset({"wire/equipment/files/signing.py"})

# Parts of a distribution that no program needs at run time.
_UNUSED = (".pyi", "py.typed", ".c", ".h", ".cfg", "RECORD", "INSTALLER", "WHEEL", "METADATA", "REQUESTED", ".txt")
_UNUSED_FOLDERS = ("..", "cffi/", *LEFT_OUT)


def files(configuration: bytes, profiles: Mapping[str, bytes], *, libraries: Collection[str] = ()) -> dict[str, bytes]:
    """Path in the image -> content, without the manifest.

    ``configuration`` is guardian.json, ``profiles`` are signed profiles by their path in it, ``libraries`` installed
    distributions that are packed beside paho-mqtt.

    Raises:
        LinkLibraryMissingError: a library is not installed, or in a version that is not known.
    """
    found = {"bin/app": (_folder() / "bin" / "app").read_bytes(), CONFIGURATION_PATH: configuration, **profiles}
    found |= _own_modules() | applications.paho_files()
    for library in libraries:
        found |= _distribution(library)
    return with_compiled(for_client(found))


def manifest(name: str, capabilities: Mapping[str, object], *, component_id: str | None = None) -> bytes:
    """The manifest of a guardian with these grants; without ``component_id`` the one that all guardians share."""
    document: dict[str, Any] = json.loads((_folder() / "app_manifest.json").read_text("utf-8"))
    document |= {"Name": name, "Capabilities": dict(capabilities)}
    if component_id is not None:
        document["ComponentId"] = component_id
    return json.dumps(document, separators=(",", ":")).encode()


def native_note() -> str:
    """Which devices an image made here is for."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor} on {sys.platform}"


def _folder() -> Traversable:
    return content.folder("applications") / FOLDER


def _own_modules() -> dict[str, bytes]:
    root = resources.files("armillary")
    found = {f"lib/armillary/{path}": (root / path).read_bytes() for path in MODULES}
    for room in ROOMS:
        for path, entry in _walk(root.joinpath(*room.split("/")), room):
            if path.endswith(".py") and path not in NOT_PACKED:
                found[f"lib/armillary/{path}"] = entry.read_bytes()
    return found


def _walk(root: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in root.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{path}/{entry.name}")
        else:
            yield f"{path}/{entry.name}", entry


def _distribution(name: str) -> dict[str, bytes]:
    """The files of an installed distribution as it is imported, with its licences."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise LinkLibraryMissingError(f"{name} is not installed") from error
    unused = tuple(ending for ending in _UNUSED if ending != "METADATA" or name not in KEPT_METADATA)
    packed = {}
    for path in found.files or ():
        text = str(path)
        if text.startswith(_UNUSED_FOLDERS) or text.endswith(unused) or "__pycache__" in text or "/tests/" in text:
            continue
        packed[f"lib/{text}"] = path.read_binary()
    return packed
