# SPDX-License-Identifier: Apache-2.0
"""The OCI bundle of an application that was granted everything a bundle can say; ``bundled.json`` holds it.

``python -m tests.capability.bundled`` writes the file anew after a change; read the difference before it is kept.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from armillary.capability.confine import Folders, ImageTree, Runtime
from armillary.capability.grant import Grant, Peripheral
from armillary.capability.layout import places
from armillary.capability.network import allowed_hosts
from armillary.capability.oci import Bundle, Process, bundle

FILE = Path(__file__).with_suffix(".json")
COMPONENT = UUID(int=7)
USER = 0x70000007
RUNTIME = Runtime(
    interpreter="/opt/python/bin/python3",
    folders=("/usr", "/opt/python"),
    links=(("usr/lib", "/lib"), ("usr/lib64", "/lib64")),
    library_links=(("/usr/lib/ld-linux.so", "/lib/ld-linux.so"), ("/usr/lib/arm", "/lib/arm")),
    files=("/etc/ssl/certs",),
    masked_files=("/proc/kcore",),
    masked_folders=("/proc/acpi",),
)
IMAGE = ImageTree(root="/image", entries=("bin", "lib"), library_entries=("paho",))
EVERYTHING = Folders(
    data="/data",
    device_authentication="/certificate",
    serial_ports={"UART2": "/dev/ttyS1"},
    interface="/interface.sock",
)
PROCESS = Process(arguments=("/first", "argument"), environment=("PATH=/usr/bin",), user=USER, groups=(4711,))


def a_grant(**values: Any) -> Grant:
    return Grant(component_id=COMPONENT, hosts=allowed_hosts(["hub.example.com"]), **values)


def bundled(
    folders: Folders = EVERYTHING,
    *,
    image: ImageTree = IMAGE,
    generated: Iterable[str] = ("/etc/hosts",),
    storage: str | None = None,
    user_namespace: bool = False,
    machine: str = "x86_64",
    **granted: Any,
) -> Bundle:
    found = places(RUNTIME, image, folders, generated)
    return bundle(a_grant(**granted), found, PROCESS, machine=machine, storage=storage, user_namespace=user_namespace)


def everything() -> dict[str, Any]:
    """The bundle as JSON values."""
    ports = (Peripheral(kind="Uart", name="UART2"),)
    found = bundled(mutable_storage_kb=2048, peripherals=frozenset(ports))
    return json.loads(json.dumps(dataclasses.asdict(found)))


if __name__ == "__main__":
    FILE.write_text(json.dumps(everything(), indent=1) + "\n", "utf-8")
