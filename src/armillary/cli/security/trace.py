# SPDX-License-Identifier: Apache-2.0
"""``armillary trace``: all that is known of one device, key or advisory, as one answer."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.security.advisory import IdArgument, shown as shown_advisory
from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import OnlyCatalogOption

app = noun("Traces: all that is known of a device, a key or an advisory, with what proves it.")

SerialOption = Annotated[
    str, typer.Option("--serial", metavar="HEX", help="Serial of a certificate that the service issued.")
]
_LINES = ("number", "at", "actor", "operation", "target")
_CERTIFICATE = ("serial", "kind", "subject", "not_before", "not_after", "revoked_at")


@remote_command(app, "device")
def device(remote: RemoteService, device: DeviceOption) -> Shown:
    """Tell a device's life, from the factory run to now.

    Operations, boots, certificates, updates, failures and findings in the order of time; --json has audit lines too.
    """
    found = remote.get(f"/devices/{segment(device)}/trace")
    cut = f"Of {', '.join(found['cut'])} only the newest 1,000 were read." if found["cut"] else None
    columns = ("at", "kind", "says", "record")
    shown = table(found["events"], columns, empty="Nothing is known of it.", row=readable_of(*columns))
    return Shown(found, shown.print_text).then(cut)


@remote_command(app, "key")
def key(remote: RemoteService, serial: SerialOption) -> Shown:
    """Say what a key has signed, and whose it is."""
    found = remote.get(f"/certificates/{segment(serial)}/trace")
    columns = ("at", "what", "name", "record")
    uses = table(
        found["uses"], columns, empty="Its key has signed nothing that is recorded.", row=readable_of(*columns)
    )
    head = record(found["certificate"], row=readable_of(*_CERTIFICATE))
    return Shown(found, head.print_text).then("", uses)


@remote_command(app, "advisory")
def advisory(remote: RemoteService, advisory: IdArgument, catalog: OnlyCatalogOption = None) -> Shown:
    """Say whom an advisory affects, and how much is patched.

    Images, releases, devices, catalogs, member states, fixed versions and the curve.

    Audit lines are those of the imports that it is known from; with --catalog there are none, as they are not a
    catalog's.
    """
    found = remote.get(f"/advisories/{segment(advisory)}", catalog=catalog, audit="true")
    lines = table(found.get("audit", []), _LINES, empty="Audit lines are shown to who sees all catalogs.")
    return shown_advisory(found).then("", lines)
