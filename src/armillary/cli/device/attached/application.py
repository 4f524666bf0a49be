# SPDX-License-Identifier: Apache-2.0
"""``armillary device app``: applications of a running device."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from armillary.cli.device.attached.asking import HELP, AskedDevice, attached_command
from armillary.cli.terminal.output import Shown, noun, record

ComponentOption = Annotated[
    UUID, typer.Option("--component-id", metavar="ID", help="Component of the application: image list-installed.")
]

app = noun(HELP)
application = noun("Applications of a running device.", within=app, name="app")


@attached_command(application, "show-status")
def _status(device: AskedDevice, component_id: ComponentOption) -> Shown:
    """Show whether an application runs."""
    return record(device.get(f"app/status/{component_id}"))


@attached_command(application, "start")
def _start(
    device: AskedDevice,
    component_id: ComponentOption,
    *,
    debug_mode: Annotated[
        bool, typer.Option("--debug-mode", help="Start it anew for a debugger; prints the ports for gdb and output.")
    ] = False,
) -> Shown:
    """Start an application that was stopped.

    With --debug-mode: gdb -ex 'target remote 127.0.0.1:GDBPORT' PROGRAM.
    """
    trigger = "startDebug" if debug_mode else "start"
    return record(device.call("PATCH", f"app/status/{component_id}", {"trigger": trigger}))


@attached_command(application, "stop")
def _stop(device: AskedDevice, component_id: ComponentOption) -> Shown:
    """Stop an application.

    It stays so until it is started, replaced by another image, or the device restarts.
    """
    return record(device.call("PATCH", f"app/status/{component_id}", {"trigger": "stop"}))


@attached_command(application, "show-quota")
def _quota(device: AskedDevice, component_id: ComponentOption) -> Shown:
    """Show the mutable storage of an application."""
    return record(device.get(f"app/quota/{component_id}"))


@attached_command(application, "show-memory-stats")
def _memory(device: AskedDevice) -> Shown:
    """Show how much memory all applications hold."""
    return record(device.get("stats/memory/groups/applications")["memoryStats"])
