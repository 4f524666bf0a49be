# SPDX-License-Identifier: Apache-2.0
"""Which cores outside of this Linux there is a channel to.

On the device image a channel is a port of virtio-serial whose name begins with ``armillary.core.``; on a chip it would
be whatever its firmware gives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

# Linux: drivers/char/virtio_console.c. Each port has a folder there with its name in a file.
PORTS: Final = Path("/sys/class/virtio-ports")
NODES: Final = Path("/dev")
PORT_PREFIX: Final = "armillary.core."


def core_channels(ports: Path = PORTS, nodes: Path = NODES) -> tuple[Path, ...]:
    """The nodes of the channels to cores, in the order of their names; empty where there is none."""
    found = []
    for port in ports.glob("*"):
        try:
            name = (port / "name").read_text("ascii", "replace").strip()
        except OSError:  # a port without a name, or one that has just gone
            continue
        if name.startswith(PORT_PREFIX):
            found.append((name, nodes / port.name))
    return tuple(node for _, node in sorted(found))
