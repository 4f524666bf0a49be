# SPDX-License-Identifier: Apache-2.0
"""Checks and environment of a launch that do not depend on the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armillary.capability import confine
from armillary.capability.confine import Runtime
from armillary.capability.grant import Grant
from armillary.engines.sandbox.port import Launch
from armillary.errors import InstallError, SandboxUnavailableError

# With the board's name of a serial port: the variable that holds its path.
SERIAL_VARIABLE = "ARMILLARY_UART_"
# The variable that holds the path of the application interface.
INTERFACE_VARIABLE = "ARMILLARY_APPLICATION_SOCKET"

# What the launcher sets so that an application gives way to the device.
GIVES_WAY = {"niceness": confine.NICENESS, "memory_score": confine.MEMORY_SCORE}


def check_launch(launch: Launch) -> None:
    """Refuse a launch that no engine can start.

    Raises:
        InstallError: a real-time application, no entry point, or something given that was not granted.
    """
    if launch.grant.real_time:
        raise InstallError(
            f"{launch.manifest.name}: expected a high-level application, got one for a real-time core",
            remedy="Run it on a device with real-time cores.",
        )
    if launch.grant.component_id != launch.manifest.component_id:
        raise InstallError(f"{launch.manifest.name}: the grant belongs to component {launch.grant.component_id}")
    entry = launch.image_root / launch.manifest.entry_point.removeprefix("/")
    if entry.is_symlink() or not entry.is_file():
        raise InstallError(
            f"{launch.manifest.name}: expected an executable at {launch.manifest.entry_point}, got nothing",
            remedy="Put the program into the image, or correct EntryPoint in app_manifest.json.",
        )
    if launch.data is not None and not launch.grant.mutable_storage_kb:
        raise InstallError(f"{launch.manifest.name}: it was granted no mutable storage")
    if launch.device_authentication is not None and launch.grant.device_authentication is None:
        raise InstallError(f"{launch.manifest.name}: it was granted no DeviceAuthentication")
    granted = serial_port_names(launch.grant)
    for name in launch.serial_ports:
        if name not in granted:
            raise InstallError(f"{launch.manifest.name}: it was granted no Uart {name}")


def refuse_image(launch: Launch) -> None:
    """Refuse a launch whose mutable storage is an image, where that is not mounted: it would seem to have lost it.

    Raises:
        SandboxUnavailableError: it is one.
    """
    if launch.storage is not None and launch.storage.exists():
        raise SandboxUnavailableError(
            f"{launch.manifest.name}: its mutable storage is a file system, which this host does not mount",
            remedy="Start the device as root on a host with loop devices; armillary device status says what lacks.",
        )


def serial_port_names(grant: Grant) -> tuple[str, ...]:
    """The serial ports of a grant, by the board's names, sorted."""
    return tuple(sorted(each.name for each in grant.peripherals if each.kind == "Uart"))


def environment(
    launch: Launch,
    search_path: str,
    *,
    temporary: str,
    data: str,
    device_authentication: str,
    serial_ports: Mapping[str, str],
    interface: str,
) -> dict[str, str]:
    """The application's whole environment; the engine's variables replace those of the launch.

    ``serial_ports`` has the path of each port as the application sees it, ``interface`` that of its socket.
    """
    found = dict(launch.environment)
    found |= {"PATH": search_path, "LANG": "C.UTF-8", "HOME": temporary, "TMPDIR": temporary}
    # Nothing an application can write is looked at again by the interpreter.
    found |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    # It says where it was when a signal ends it (device/applications/crash_capture.py).
    found |= {"PYTHONFAULTHANDLER": "1"}
    if launch.data is not None:
        found["ARMILLARY_DATA"] = data
    if launch.device_authentication is not None:
        found["ARMILLARY_DEVICE_AUTHENTICATION"] = device_authentication
    if launch.interface is not None:
        found[INTERFACE_VARIABLE] = interface
    found |= {SERIAL_VARIABLE + name.replace("-", "_"): path for name, path in serial_ports.items()}
    return found


def plain_configuration(launch: Launch, runtime: Runtime, root: Path, temporary: str) -> dict[str, Any]:
    """The launcher's configuration for a process without namespaces: it runs from its image's folder ``root``."""
    return {
        "identity": None,
        "hidden": None,
        "noexec": None,
        "priority": GIVES_WAY,
        "new_session": True,
        "supervisor": os.getpid(),
        "directory": str(root),
        "argv": launch.command(str(root / launch.manifest.entry_point.removeprefix("/"))),
        "environment": environment(
            launch,
            runtime.search_path,
            temporary=temporary,
            data=str(launch.data),
            device_authentication=str(launch.device_authentication),
            serial_ports={name: str(node) for name, node in launch.serial_ports.items()},
            interface=str(launch.interface),
        ),
    }
