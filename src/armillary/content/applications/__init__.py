# SPDX-License-Identifier: Apache-2.0
"""Example applications: real programs that run on a device, as source folders.

``smart_cable`` is the smallest that speaks to the hub, with values that it invents; ``phone_home`` does what it was not
granted; ``_guardian`` is the program of guardians (``content/guardian_image.py``).

What it is: one folder for each application with ``app_manifest.json`` (a source manifest), ``bin/app`` (its
entry point, Python) and ``README.md``; ``_library`` is what they share; :func:`load` turns a name into the files
of an image, with the libraries the program needs packed below ``lib/``.

What it is not: part of the service or the device. An application sees nothing of Armillary, only its image, its
environment and the hub it may reach.

Specification: Azure Sphere app manifest; IoT Hub's MQTT interface; engines/sandbox/port.py for what an
application finds around it.
"""

from __future__ import annotations

import json
from importlib import metadata, resources
from typing import Any
from uuid import UUID

from armillary import content
from armillary.errors import HostError, NotFoundError

# Modules of paho-mqtt that a client does not need: one-shot publish and subscribe.
UNUSED_PAHO = frozenset({"publish.py", "subscribe.py"})
PAHO_LICENCE = "edl-v10"
LIBRARY_FOLDER = "_library"


def names() -> tuple[str, ...]:
    """All applications, sorted."""
    return content.folder_names("applications")


def load(name: str, *, allowed_host: str, catalog_id: UUID | str) -> dict[str, bytes]:
    """The files of one application's image.

    Where the manifest asks for them, ``allowed_host`` (name or address of the hub) becomes AllowedConnections and
    ``catalog_id`` DeviceAuthentication. Returns path in the image -> content; ``bin/app`` is the program.

    Raises:
        NotFoundError: no such application; lists those there are.
        HostError: paho-mqtt is not installed.
    """
    if name not in names():
        raise NotFoundError(f"no application {name!r}", remedy=f"Use one of: {', '.join(names())}.")
    folder = content.folder("applications") / name
    manifest: dict[str, Any] = json.loads((folder / "app_manifest.json").read_text("utf-8"))
    capabilities = manifest["Capabilities"]
    files = {"bin/app": (folder / "bin" / "app").read_bytes()}
    if "DeviceAuthentication" in capabilities:
        capabilities["DeviceAuthentication"] = str(catalog_id)
        capabilities["AllowedConnections"] = [allowed_host]
        files |= _library() | paho_files()
    files["app_manifest.json"] = json.dumps(manifest, separators=(",", ":")).encode()
    return files


def _library() -> dict[str, bytes]:
    root = content.folder("applications") / LIBRARY_FOLDER
    return {f"lib/{entry.name}": entry.read_bytes() for entry in root.iterdir() if entry.name.endswith(".py")}


def paho_files() -> dict[str, bytes]:
    """The installed paho-mqtt, as far as a client needs it, with its licence (EDL 1.0)."""
    try:
        package = resources.files("paho")
        distribution = metadata.distribution("paho-mqtt")
    except ModuleNotFoundError as error:
        raise HostError("paho-mqtt is not installed", remedy="Install armillary with its dependencies.") from error
    files = {"lib/paho/__init__.py": b""}
    for entry in (package / "mqtt").iterdir():
        if entry.name.endswith(".py") and entry.name not in UNUSED_PAHO:
            files[f"lib/paho/mqtt/{entry.name}"] = entry.read_bytes()
    for path in distribution.files or ():
        if path.name == PAHO_LICENCE:
            files["lib/paho/LICENSE"] = path.read_binary()
    return files
