# SPDX-License-Identifier: Apache-2.0
"""``armillary device restart``."""

from __future__ import annotations

from armillary.cli.device.attached.asking import AskedDevice, attached_command
from armillary.cli.device.here import devices_here
from armillary.cli.terminal.output import Shown, note, record

app = devices_here()


@attached_command(app, "restart")
def _restart(device: AskedDevice) -> Shown:
    """Start a device again."""
    found = record(device.call("POST", "restart"))
    note("the device starts again")
    return found
