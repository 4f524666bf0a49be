# SPDX-License-Identifier: Apache-2.0
"""What a guardian finds around it: variables that every engine of the sandbox sets (``docs/reference/sandbox.md``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armillary.wire.equipment.faults import ConfigurationError

UART_PREFIX = "ARMILLARY_UART_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Folders, addresses and ports of one guardian."""

    image: Path  # Folder with guardian.json and profiles
    data: Path  # Survives restarts
    device_id: str
    hub_host: str = ""  # Empty where the device was told of no hub
    hub_port: int = 8883
    authentication: Path | None = None  # Folder with certificate.pem, key.pem, ca.pem; they may come later
    catalog: str = ""  # Whose certificate the image's manifest asks for; empty where it has none
    serial_ports: Mapping[str, Path] = field(default_factory=dict)  # The board's name of each granted port


def surroundings(environment: Mapping[str, str], image: Path) -> Surroundings:
    """Read the variables. Raises ConfigurationError for a guardian that was granted no storage or has no device id."""
    for name in ("ARMILLARY_DATA", "ARMILLARY_DEVICE_ID"):
        if not environment.get(name):
            raise ConfigurationError(
                "guardian",
                expected=f"the variable {name}",
                got="none",
                remedy="Run it as an application with MutableStorage, or by: armillary guardian run.",
            )
    port = environment.get("ARMILLARY_HUB_PORT", "8883")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65535:
        raise ConfigurationError("guardian", expected="ARMILLARY_HUB_PORT to be a port", got=f"{port!r:.20}")
    authentication = environment.get("ARMILLARY_DEVICE_AUTHENTICATION")
    return Surroundings(
        image=image,
        data=Path(environment["ARMILLARY_DATA"]),
        device_id=environment["ARMILLARY_DEVICE_ID"],
        hub_host=environment.get("ARMILLARY_HUB_HOST", ""),
        hub_port=int(port),
        authentication=Path(authentication) if authentication else None,
        catalog=_catalog(image),
        serial_ports={
            name[len(UART_PREFIX) :]: Path(path) for name, path in environment.items() if name.startswith(UART_PREFIX)
        },
    )


def _catalog(image: Path) -> str:
    """The catalog that the manifest of an image names, in lower case."""
    try:
        manifest = json.loads((image / "app_manifest.json").read_bytes())
        return str(manifest["Capabilities"]["DeviceAuthentication"]).lower()
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # armillary guardian run, and images without an identity
